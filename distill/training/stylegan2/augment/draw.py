"""What is drawn for each sample, and with what spread.

All random numbers are drawn on the CPU from a generator passed in, always the same count, so that neither the
device nor p shifts what a later draw gives. N samples; sizes in pixels; angles in radians.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Self

import torch
from torch import Tensor

# Table 3 and appendix B of the ADA paper.
SHIFT_MAX = 0.125  # whole-pixel translation: at most this part of the side
DRIFT_STD = 0.125  # fractional translation: standard deviation as part of the side
SCALE_STD = 0.2  # of log2 of both scalings
BRIGHTNESS_STD = 0.2
CONTRAST_STD = 0.5  # of log2
SATURATION_STD = 1.0  # of log2


@dataclass(frozen=True, kw_only=True, eq=False)
class Draw:
    """What happens to each of N samples."""

    flip: Tensor  # [N] 1, or -1: mirrored left-right
    quarter_turns: Tensor  # [N] 0..3, clockwise
    shift: Tensor  # [N, 2] whole pixels to the right, down
    scale: Tensor  # [N] above 1 enlarges
    angle_before: Tensor  # [N] clockwise, before the stretch
    stretch: Tensor  # [N] x is scaled by it, y by its inverse
    angle_after: Tensor  # [N] clockwise, after the stretch
    drift: Tensor  # [N, 2] parts of the side to the right, down
    brightness: Tensor  # [N] added
    contrast: Tensor  # [N] factor
    luma_flip: Tensor  # [N] 1: light becomes dark at the same hue
    hue: Tensor  # [N] turn about the grey axis
    saturation: Tensor  # [N] factor

    def __getitem__(self, which: slice | Tensor) -> Self:
        return type(self)(**{field.name: getattr(self, field.name)[which] for field in fields(self)})

    def is_moved(self) -> Tensor:
        return (self.flip != 1) | (self.quarter_turns != 0) | (self.shift != 0).any(dim=1)

    def is_bent(self) -> Tensor:
        turned = (self.angle_before != 0) | (self.angle_after != 0)
        return (self.scale != 1) | turned | (self.stretch != 1) | (self.drift != 0).any(dim=1)

    def is_tinted(self) -> Tensor:
        light = (self.brightness != 0) | (self.contrast != 1) | (self.luma_flip != 0)
        return light | (self.hue != 0) | (self.saturation != 1)


def nothing(n: int) -> Draw:
    """A draw that leaves n samples as they are."""
    return draw_changes(n, 0.0, 8, torch.Generator())


def draw_changes(n: int, p: float, size: int, generator: torch.Generator) -> Draw:
    """Draw the changes of n samples of `size` px, each made with probability p in [0, 1]."""
    uniform = torch.rand(n, 8, generator=generator)
    normal = torch.randn(n, 7, generator=generator)
    chance = torch.full((13,), float(p))
    # Two rotations, one on either side of the stretch: at least one happens with probability p.
    chance[[4, 6]] = 1.0 - math.sqrt(1.0 - p)
    made = torch.rand(n, 13, generator=generator) < chance

    def pick(column: int, value: Tensor, neutral: float) -> Tensor:
        hit = made[:, column] if value.ndim == 1 else made[:, column, None]
        return torch.where(hit, value, torch.full_like(value, neutral))

    reach = int(SHIFT_MAX * size)
    return Draw(
        flip=pick(0, 1 - 2 * _whole(uniform[:, 0], 2), 1),
        quarter_turns=pick(1, _whole(uniform[:, 1], 4), 0),
        shift=pick(2, _whole(uniform[:, 2:4], 2 * reach + 1) - reach, 0),
        scale=pick(3, torch.exp2(normal[:, 0] * SCALE_STD), 1),
        angle_before=pick(4, (2 * uniform[:, 4] - 1) * math.pi, 0),
        stretch=pick(5, torch.exp2(normal[:, 1] * SCALE_STD), 1),
        angle_after=pick(6, (2 * uniform[:, 5] - 1) * math.pi, 0),
        drift=pick(7, normal[:, 2:4] * DRIFT_STD, 0),
        brightness=pick(8, normal[:, 4] * BRIGHTNESS_STD, 0),
        contrast=pick(9, torch.exp2(normal[:, 5] * CONTRAST_STD), 1),
        luma_flip=pick(10, _whole(uniform[:, 6], 2), 0),
        hue=pick(11, (2 * uniform[:, 7] - 1) * math.pi, 0),
        saturation=pick(12, torch.exp2(normal[:, 6] * SATURATION_STD), 1),
    )


def _whole(uniform: Tensor, count: int) -> Tensor:
    """Turn numbers in [0, 1) into 0..count-1."""
    return (uniform * count).long().clamp(max=count - 1)
