"""Whole-pixel moves as exact copies, and everything else that bends the image as one affine warp.

Beyond the border the image goes on as its own mirror image. The warp follows the ADA paper (appendix B.2):
double the size with the orthonormal wavelet filter sym6, sample bilinearly, halve with the same filter.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from distill.training.stylegan2.augment.draw import Draw

# The 12 scaling coefficients of Daubechies' symlet with 6 vanishing moments; their sum is sqrt(2).
SYM6 = (
    *(0.015404109327027373, 0.0034907120842174702, -0.11799011114819057, -0.048311742585633),
    *(0.4910559419267466, 0.787641141030194, 0.3379294217276218, -0.07263752278646252),
    *(-0.021060292512300564, 0.04472490177066578, 0.0017677118642428036, -0.007800708325034148),
)
TAPS = len(SYM6)
# Where the filter puts a pixel: its centre of mass at frequency 0, in fine pixels.
DELAY = sum(k * tap for k, tap in enumerate(SYM6)) / sum(SYM6)
SPARE = TAPS // 2  # pixels beyond the border that are read where they are; farther out, from the mirror image
MARGIN = TAPS + 1  # pixels of mirror image on each side, so that every fine pixel that is read is exact


def blit(images_NCHW: Tensor, draw: Draw) -> Tensor:
    """Mirror, turn by quarters and shift by whole pixels: a copy of pixels, nothing is interpolated."""
    n, c, size, _ = images_NCHW.shape
    axis = torch.arange(size)
    y = (axis[None, :, None] - draw.shift[:, 1, None, None]).expand(n, size, size)
    x = (axis[None, None, :] - draw.shift[:, 0, None, None]).expand(n, size, size)
    # From here on twice the distance from the centre, which is whole for even and odd sizes.
    y, x = 2 * mirrored(y, size) - (size - 1), 2 * mirrored(x, size) - (size - 1)
    for turns in (1, 2, 3):
        y, x = (
            torch.where((draw.quarter_turns >= turns)[:, None, None], -x, y),
            torch.where((draw.quarter_turns >= turns)[:, None, None], y, x),
        )
    x = x * draw.flip[:, None, None]
    index = ((y + size - 1) // 2) * size + (x + size - 1) // 2
    index = index.reshape(n, 1, size * size).to(images_NCHW.device, non_blocking=True)
    index = index.expand(n, c, size * size)
    return images_NCHW.reshape(n, c, size * size).gather(2, index).reshape(n, c, size, size)


def mirrored(index: Tensor, size: int) -> Tensor:
    """Fold whole positions into 0..size-1 as a mirror at the outer edges of the border pixels does."""
    folded = index.remainder(2 * size)
    return torch.minimum(folded, 2 * size - 1 - folded)


def warp(images_NCHW: Tensor, draw: Draw) -> Tensor:
    """Scale, turn, stretch and drift about the centre, with an anti-aliasing filter; returns float32."""
    n, _, size, _ = images_NCHW.shape
    device = images_NCHW.device
    images = images_NCHW.float()
    fine = resample(images, doubling(size))
    # A fine pixel p of the result shows the place (p - DELAY) / 2, in pixels; the filter reads 2H + TAPS - 2.
    place = (torch.arange(2 * size + TAPS - 2, device=device) - DELAY) / 2 - (size - 1) / 2
    y, x = torch.meshgrid(place, place, indexing="ij")
    inverse = inverse_affine(draw, size).to(device, non_blocking=True)
    target = torch.stack([x, y, torch.ones_like(x)], dim=-1).reshape(1, -1, 3)
    source = (target.expand(n, -1, -1) @ inverse.transpose(1, 2)) + (size - 1) / 2
    fine_place = 2 * (reflected(source, size) + MARGIN) + DELAY  # pixel centres at whole numbers
    grid = (2 * fine_place + 1) / fine.shape[-1] - 1
    sampled = F.grid_sample(fine, grid.reshape(n, len(place), len(place), 2), align_corners=False)
    return resample(sampled, halving(size))


def inverse_affine(draw: Draw, size: int) -> Tensor:
    """Map places of the result to places of the source, in pixels from the centre: [N, 2, 3]."""
    scale = torch.stack([draw.scale * draw.stretch, draw.scale / draw.stretch], dim=1)
    forward = rotation(draw.angle_after) @ torch.diag_embed(scale) @ rotation(draw.angle_before)
    inverse = torch.linalg.inv(forward)
    return torch.cat([inverse, -inverse @ (draw.drift * size)[:, :, None]], dim=2)


def rotation(angle_N: Tensor) -> Tensor:
    """Turn (x right, y down) clockwise by `angle`: [N] -> [N, 2, 2]."""
    cos, sin = angle_N.cos(), angle_N.sin()
    return torch.stack([torch.stack([cos, -sin], dim=1), torch.stack([sin, cos], dim=1)], dim=1)


def reflected(place: Tensor, size: int) -> Tensor:
    """Fold places that lie more than SPARE beyond the border as `mirrored` does; leave the others."""
    folded = (place + 0.5).remainder(2 * size)
    inside = torch.minimum(folded, 2 * size - folded) - 0.5
    near = (place >= -SPARE) & (place <= size - 1 + SPARE)
    return torch.where(near, place, inside)


@lru_cache(maxsize=8)
def doubling(size: int) -> Tensor:
    """The matrix [F, size] from pixels to fine pixels, mirror image included; the first one is at p = 0."""
    matrix = torch.zeros(2 * (size + 2 * MARGIN) + TAPS - 2, size, dtype=torch.float64)
    pixels = mirrored(torch.arange(-MARGIN, size + MARGIN), size)
    for i, pixel in enumerate(pixels.tolist()):
        matrix[2 * i : 2 * i + TAPS, pixel] += torch.tensor(SYM6, dtype=torch.float64) * 2**0.5
    return matrix.float()


@lru_cache(maxsize=8)
def halving(size: int) -> Tensor:
    """The matrix [size, 2 size + TAPS - 2] back from fine pixels: the inverse of `doubling`."""
    matrix = torch.zeros(size, 2 * size + TAPS - 2, dtype=torch.float64)
    for i in range(size):
        matrix[i, 2 * i : 2 * i + TAPS] = torch.tensor(SYM6, dtype=torch.float64) / 2**0.5
    return matrix.float()


def resample(images_NCHW: Tensor, matrix: Tensor) -> Tensor:
    """Apply one matrix [out, in] to the rows and to the columns: [N, C, in, in] -> [N, C, out, out]."""
    matrix = matrix.to(images_NCHW.device, images_NCHW.dtype, non_blocking=True)
    return matrix @ (images_NCHW @ matrix.t())
