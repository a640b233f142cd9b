"""The pictures a teacher was trained on, to set its samples beside; and which of them it never saw."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill.errors import DistillError
from distill.training.images import open_images
from distill.training.pictures import hold_out
from distill.training.stored_images import is_data_set

Pixels = NDArray[np.uint8]

LARGEST_SIDE = 256  # px: larger pictures are averaged down once; nothing sees more


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingPictures:
    """M pictures [M, S', S', 3] to compare with: all `total` of the data, or some; `numbers` [M] are theirs.

    `held_out` [M] marks those the teacher was not trained on; None where that is not known.
    """

    name: str
    pixels: Pixels
    numbers: NDArray[np.int64]
    total: int
    held_out: NDArray[np.bool_] | None = None

    @property
    def side(self) -> int:
        return int(self.pixels.shape[1])

    def at(self, side: int) -> TrainingPictures:
        """The same, averaged down to `side` px."""
        return replace(self, pixels=averaged(self.pixels, side))

    def to_json(self) -> dict[str, Any]:
        held = None if self.held_out is None else int(self.held_out.sum())
        return {"name": self.name, "used": len(self.pixels), "total": self.total, "held_out": held}


def open_training_pictures(
    path: Path,
    *,
    most: int,
    resolution: int,
    seed: int,
    training: Mapping[str, Any],
    skipped: Callable[[str], None],
) -> TrainingPictures:
    """Read at most `most` pictures, chosen by `seed`, no larger than `resolution`; `skipped` hears of broken files.

    `training` is what the teacher's file says of its training. Raises DistillError for fewer than two pictures.
    """
    side = min(resolution, LARGEST_SIDE)
    images = open_images(path, resolution=None if is_data_set(path) else side, skipped=skipped)
    total, held_out = len(images), None
    if total < 2:
        raise DistillError(f"{path}: {total} picture; at least two are needed to compare with")
    numbers = chosen_numbers(total, most, seed)
    trained, split_seed = training.get("training_images"), training.get("seed")
    known = str(training.get("data_digest")) == images.digest
    if known and isinstance(trained, int) and isinstance(split_seed, int) and 0 < trained <= total:
        held_out = np.isin(numbers, hold_out(total, total - trained, split_seed)[1])
    side = min(side, images.resolution)
    parts = np.array_split(numbers, -(-len(numbers) // 64))
    pixels = np.concatenate([averaged(images.read(part), side) for part in parts])
    return TrainingPictures(
        name=path.resolve().name, pixels=pixels, numbers=numbers, total=total, held_out=held_out
    )


def chosen_numbers(total: int, most: int, seed: int) -> NDArray[np.int64]:
    """Choose at most `most` of 0..total-1 by a seed, ascending; fewer are some of the same."""
    order = np.random.Generator(np.random.Philox(seed)).permutation(total)
    return np.sort(order[:most])


def averaged(images_NHWC: Pixels, side: int) -> Pixels:
    """Average square cells of uint8 pictures down to `side` px, a power of two like their own."""
    n, factor = len(images_NHWC), images_NHWC.shape[1] // side
    if factor == 1:
        return images_NHWC
    cells = images_NHWC.reshape(n, side, factor, side, factor, 3)
    means: Pixels = np.rint(cells.mean(axis=(2, 4), dtype=np.float32)).astype(np.uint8)
    return means
