"""What all sets of plain images share: the recipe, the columns of a row, and whether there is room for them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill.errors import DiskFull, DistillError
from distill.progress import size_text
from distill.shards.collect import Entry, Pixels, rows_per_shard, text_value
from distill.shards.folder import ShardReport, shard_indices, shard_path

ROLE = "image"
SMALLEST, LARGEST = 4, 1024  # pixels a side
LabelColumn = Sequence[str] | NDArray[np.generic]  # of all candidates


@dataclass(frozen=True, kw_only=True)
class WrittenImages:
    """A finished set of images."""

    folder: Path
    digest: str
    reports: Sequence[ShardReport]

    @property
    def rows(self) -> int:
        return sum(report.rows for report in self.reports)

    @property
    def bytes(self) -> int:
        return sum(report.bytes for report in self.reports)


def check_resolution(resolution: int) -> int:
    """Return the resolution if it is a power of two from 4 to 1024; else raise DistillError."""
    if not SMALLEST <= resolution <= LARGEST or resolution & (resolution - 1):
        raise DistillError(
            f"resolution {resolution}: a power of two from {SMALLEST} to {LARGEST} is needed, such as 64"
        )
    return resolution


def check_sides(height: int, width: int) -> None:
    """Raise DistillError for images that are no picture to learn from."""
    if min(height, width) < SMALLEST or max(height, width) > LARGEST:
        raise DistillError(f"size {width}×{height}: sides of {SMALLEST} to {LARGEST} px are needed")


def image_recipe(
    *, resolution: int, codec: str, source: Mapping[str, Any], width: int | None = None
) -> dict[str, Any]:
    """Return the recipe of a set of images; `source` says what they are, and holds a hash of all of them.

    `width` None: as wide as high.
    """
    return {
        "task": "images",
        "inputs": [],
        "target": ROLE,
        "resolution": resolution,
        **({} if width in (None, resolution) else {"width": width}),
        "codec": codec,
        "shard_size": rows_per_shard(resolution, width=width),
        "source": dict(source),
    }


def image_entry(
    candidate: int,
    image: Pixels,
    name: str,
    labels: Mapping[str, LabelColumn],
    weights: NDArray[np.float32] | None = None,
) -> Entry:
    """Return the row of a candidate; `labels` and `weights` are those of all candidates."""
    columns: dict[str, np.generic] = {"name": text_value(name)}
    for label, values in labels.items():
        value = values[candidate]
        columns[f"labels/{label}"] = text_value(value) if isinstance(value, str) else value
    if weights is not None:
        columns["weight"] = weights[candidate]
    return Entry(candidate=candidate, images={ROLE: image}, columns=columns)


def check_room(folder: Path, *, images: int, resolution: int, codec: str, width: int | None = None) -> None:
    """Raise DiskFull where this many raw images do not fit; how small a codec makes them nobody knows before."""
    if codec != "raw":
        return
    there = next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
    indices = shard_indices(folder) if folder.is_dir() else []
    done = sum(shard_path(folder, index).stat().st_size for index in indices)
    needed, free = images * 3 * resolution * (width or resolution) - done, shutil.disk_usage(there).free
    if needed > free:
        raise DiskFull(
            f"{folder}: {size_text(needed)} are needed, {size_text(free)} are free; free some space"
        )
