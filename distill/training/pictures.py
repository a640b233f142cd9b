"""The data of an image trainer: train and held-out part, batches, and grids of pictures as PNG."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from distill.errors import DistillError
from distill.files import atomic_write
from distill.training.images import Images
from distill.training.position import RunPosition, stream_seed
from distill.training.sampler import Sampler

AT_ONCE = 8  # pictures that are translated for a score

Numbers = NDArray[np.int64]
Part = TypeVar("Part", np.uint8, np.int64)


def hold_out(count: int, held: int, seed: int) -> tuple[Numbers, Numbers]:
    """Split 0..count-1 into (numbers to train on, numbers held out), by the seed alone, both sorted.

    Raises DistillError where nothing would be left to train on.
    """
    if held >= count:
        raise DistillError(f"{held} images to hold out of {count}: none would be left to train on")
    order = np.random.Generator(np.random.Philox(stream_seed(seed, 0, "held-out"))).permutation(count)
    return np.sort(order[held:]), np.sort(order[:held])


def to_batch(pixels_NHWC: NDArray[np.uint8]) -> Tensor:
    """Turn pixels into float32 [N, 3, H, W] in [-1, 1]."""
    return torch.from_numpy(pixels_NHWC).permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)


def in_parts(rows: NDArray[Part]) -> Iterator[NDArray[Part]]:
    """Cut rows into parts of a few, as many as are translated at a time for a score."""
    yield from (rows[first : first + AT_ONCE] for first in range(0, len(rows), AT_ONCE))


def size_text(sides: tuple[int, int]) -> str:
    """Say height and width as width×height."""
    return f"{sides[1]}×{sides[0]}"


def spread(numbers: Numbers, count: int) -> Numbers:
    """Take at most `count` of some numbers, evenly spaced."""
    chosen: Numbers = numbers[
        np.linspace(0, len(numbers) - 1, min(count, len(numbers))).round().astype(np.int64)
    ]
    return chosen


@dataclass(frozen=True, eq=False)
class Pictures:
    """Draws this process's part of each batch as float32 [B, 3, H, W] in [-1, 1]."""

    images: Images
    numbers: Numbers  # that are trained on
    sampler: Sampler
    batch: int  # of all processes
    rank: int = 0
    world: int = 1

    def draw(self, position: RunPosition) -> Tensor:
        return self.draw_numbered(position)[0]

    def draw_numbered(self, position: RunPosition) -> tuple[Tensor, Numbers]:
        """Draw the same, and the numbers [B] of these pictures."""
        share = self.batch // self.world
        chosen, flips = self.sampler.draw(position.samples + self.rank * share, share)
        numbers = self.numbers[chosen]
        pixels = self.images.read(numbers)
        pixels = np.where(flips[:, None, None, None], pixels[:, :, ::-1], pixels)
        return to_batch(pixels), numbers


def grid(images: NDArray[np.uint8], columns: int) -> NDArray[np.uint8]:
    """Lay pictures [N, H, W, 3] out in rows; what is missing of the last row is black."""
    n, h, w, c = images.shape
    rows = -(-n // columns)
    padded = np.zeros((rows * columns, h, w, c), dtype=np.uint8)
    padded[:n] = images
    return padded.reshape(rows, columns, h, w, c).swapaxes(1, 2).reshape(rows * h, columns * w, c)


def save_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write one picture [H, W, 3], whole or not at all."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="png")
    atomic_write(path, buffer.getvalue())
