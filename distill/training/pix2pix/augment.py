"""Paired augmentation: one change for all images of a triplet, each triplet its own, the whole batch at once.

Sharpness alone is changed in the inputs only: photographs are sharper than what a small teacher draws, and a student
that has seen soft inputs alone leaves their detail as it is; what it should draw stays as it was.

Shapes: N triplets of the batch of all processes, B of them here, R roles, 3 colours, H W image in [-1, 1].
Instance normalisation right after a student's first layer takes brightness and contrast of its inputs away. Changing
these would change targets for no visible reason; gamma, saturation and hue it can see.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from distill.errors import DistillError

PAIRED = ("flip", "crop", "geometry", "colour")
KINDS = (*PAIRED, "sharpness")
SHARE = 0.5  # of the triplets get a kind of change; the others stay as sharp as they are
CROP = 0.9  # smallest side of a crop, of the whole (the public Pix2PixHD: 256 of 286)
ANGLE, STRETCH, SHIFT = math.radians(5), 0.05, 0.04  # largest turn, change of size, way as a part of the side
GAMMA, SATURATION, HUE = 0.35, 0.35, math.radians(10)  # gamma and saturation as powers of 2
SHARPEST = 3.0  # how much of what a blur takes away is added again at most
SOFTEST = -0.5
BLUR = (0.25, 0.5, 0.25)
GREY = 0.15  # of the triplets whose colours change: they lose them, so that a student knows what grey photographs are


@dataclass(frozen=True)
class Changes:
    """The change of each triplet. `affine` [N, 2, 3] leads from an output's place to an input's, sides at ±1."""

    affine: Tensor
    colour: Tensor  # [N, 3, 3], about 0
    gamma: Tensor  # [N]
    sharpness: Tensor  # [N], of the inputs: -1 is blurred, 0 as it is

    @property
    def flipped(self) -> Tensor:
        """Which triplets are mirrored, bool [N]; turns are too small to be one."""
        return self.affine[:, 0, 0] < 0

    def part(self, first: int, count: int) -> Changes:
        """Those of one process or one part of the batch."""
        return Changes(
            *(x.narrow(0, first, count) for x in (self.affine, self.colour, self.gamma, self.sharpness))
        )


def check_kinds(kinds: Collection[str]) -> None:
    """Raise DistillError for an unknown kind of change."""
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise DistillError(f"augmentation {unknown[0]!r} is not one of {', '.join(KINDS)}, none")


def draw_changes(count: int, kinds: Collection[str], random: torch.Generator) -> Changes:
    """Draw changes of N triplets. Leaving one kind out does not change what the others draw."""
    happens = (torch.rand(len(PAIRED), count, generator=random) < SHARE) & torch.tensor(
        [[kind in kinds] for kind in PAIRED]
    )
    amount = torch.rand(9, count, generator=random) * 2 - 1
    flip, crop, geometry, colour = happens.float()
    gamma = 2 ** (colour * GAMMA * (torch.rand(count, generator=random) * 2 - 1))
    coloured = (torch.rand(count, generator=random) >= colour * GREY).float()
    saturation = coloured * 2 ** (colour * SATURATION * amount[8])
    side = 1 - crop * (amount[0] + 1) / 2 * (1 - CROP)  # of the crop
    sharp = (torch.rand(count, generator=random) < SHARE) & ("sharpness" in kinds)
    sharpness = sharp * (torch.rand(count, generator=random) * (SHARPEST - SOFTEST) + SOFTEST)
    moved = crop * (1 - side) * amount[1:3] + geometry * 2 * SHIFT * amount[3:5]
    turn, size = geometry * ANGLE * amount[5], side * 2 ** (geometry * STRETCH * amount[6])
    cos, sin, mirror = size * turn.cos(), size * turn.sin(), 1 - 2 * flip
    rows = [torch.stack([mirror * cos, -sin, moved[0]]), torch.stack([mirror * sin, cos, moved[1]])]
    return Changes(
        affine=torch.stack(rows).permute(2, 0, 1).contiguous(),
        colour=_colour_matrices(colour * HUE * amount[7], saturation),
        gamma=gamma,
        sharpness=sharpness,
    )


def _colour_matrices(hue_N: Tensor, saturation_N: Tensor) -> Tensor:
    """Turn colours about the grey axis and scale their distance from it: [N, 3, 3] (Rodrigues' formula)."""
    grey = torch.full((3, 3), 1 / 3)
    cross = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / math.sqrt(3)
    cos, sin = hue_N.cos()[:, None, None], hue_N.sin()[:, None, None]
    return grey + saturation_N[:, None, None] * (cos * (torch.eye(3) - grey) + sin * cross)


def apply_changes(images_BRCHW: Tensor, changes: Changes) -> Tensor:
    """Change triplets [B, R, 3, H, W] in [-1, 1], all roles of one alike; what comes into view is reflected."""
    B, R, C, H, W = images_BRCHW.shape
    affine, colour, gamma, sharpness = (
        x.to(images_BRCHW.device, non_blocking=True)
        for x in (changes.affine, changes.colour, changes.gamma, changes.sharpness)
    )
    grid = F.affine_grid(affine, [B, R * C, H, W], align_corners=False)
    flat = images_BRCHW.flatten(1, 2)
    # Bicubic, since a student learns to blur from targets that were blurred.
    flat = F.grid_sample(flat, grid, mode="bicubic", padding_mode="reflection", align_corners=False)
    pixels = colour[:, None] @ flat.view(B, R, C, H * W)
    light = ((pixels + 1) / 2).clamp(0, 1) ** gamma[:, None, None, None]
    images = (light * 2 - 1).view(B, R, C, H, W)
    if changes.sharpness.any():  # asked of the host's copy: the device is not waited for
        inputs = sharpened(images[:, :-1].reshape(-1, C, H, W), sharpness.repeat_interleave(R - 1))
        images = torch.cat([inputs.view(B, R - 1, C, H, W), images[:, -1:]], dim=1)
    return images


def sharpened(images_NCHW: Tensor, amount_N: Tensor) -> Tensor:
    """Add to each image this much of what a small blur takes from it; below 0, take it away. Stays in [-1, 1]."""
    kernel = torch.tensor(BLUR).to(images_NCHW.device, images_NCHW.dtype, non_blocking=True)
    kernel = torch.outer(kernel, kernel).expand(images_NCHW.shape[1], 1, -1, -1)
    padded = F.pad(images_NCHW, (1, 1, 1, 1), mode="reflect")
    detail = images_NCHW - F.conv2d(padded, kernel, groups=images_NCHW.shape[1])
    return (images_NCHW + amount_N[:, None, None, None] * detail).clamp(-1, 1)
