"""A torch data set over all shards of a folder. The only part of the shard format that needs torch."""

from __future__ import annotations

import operator
import os
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal, SupportsIndex

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from distill.errors import DistillError, ShardCorrupt
from distill.shards.agreement import difference
from distill.shards.folder import MANIFEST_FILE, manifest_reports, read_manifest, shard_path
from distill.shards.layout import image_sides
from distill.shards.read import ShardReader, check_size, open_shard

Shape = tuple[np.dtype[np.generic], tuple[int, ...]]  # type of a column, shape of a row of it
CHECKED_SHARDS = 128  # opened at first: each takes some 5 ms, and a large data set has thousands
OPEN_SHARDS = 128  # per process; HDF5 takes about 0.8 MB for each


class TripletDataset(Dataset[dict[str, Tensor]]):
    """Read triplets from a complete data set: shard by shard, row by row.

    An item maps each role to uint8 [3, H, W] (or float32 in [-1, 1]); each wanted column to a tensor;
    and "index" to its place in the data set. `roles`: default the recipe's inputs and target. `resolution`:
    averages square cells down to a divisor of the stored height. `columns`: more, such as "latents/content".

    Files are opened when they are first read, in each process anew; the object can be pickled and forked. Here the
    manifest is checked, the size of all shards, and structure and recipe of up to 128, spread evenly; of the others
    where they are first read, as values and checksums. What is not read only `distill verify --full` checks. A broken
    or missing shard raises `ShardCorrupt` with its name, an incomplete data set or an impossible option
    `DistillError`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        roles: Sequence[str] | None = None,
        dtype: Literal["uint8", "float32"] = "uint8",
        resolution: int | None = None,
        columns: Sequence[str] = (),
    ) -> None:
        self.folder = Path(path)
        manifest = read_manifest(self.folder)
        self.recipe: dict[str, Any] = manifest["recipe"]
        self.digest: str = manifest["digest"]
        self.roles = tuple(roles) if roles is not None else recipe_roles(self.recipe)
        self.columns = tuple(columns)
        if dtype not in ("uint8", "float32"):
            raise DistillError(f"dtype {dtype!r}: choose uint8 or float32")
        self.dtype = dtype
        self._reports = manifest_reports(manifest)
        self._ends = list(accumulate(report.rows for report in self._reports))
        self._checked, self._shapes, self._stored = set[int](), dict[str, Shape](), 0
        stored = self._check_shards()
        self.resolution = stored if resolution is None else resolution
        self._factor = cell_side(stored, self.resolution)
        self.sides = image_sides(self.recipe, stored)
        if self.sides[1] % self._factor:
            raise DistillError(
                f"resolution {self.resolution}: the width of {self.sides[1]} px would not be a whole number of pixels"
            )
        self.sides = (self.resolution, self.sides[1] // self._factor)
        self._forget_handles()

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: SupportsIndex) -> dict[str, Tensor]:
        place = operator.index(index)
        if not -len(self) <= place < len(self):
            raise IndexError(f"index {place} is outside the {len(self)} triplets of {self.folder}")
        place %= len(self)
        shard = bisect_right(self._ends, place)
        row = place - (self._ends[shard - 1] if shard else 0)
        reader = self._reader(shard)
        item = {role: self._tensor(reader.image(role, row)) for role in self.roles}
        item |= {name: torch.from_numpy(reader.value(name, row).copy()) for name in self.columns}
        item["index"] = torch.tensor(place)
        return item

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": OrderedDict(), "_pid": None}

    def close(self) -> None:
        """Close the shards that this process has open; the next read opens its own again."""
        for reader in self._open.values():
            reader.close()
        self._forget_handles()

    def _check_shards(self) -> int:
        """Check the size of every shard, and the content of some; return the stored resolution, which all share."""
        for report in self._reports:
            check_size(shard_path(self.folder, report.index), report)
        step = -(-len(self._reports) // CHECKED_SHARDS)
        for place in range(0, len(self._reports), step):
            report = self._reports[place]
            with open_shard(shard_path(self.folder, report.index), report=report) as reader:
                self._check(reader)
        return self._stored

    def _check(self, reader: ShardReader) -> None:
        """Raise ShardCorrupt or DistillError where a shard is not of this data set, or lacks what is asked for."""
        if reader.index in self._checked:
            return
        if found := difference(self.recipe, reader.recipe):
            key, mine, theirs = found
            raise ShardCorrupt(
                reader.path, f"the {key} of its recipe is {theirs}, {MANIFEST_FILE} says {mine}"
            )
        _check_offers("role", self.roles, reader.roles, reader.path)
        _check_offers("column", self.columns, reader.columns(), reader.path)
        for name in self.columns:
            _check_shape(reader, name, self._shapes)
        self._stored = self._stored or reader.resolution
        if reader.resolution != self._stored:
            raise DistillError(
                f"{reader.path}: holds {reader.resolution} px, the shards before it {self._stored} px;"
                " run distill verify"
            )
        self._checked.add(reader.index)

    def _reader(self, shard: int) -> ShardReader:
        """Return an open shard of this process, closing the longest unused of too many."""
        if self._pid != os.getpid():
            self._forget_handles()  # after a fork they are the parent's
        if shard in self._open:
            self._open.move_to_end(shard)
            return self._open[shard]
        report = self._reports[shard]
        reader = open_shard(shard_path(self.folder, report.index), report=report)
        try:
            self._check(reader)
        except DistillError:
            reader.close()
            raise
        self._open[shard] = reader
        if len(self._open) > OPEN_SHARDS:
            self._open.popitem(last=False)[1].close()
        return reader

    def _forget_handles(self) -> None:
        self._open: OrderedDict[int, ShardReader] = OrderedDict()
        self._pid: int | None = os.getpid()

    def _tensor(self, image_HWC: NDArray[np.uint8]) -> Tensor:
        image = torch.from_numpy(average_cells(image_HWC, self._factor)).permute(2, 0, 1).contiguous()
        return image if self.dtype == "uint8" else image.float() / 127.5 - 1.0


def recipe_roles(recipe: dict[str, Any]) -> tuple[str, ...]:
    """Return the inputs and the target of a recipe, in this order."""
    inputs, target = recipe.get("inputs"), recipe.get("target")
    if not isinstance(inputs, list) or not isinstance(target, str):
        raise DistillError("the recipe of this data set names no inputs and target; name the roles to read")
    return (*map(str, inputs), target)


def cell_side(stored: int, wanted: int) -> int:
    """Return how many stored pixels make one wanted pixel, along a side."""
    if not 1 <= wanted <= stored or stored % wanted:
        raise DistillError(f"resolution {wanted}: the shards hold {stored} px; choose a divisor of {stored}")
    return stored // wanted


def average_cells(image_HWC: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Average square cells of `side` x `side` pixels, halves rounded up."""
    if side == 1:
        return image_HWC
    height, width, channels = image_HWC.shape
    cells = image_HWC.reshape(height // side, side, width // side, side, channels)
    sums = cells.sum(axis=(1, 3), dtype=np.uint64)
    means: NDArray[np.uint8] = ((sums + side * side // 2) // (side * side)).astype(np.uint8)
    return means


def _check_shape(reader: ShardReader, name: str, shapes: dict[str, Shape]) -> None:
    """Refuse a column that makes no tensor, or another one than in the shards before; `shapes` learns the first."""
    dtype, row = shape = reader.shape(name)
    if dtype.kind == "S":
        raise DistillError(f"{reader.path}: the column {name!r} holds texts, which cannot become a tensor")
    if shapes.setdefault(name, shape) != shape:
        first, wanted = shapes[name]
        raise ShardCorrupt(
            reader.path,
            f"{name} is {dtype} {list(row)} a row, {first} {list(wanted)} in the shards before it",
        )


def _check_offers(what: str, wanted: Sequence[str], offered: Sequence[str], path: Path) -> None:
    for name in wanted:
        if name not in offered:
            raise DistillError(f"{path}: no {what} {name!r}; it has {', '.join(offered)}")
