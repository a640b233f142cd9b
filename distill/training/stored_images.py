"""A data set with the role `image` to train on: pixels read by number, weights and labels read once and checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill.errors import DistillError, ShardCorrupt
from distill.shards.columns import column_problem, texts_of
from distill.shards.dataset import TripletDataset
from distill.shards.folder import RECIPE_FILE, manifest_reports, read_manifest, shard_path
from distill.shards.read import ShardReader, open_shard
from distill.shards.summary import roles_of

ROLE = "image"
Pixels = NDArray[np.uint8]
Columns = dict[str, NDArray[Any]]


def is_data_set(folder: Path) -> bool:
    """Tell a data set from a folder of pictures."""
    return (folder / RECIPE_FILE).is_file()


class StoredPixels:
    """The pictures of a data set, [H, W, 3] each; can be pickled and used after a fork."""

    def __init__(self, folder: Path, resolution: int | None) -> None:
        try:
            self._rows = TripletDataset(folder, roles=(ROLE,), resolution=resolution)
        except ShardCorrupt:
            raise
        except DistillError as error:
            raise DistillError(str(error) if str(folder) in str(error) else f"{folder}: {error}") from error
        self.sides, self.digest = self._rows.sides, self._rows.digest

    def __len__(self) -> int:
        return len(self._rows)

    def read(self, numbers: NDArray[np.int64]) -> Pixels:
        """Read pictures [B, H, W, 3] by number, in any order."""
        batch = np.empty((len(numbers), *self.sides, 3), np.uint8)
        for place, number in enumerate(numbers.tolist()):
            batch[place] = self._rows[number][ROLE].permute(1, 2, 0).numpy()
        return batch


def read_columns(folder: Path) -> tuple[NDArray[np.float64], Columns]:
    """Return weights [N], 1 where none are stored, and labels [N] by name.

    Raises DistillError for a data set of other roles, and ShardCorrupt for a value that cannot be.
    """
    manifest = read_manifest(folder)
    roles = roles_of(manifest["recipe"])
    if roles != [ROLE]:
        raise DistillError(
            f"{folder} is a data set of {' + '.join(roles)}; plain images (role {ROLE}) are needed, as"
            " distill prepare-images makes them"
        )
    shards: list[Columns] = []
    for report in manifest_reports(manifest):
        with open_shard(shard_path(folder, report.index), report=report) as reader:
            shards.append(_checked(reader, shards[0] if shards else None))
    columns = {name: np.concatenate([shard[name] for shard in shards]) for name in shards[0]}
    weights = columns.pop("weight", np.ones(manifest["n"])).astype(np.float64)
    return weights, {name.removeprefix("labels/"): values for name, values in columns.items()}


def _checked(reader: ShardReader, like: Columns | None) -> Columns:
    """Read weights and labels of a shard; they must be those of the first, `like`."""
    found: Columns = {}
    for name in reader.columns():
        if name == "weight" or name.startswith("labels/"):
            values = reader.column(name)
            problem = column_problem(name, values)
            if problem:
                raise ShardCorrupt(reader.path, f"{problem}; make the data set again")
            found[name] = texts_of(values) if values.dtype.kind == "S" else values
    if like is not None and _types(found) != _types(like):
        raise ShardCorrupt(reader.path, "its weights and labels are not those of the first shard")
    return found


def _types(columns: Columns) -> dict[str, str]:
    return {name: values.dtype.kind for name, values in columns.items()}
