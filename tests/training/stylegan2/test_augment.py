"""Adaptive augmentation does what its matrices say, and nothing at p = 0."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from distill.training.stylegan2.augment import AdaptiveProbability, Draw, apply_changes, augment, draw_changes
from distill.training.stylegan2.augment.colour import colour_matrices, hue_rotation
from distill.training.stylegan2.augment.draw import nothing
from distill.training.stylegan2.augment.geometry import SYM6, blit, mirrored, warp

N = 3


def images(size: int = 16, *, smooth: bool = False) -> torch.Tensor:
    random = torch.Generator().manual_seed(1)
    if not smooth:
        return torch.rand(N, 3, size, size, generator=random) * 2 - 1
    small = torch.rand(N, 3, 4, 4, generator=random) * 2 - 1
    return torch.nn.functional.interpolate(small, size=size, mode="bicubic")


def only(**changes: object) -> Draw:
    """A draw in which all samples get the same changes and no others."""
    neutral = nothing(N)
    tensors = {
        name: torch.as_tensor(value, dtype=getattr(neutral, name).dtype).expand_as(getattr(neutral, name))
        for name, value in changes.items()
    }
    return replace(neutral, **tensors)


def test_p_zero_passes_bit_for_bit() -> None:
    x = images()
    assert torch.equal(augment(x, 0.0, torch.Generator().manual_seed(0)), x)


def test_a_sample_that_draws_nothing_passes_bit_for_bit_beside_others() -> None:
    x = images()
    draw = only()
    tinted = torch.tensor([0.0, 0.5, 0.0])
    y = apply_changes(x, replace(draw, brightness=tinted, scale=torch.tensor([1.0, 1.3, 1.0])))
    assert torch.equal(y[0], x[0])
    assert torch.equal(y[2], x[2])
    assert not torch.equal(y[1], x[1])


def test_known_flips_and_quarter_turns() -> None:
    x = images(7)
    assert torch.equal(apply_changes(x, only(flip=-1)), x.flip(3))
    for turns in range(4):
        assert torch.equal(blit(x, only(quarter_turns=turns)), torch.rot90(x, -turns, (2, 3)))


def test_whole_pixel_shift_with_a_mirror_beyond_the_border() -> None:
    x = images(8)
    y = apply_changes(x, only(shift=[2, -1]))
    assert torch.equal(y[:, :, :-1, 2:], x[:, :, 1:, :-2])
    assert torch.equal(y[:, :, :-1, :2], x[:, :, 1:, :2].flip(3))
    assert torch.equal(y[:, :, -1], y[:, :, -2])
    assert mirrored(torch.arange(-3, 7), 4).tolist() == [2, 1, 0, 0, 1, 2, 3, 3, 2, 1]


def test_the_wavelet_is_orthonormal() -> None:
    taps = torch.tensor(SYM6, dtype=torch.float64)
    products = [float((taps[2 * m :] * taps[: len(taps) - 2 * m]).sum()) for m in range(6)]
    assert products == pytest.approx([1, 0, 0, 0, 0, 0], abs=1e-12)


@pytest.mark.parametrize("size", [4, 8, 15, 32])
def test_a_warp_by_nothing_gives_the_image_back(size: int) -> None:
    x = images(size)
    assert torch.allclose(warp(x, only()), x, atol=3e-5)


def test_a_warp_by_whole_pixels_is_the_exact_shift() -> None:
    x = images(16)
    assert torch.allclose(
        apply_changes(x, only(drift=[2 / 16, -1 / 16])), blit(x, only(shift=[2, -1])), atol=3e-5
    )


def test_a_quarter_turn_by_angle_is_the_quarter_turn() -> None:
    x = images(16, smooth=True)
    for name in ("angle_before", "angle_after"):
        y = apply_changes(x, only(**{name: math.pi / 2}))
        assert torch.allclose(y, torch.rot90(x, -1, (2, 3)), atol=0.02)


def test_scale_and_stretch_move_a_spot_where_they_should() -> None:
    axis = torch.arange(64.0) - 31.5

    def spot(x: float, y: float) -> torch.Tensor:
        return torch.exp(-((axis[None, :] - x) ** 2 + (axis[:, None] - y) ** 2) / 18).expand(N, 3, 64, 64)

    def centre(image: torch.Tensor) -> tuple[float, float]:
        weight = image[0, 0] / image[0, 0].sum()
        return float((weight.sum(0) * axis).sum()), float((weight.sum(1) * axis).sum())

    enlarged = centre(apply_changes(spot(6, 4), only(scale=1.5)))
    assert enlarged == pytest.approx((9, 6), abs=0.05)
    stretched = centre(apply_changes(spot(6, 4), only(stretch=1.2)))
    assert stretched == pytest.approx((7.2, 4 / 1.2), abs=0.05)
    turned = centre(apply_changes(spot(6, 0), only(angle_before=math.pi / 6)))
    assert turned == pytest.approx((6 * math.cos(math.pi / 6), 3), abs=0.05)


def test_known_colour_matrices() -> None:
    x = images()
    assert torch.allclose(apply_changes(x, only(brightness=0.25)), x + 0.25, atol=1e-6)
    assert torch.allclose(apply_changes(x, only(contrast=2.0)), x * 2, atol=1e-6)
    both = apply_changes(x, only(brightness=0.25, contrast=2.0))
    assert torch.allclose(both, (x + 0.25) * 2, atol=1e-6)
    grey = x.mean(dim=1, keepdim=True)
    assert torch.allclose(apply_changes(x, only(saturation=0.0)), grey.expand_as(x), atol=1e-6)
    assert torch.allclose(apply_changes(x, only(luma_flip=1)), x - 2 * grey, atol=1e-6)
    third = apply_changes(x, only(hue=2 * math.pi / 3))
    assert torch.allclose(third, x.roll(1, dims=1), atol=1e-5)  # red becomes green becomes blue


def test_hue_is_a_rotation_about_grey() -> None:
    matrix = hue_rotation(torch.linspace(-3, 3, 7))
    assert torch.allclose(matrix @ matrix.transpose(1, 2), torch.eye(3).expand(7, 3, 3), atol=1e-6)
    assert torch.allclose(matrix @ torch.ones(3), torch.ones(7, 3), atol=1e-6)
    assert torch.allclose(colour_matrices(nothing(2))[0], torch.eye(3).expand(2, 3, 3), atol=1e-6)


def test_gradients_are_those_of_the_function() -> None:
    """Every change is linear in the image: the gradient equals a finite difference of any step."""
    torch.manual_seed(0)
    draw = draw_changes(N, 1.0, 8, torch.Generator().manual_seed(3))
    x = images(8).requires_grad_()
    weights = torch.randn(N, 3, 8, 8)
    (gradient,) = torch.autograd.grad((apply_changes(x, draw) * weights).sum(), x)
    direction = torch.randn_like(x)
    with torch.no_grad():
        moved = (apply_changes(x + direction, draw) - apply_changes(x, draw)) * weights
    assert float((gradient * direction).sum()) == pytest.approx(float(moved.sum()), rel=1e-3)


def test_changes_happen_as_often_as_p_says() -> None:
    n, p = 20_000, 0.3
    draw = draw_changes(n, p, 64, torch.Generator().manual_seed(0))
    share = {
        "flip": (draw.flip != 1, p / 2),
        "quarter_turns": (draw.quarter_turns != 0, p * 3 / 4),
        "scale": (draw.scale != 1, p),
        "rotation": ((draw.angle_before != 0) | (draw.angle_after != 0), p),
        "hue": (draw.hue != 0, p),
        "luma_flip": (draw.luma_flip != 0, p / 2),
    }
    for name, (happened, expected) in share.items():
        assert float(happened.float().mean()) == pytest.approx(expected, abs=0.012), name
    assert int(draw.shift.abs().max()) == 8
    scales = draw.scale[draw.scale != 1].log2()
    assert float(scales.std()) == pytest.approx(0.2, abs=0.01)
    angles = draw.angle_before[draw.angle_before != 0]
    assert float(angles.mean()) == pytest.approx(0, abs=0.15)
    assert float(angles.abs().max()) <= math.pi


def test_p_does_not_shift_the_stream() -> None:
    first, second = torch.Generator().manual_seed(0), torch.Generator().manual_seed(0)
    draw_changes(4, 0.1, 8, first)
    draw_changes(4, 0.9, 8, second)
    assert torch.equal(torch.rand(3, generator=first), torch.rand(3, generator=second))


def test_p_rises_while_the_real_images_are_too_sure_and_falls_after() -> None:
    ada = AdaptiveProbability(target=0.6, images=1000, interval=4)
    sure, unsure = torch.full((10,), 2.0), torch.tensor([1.0, -1.0] * 5)
    for _ in range(8):
        ada.observe(sure)
    assert ada.p == pytest.approx(0.08)  # 80 of 1000 images
    assert ada.last_sign == 1.0
    for _ in range(4):
        ada.observe(unsure)
    assert ada.p == pytest.approx(0.04)
    assert ada.last_sign == 0.0
    for _ in range(8):
        ada.observe(-sure)
    assert ada.p == 0.0


def test_p_goes_on_from_its_state_in_the_middle_of_an_interval() -> None:
    whole, half = (AdaptiveProbability(target=0.5, images=100, interval=4) for _ in range(2))
    batches = [torch.randn(6, generator=torch.Generator().manual_seed(i)) + 0.5 for i in range(9)]
    for batch in batches:
        whole.observe(batch)
    for batch in batches[:6]:
        half.observe(batch)
    later = AdaptiveProbability(target=0.5, images=100, interval=4)
    later.load_state(half.state())
    for batch in batches[6:]:
        later.observe(batch)
    assert later.state() == whole.state()


def test_a_fixed_p_stays() -> None:
    ada = AdaptiveProbability(target=None, images=10, p=0.25)
    for _ in range(8):
        ada.observe(torch.ones(4))
    assert ada.p == 0.25
