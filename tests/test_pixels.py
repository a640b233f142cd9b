"""Floats to bytes and back."""

from __future__ import annotations

import pytest
import torch

from distill.pixels import area_downsample, to_float, to_uint8


def test_every_byte_survives_the_way_there_and_back() -> None:
    levels = torch.arange(256, dtype=torch.uint8).view(1, 16, 16, 1).expand(1, 16, 16, 3)
    assert torch.equal(to_uint8(to_float(levels)), levels)


def test_range_is_clamped_and_layout_turned() -> None:
    image = torch.full((1, 3, 2, 4), -9.0)
    image[:, 1] = 9.0
    pixels = to_uint8(image)
    assert pixels.shape == (1, 2, 4, 3)
    assert pixels[0, 0, 0].tolist() == [0, 255, 0]


def test_area_downsample_averages_whole_cells() -> None:
    image = torch.arange(16.0).view(1, 1, 4, 4)
    assert area_downsample(image, 2).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
    with pytest.raises(ValueError, match="multiple"):
        area_downsample(image, 3)
