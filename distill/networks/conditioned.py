"""A generator of Pix2PixHD that is told how much to change: K constant planes beside the picture, one an attribute.

The planes enter as more channels of the first convolutions. Instance normalisation right after one would take them
away whole, since reflected borders keep them constant; so the generator has batch normalisation.
Shapes: N samples, k images of a sample, K conditions, H W image.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from distill.networks.pix2pixhd import Architecture, GlobalGenerator, LocalEnhancer
from distill.networks.student_shape import check_channels


@dataclass(frozen=True, kw_only=True)
class ConditionedShape:
    """What the network takes: the images of `generator`, whose first layer also takes this many `conditions`."""

    generator: Architecture
    conditions: int

    @property
    def inputs(self) -> int:
        """Channels of images, without the planes."""
        return self.generator.inputs - self.conditions

    @property
    def side_multiple(self) -> int:
        return self.generator.side_multiple

    @property
    def norm(self) -> str:
        return self.generator.norm

    @property
    def sides(self) -> None:
        """Images of many sizes are taken."""

    def check_inputs(self, channels: int) -> None:
        """Raise DistillError where images have other channels than the network takes beside the planes."""
        check_channels(self.inputs, channels)

    def check_sides(self, height: int, width: int) -> None:
        """Raise DistillError as `Architecture.check_sides`."""
        self.generator.check_sides(height, width)


class ConditionedGenerator(nn.Module):
    """Images [N, 3k, H, W] -> images [N, 3, H, W] in [-1, 1], changed by `condition` [K], which no file keeps.

    A condition is a change divided by its range: ±1 is as much as it was taught, 0 leaves the attribute as it is.
    A call may give one of its own, [N, K] or [K].
    """

    condition: Tensor

    def __init__(self, generator: GlobalGenerator | LocalEnhancer, condition_K: Tensor) -> None:
        super().__init__()
        self.generator = generator
        self.architecture = ConditionedShape(generator=generator.architecture, conditions=len(condition_K))
        self.register_buffer("condition", condition_K, persistent=False)

    def forward(self, images_NCHW: Tensor, condition_NK: Tensor | None = None) -> Tensor:
        condition = self.condition if condition_NK is None else condition_NK
        drawn: Tensor = self.generator(with_planes(images_NCHW, condition))
        return drawn


def with_planes(images_NCHW: Tensor, condition_NK: Tensor) -> Tensor:
    """Join conditions [N, K], or [K] of all samples alike, to images as constant planes: [N, C + K, H, W]."""
    N, _, H, W = images_NCHW.shape
    planes = condition_NK.to(images_NCHW)[..., None, None].expand(N, -1, H, W)
    return torch.cat([images_NCHW, planes], dim=1)
