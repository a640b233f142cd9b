"""Pictures to train on: a folder of images, or a data set of shards with the role `image`.

A folder is decoded into memory once; a data set is read into memory where it fits, else picture by picture.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill.errors import DistillError
from distill.faces.decode import PhotoError, read_photo
from distill.shards.images.image_set import check_sides
from distill.shards.images.picture import find_pictures, middle_square
from distill.training.stored_images import StoredPixels, is_data_set, read_columns

MEMORY = 8 * 1024**3  # bytes of pictures that are kept in memory
GIB = 1024**3
MAX_SKIPPED = 20

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, eq=False)
class Images:
    """N pictures [H, W, 3]: `pixels` is an array or a data set, `weights` [N] says how often each is drawn.

    `resolution` is the height. `digest` (12 hex) changes with the pictures. `labels` [N] by name, where a data set
    has some: int16, float32 (NaN = not known) or str ("" = not known).
    """

    pixels: Pixels | StoredPixels
    weights: NDArray[np.float64]
    resolution: int
    digest: str
    labels: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.weights)

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width."""
        if isinstance(self.pixels, np.ndarray):
            height, width = self.pixels.shape[1:3]
            return height, width
        return self.pixels.sides

    def read(self, numbers: NDArray[np.int64]) -> Pixels:
        """Read pictures [B, H, W, 3] by number, in any order."""
        if isinstance(self.pixels, np.ndarray):
            batch: Pixels = self.pixels[numbers]
        else:
            batch = self.pixels.read(numbers)
        return batch


def open_images(
    path: Path,
    *,
    resolution: int | None = None,
    skipped: Callable[[str], None] = print,
    limit: int = MAX_SKIPPED,
    otherwise: str = "give --resolution",
    any_shape: bool = False,
) -> Images:
    """Open a folder of images or a data set of them.

    `resolution` crops the images of a folder to the middle square and resizes them; those of a data set are averaged
    down to this height. Files of a folder that cannot be used are named to `skipped`; `otherwise` says what to do
    about sizes that are not alike, or no power of two. Raises DistillError for more than `limit` of them, for no
    image, mixed sizes without `resolution`, a data set that is incomplete, broken or of other roles, and, unless
    `any_shape` is taken, for anything but squares with a power of two from 4 to 1024 a side.
    """
    if resolution is not None:
        _check_shape("resolution", resolution, resolution, any_shape=any_shape)
    if not path.is_dir():
        what = "a file" if path.exists() else "no such file or folder"
        raise DistillError(
            f"{path}: {what}; give a folder of images, or a data set of distill prepare-images"
        )
    if is_data_set(path):
        return _open_data_set(path, resolution, any_shape=any_shape)
    return _open_folder(path, resolution, skipped, limit, otherwise, any_shape=any_shape)


def stored_side(path: Path) -> int:
    """Return the shorter side of the pictures of a data set, or of a folder's first picture.

    Raises DistillError where there is neither.
    """
    return min(stored_sides(path))


def stored_sides(path: Path) -> tuple[int, int]:
    """Return height and width of the pictures of a data set, or of a folder's first picture.

    Raises DistillError where there is neither.
    """
    if is_data_set(path):
        return StoredPixels(path, None).sides
    for _, first in find_pictures(path)[0]:
        try:
            height, width = read_photo(first).shape[:2]
        except PhotoError:
            continue
        return int(height), int(width)
    raise DistillError(f"{path}: none of its pictures can be read")


def _check_shape(what: str, height: int, width: int, *, any_shape: bool) -> None:
    """Refuse pictures of a shape that is not taken."""
    if any_shape:
        check_sides(height, width)
    elif height != width:
        raise DistillError(
            f"{what} has pictures of {width}×{height} px: squares are needed, as --resolution of distill"
            " prepare-images makes them"
        )
    elif height not in [4 << i for i in range(9)]:
        raise DistillError(f"{what} {height} is not a power of two from 4 to 1024")


def _open_folder(
    folder: Path,
    resolution: int | None,
    skipped: Callable[[str], None],
    limit: int,
    otherwise: str,
    *,
    any_shape: bool,
) -> Images:
    paths = sorted(path for _, path in find_pictures(folder)[0])
    if resolution is not None:
        _check_memory(folder, len(paths), resolution)
    pictures, first = [], None
    reports: list[str] = []
    for path in paths:
        try:
            picture = read_photo(path)
        except PhotoError as error:
            reports.append(str(error))
            skipped(f"skipped {error}")
            _check_skips(folder, reports, limit)
            continue
        if resolution is None:
            if first is None:
                first = (path, picture.shape[:2])
                _check_memory(folder, len(paths), picture.shape[0])
            _check_size(path, picture, first, otherwise, any_shape=any_shape)
        pictures.append(picture if resolution is None else middle_square(picture, resolution))
    if not pictures:
        raise DistillError(f"{folder}: none of its {len(paths)} images can be used; the first: {reports[0]}")
    pixels = np.stack(pictures)
    digest = hashlib.sha256(pixels.tobytes()).hexdigest()[:12]
    return Images(pixels=pixels, weights=np.ones(len(pixels)), resolution=pixels.shape[1], digest=digest)


def _check_memory(folder: Path, count: int, side: int) -> None:
    if count * 3 * side**2 > MEMORY:
        raise DistillError(
            f"{folder}: {count} images of {side} px take {count * 3 * side**2 / GIB:.0f} GiB decoded, more than"
            f" {MEMORY // GIB}; make a data set of them with distill prepare-images"
        )


def _check_skips(folder: Path, reports: Sequence[str], limit: int) -> None:
    if len(reports) > limit:
        raise DistillError(f"{folder}: more than {limit} files cannot be used; the last: {reports[-1]}")


def _check_size(
    path: Path, picture: Pixels, first: tuple[Path, tuple[int, ...]], otherwise: str, *, any_shape: bool
) -> None:
    height, width = picture.shape[:2]
    if (height, width) != first[1]:
        there = f"{first[1][1]}×{first[1][0]}"
        raise DistillError(
            f"{path} is {width}×{height} px and {first[0].name} {there}: {otherwise} to bring all to one size"
        )
    if any_shape:
        check_sides(height, width)
    elif height != width or height not in [4 << i for i in range(9)]:
        raise DistillError(
            f"{path} is {width}×{height} px, not a square with a power of two as its side: {otherwise}"
        )


def _open_data_set(folder: Path, resolution: int | None, *, any_shape: bool) -> Images:
    weights, labels = read_columns(folder)
    stored = StoredPixels(folder, resolution)
    height, width = stored.sides
    _check_shape("resolution" if height == width else str(folder), height, width, any_shape=any_shape)
    numbers = np.arange(len(stored))
    return Images(
        pixels=stored.read(numbers) if len(stored) * 3 * height * width <= MEMORY else stored,
        weights=weights,
        resolution=height,
        digest=stored.digest,
        labels=labels,
    )
