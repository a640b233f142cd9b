"""Flips, crops and turns: how much of a picture is seen, and that a turn of an oblong one keeps its angles."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from distill.errors import DistillError
from distill.training.cyclegan.augment import CROP, KINDS, Views, apply_views, check_kinds, draw_views


def views_of(count: int, *kinds: str, seed: int = 0) -> Views:
    return draw_views(count, kinds, torch.Generator().manual_seed(seed))


def ramp(height: int, width: int, count: int = 1) -> Tensor:
    """Places: across in the first channel, down in the second, in pixels from the middle, a hundredth each."""
    down = torch.arange(height) - (height - 1) / 2
    across = torch.arange(width) - (width - 1) / 2
    planes = [across.expand(height, width), down[:, None].expand(height, width), torch.zeros(height, width)]
    return (torch.stack(planes) / 100).expand(count, -1, -1, -1).contiguous()


def test_a_flip_is_exact_and_befalls_about_half() -> None:
    images = ramp(8, 8, 64)
    seen = apply_views(images, views_of(64, "flip"))
    mirrored = (seen == images.flip(3)).flatten(1).all(dim=1)
    same = (seen == images).flatten(1).all(dim=1)
    assert (mirrored ^ same).all()
    assert 20 < int(mirrored.sum()) < 44


def test_a_crop_shows_so_much_of_every_picture_at_any_place() -> None:
    side, count = 64, 200
    seen = apply_views(ramp(side, side, count), views_of(count, "crop"))
    inner = seen[:, :, 8:-8, 8:-8]
    steps = inner[:, 0, :, 1:] - inner[:, 0, :, :-1]
    assert (
        steps.mean(dim=(1, 2)).mul(100).sub(CROP).abs().max() < 2e-3
    )  # bicubic: to a few hundredths of a pixel
    middles = inner[:, :2].mean(dim=(2, 3)) * 100 / (side / 2)  # as shifts
    assert middles.abs().max() <= 1 - CROP + 1e-3
    assert middles.min(dim=0).values.max() < -0.8 * (1 - CROP)
    assert middles.max(dim=0).values.min() > 0.8 * (1 - CROP)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (96, 48)])
def test_a_turn_keeps_lengths_and_angles(height: int, width: int) -> None:
    views = views_of(50, "rotate")
    assert math.radians(10) < float(views.turn.abs().max()) <= math.radians(15)
    seen = apply_views(ramp(height, width, 50), views)[:, :2] * 100
    middle = seen[:, :, height // 2 - 4 : height // 2 + 4, width // 2 - 4 : width // 2 + 4]
    across = (middle[:, :, :, 1:] - middle[:, :, :, :-1]).mean(dim=(2, 3))  # [50, 2]
    down = (middle[:, :, 1:] - middle[:, :, :-1]).mean(dim=(2, 3))
    torch.testing.assert_close(across.norm(dim=1), torch.ones(50), atol=5e-3, rtol=0)
    torch.testing.assert_close(down.norm(dim=1), torch.ones(50), atol=5e-3, rtol=0)
    assert (across * down).sum(dim=1).abs().max() < 5e-3
    torch.testing.assert_close(torch.atan2(across[:, 1], across[:, 0]), views.turn, atol=2e-2, rtol=0)


def test_the_parts_of_processes_are_those_of_the_whole() -> None:
    images, views = ramp(16, 16, 6), views_of(6, *KINDS)
    whole = apply_views(images, views)
    parts = [apply_views(images[first : first + 3], views.part(first, 3)) for first in (0, 3)]
    torch.testing.assert_close(torch.cat(parts), whole)
    assert whole.abs().max() <= 1


def test_nothing_asked_for_changes_nothing() -> None:
    images = ramp(8, 8, 4)
    assert torch.equal(apply_views(images, views_of(4)), images)
    with pytest.raises(DistillError, match="augmentation 'blur' is not one of flip, crop, rotate, none"):
        check_kinds(("flip", "blur"))
