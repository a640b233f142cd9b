"""What a CycleGAN sees of a picture: mirrored or not, a crop of it, turned a little; each picture its own.

N pictures of the batch of all processes, B of them here, 3 colours, H W image in [-1, 1].
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from distill.errors import DistillError

KINDS = ("flip", "crop", "rotate")
CROP = 256 / 286  # the side of a crop, of the whole: the public code scales to 286 px and cuts out 256
ANGLE = math.radians(15)  # largest turn


@dataclass(frozen=True)
class Views:
    """How each picture is seen: `mirrored` or not [N], turned [N], `side` of the whole of it, moved [N, 2].

    Turns are in radians, shifts in halves of the side.
    """

    mirrored: Tensor
    turn: Tensor
    shift: Tensor
    side: float

    def part(self, first: int, count: int) -> Views:
        """Those of one process."""
        mirrored, turn, shift = (x.narrow(0, first, count) for x in (self.mirrored, self.turn, self.shift))
        return Views(mirrored, turn, shift, self.side)


def check_kinds(kinds: Collection[str]) -> None:
    """Raise DistillError for an unknown kind of change."""
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise DistillError(f"augmentation {unknown[0]!r} is not one of {', '.join(KINDS)}, none")


def draw_views(count: int, kinds: Collection[str], random: torch.Generator) -> Views:
    """Draw views of N pictures. Leaving one kind out does not change what the others draw."""
    amount = torch.rand(4, count, generator=random) * 2 - 1
    side = CROP if "crop" in kinds else 1.0
    return Views(
        mirrored=(amount[0] < 0) & ("flip" in kinds),
        turn=amount[1] * ANGLE * ("rotate" in kinds),
        shift=(1 - side) * amount[2:].T,
        side=side,
    )


def apply_views(images_BCHW: Tensor, views: Views) -> Tensor:
    """Show pictures [B, 3, H, W] so, at the same size; what comes into view is reflected."""
    device, (H, W) = images_BCHW.device, images_BCHW.shape[2:]
    mirrored = views.mirrored.to(device, non_blocking=True)[:, None, None, None]
    images = torch.where(mirrored, images_BCHW.flip(3), images_BCHW)
    if views.side == 1 and not views.turn.any():
        return images
    cos, sin = views.side * views.turn.cos(), views.side * views.turn.sin()
    # Places run from -1 to 1 on both sides: a turn of an oblong picture is one of pixels, not of these.
    across = torch.stack([cos, -sin * H / W, views.shift[:, 0]], dim=1)
    down = torch.stack([sin * W / H, cos, views.shift[:, 1]], dim=1)
    affine = torch.stack([across, down], dim=1).to(device, non_blocking=True)
    grid = F.affine_grid(affine, list(images.shape), align_corners=False)
    seen = F.grid_sample(images, grid, mode="bicubic", padding_mode="reflection", align_corners=False)
    return seen.clamp(-1, 1)
