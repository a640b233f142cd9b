"""Two pairs of samples of a small generator, and the left and the right half as regions."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from distill.networks.image_distance import FeatureDistance
from distill.networks.perceptual import load_perceptual
from distill.stylegan2.generator import Generator
from distill.stylegan2.interpolation.pairs import RegionPairs, region_pairs


class PixelDistance(FeatureDistance):
    """The mean absolute difference of pixels, in place of a network."""

    def __init__(self) -> None:
        super().__init__(load_perceptual("none"))

    def features(self, images_NCHW: Tensor) -> list[Tensor]:
        return [images_NCHW]

    def loss(self, found, wanted) -> Tensor:
        return (found[0] - wanted[0]).abs().mean(dim=(1, 2, 3))


@pytest.fixture(scope="session")
def pixel_distance() -> PixelDistance:
    return PixelDistance()


@pytest.fixture(scope="session")
def four_ws(tiny_teacher: Generator) -> Tensor:
    z = torch.randn(4, tiny_teacher.z_dim, generator=torch.Generator().manual_seed(4))
    return tiny_teacher.map(z).clone()


@pytest.fixture(scope="session")
def left_half(tiny_teacher: Generator) -> Tensor:
    mask = torch.zeros(tiny_teacher.resolution, tiny_teacher.resolution)
    mask[:, : tiny_teacher.resolution // 2] = 1
    return mask


@pytest.fixture(scope="session")
def two_pairs(tiny_teacher: Generator, four_ws: Tensor, left_half: Tensor) -> RegionPairs:
    masks = left_half.expand(2, -1, -1)
    return region_pairs(tiny_teacher, four_ws[:2], four_ws[2:], masks, masks)
