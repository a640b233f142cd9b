"""The blur that fades: what it does to images, and that the critic sees all images through it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from distill.training.place import Place
from distill.training.stylegan2.augment.blur import fading, soften
from distill.training.stylegan2.presets import PRESETS
from distill.training.stylegan2.step import StyleGAN2Step

TINY = replace(PRESETS["tiny"], blur_sigma=2.0, blur_kimg=10.0)


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0])
def test_a_point_becomes_a_gaussian(sigma: float) -> None:
    point = torch.zeros(1, 3, 33, 33)
    point[:, :, 16, 16] = 1.0
    places = torch.arange(33) - 16.0
    for axis in (2, 3):
        row = soften(point, sigma).sum(dim=axis)[0, 0]
        assert float(row.sum()) == pytest.approx(1.0, abs=1e-5)
        assert float((row * places.square()).sum()) == pytest.approx(sigma**2, rel=0.15)


def test_small_images_and_small_blurs() -> None:
    images = torch.rand(2, 3, 4, 4)
    assert soften(images, 0.29) is images
    assert soften(images, 20.0).shape == images.shape
    assert torch.allclose(soften(torch.full((1, 3, 8, 8), 0.7), 3.0), torch.tensor(0.7))


def test_the_blur_fades_in_a_straight_line() -> None:
    assert [fading(2.0, samples, 10.0) for samples in (0, 5_000, 10_000, 20_000)] == [2.0, 1.0, 0.0, 0.0]
    assert fading(2.0, 0, 0.0) == 0.0


@pytest.mark.parametrize(("samples", "sharp"), [(0, False), (10_000, True)])
def test_the_critic_sees_both_kinds_of_images_through_it(samples: int, sharp: bool) -> None:
    step = StyleGAN2Step(TINY, 16, seed=0)
    checks = torch.ones(TINY.batch, 3, 16, 16)
    checks[:, :, ::2, ::2] = checks[:, :, 1::2, 1::2] = -1.0
    seen: list[Tensor] = []
    learn, judge = step.critic.learn, step.critic.generator_loss

    def watched_learn(reals: Tensor, fakes: Tensor) -> object:
        seen.extend([reals, fakes])
        return learn(reals, fakes)

    def watched_judge(images: Tensor) -> Tensor:
        seen.append(images.detach())
        return judge(images)

    step.critic.learn, step.critic.generator_loss = watched_learn, watched_judge  # type: ignore[assignment, method-assign]
    step.update(checks, Place(seed=0, updates=0, samples=samples))
    reals, *drawn = seen
    assert (float(reals[..., 4:-4, 4:-4].abs().mean()) > 0.9) == sharp
    for images in drawn:
        step_to_next = (images[..., 1:] - images[..., :-1]).abs().mean()
        assert (float(step_to_next / images.std()) > 0.15) == sharp
