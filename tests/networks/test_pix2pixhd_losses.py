"""Losses against numbers worked out by hand, and where their gradients go."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from distill.networks.losses import (
    feature_matching,
    lsgan_discriminator,
    lsgan_generator,
    perceptual,
    perceptual_distance,
    real_and_fake,
)
from distill.networks.perceptual import load_perceptual
from distill.networks.pix2pixhd import create_discriminator


def scales(*values: tuple[float, ...], dtype: torch.dtype = torch.float32) -> list[list[Tensor]]:
    """Two samples of constant features, one tuple for each scale; the last of a tuple is the score."""
    return [[torch.full((2, 1, 3, 3), value, dtype=dtype) for value in features] for features in values]


def test_adversarial_losses_add_over_scales() -> None:
    real, fake = scales((9, 0.5), (9, 1.0)), scales((9, 0.25), (9, -1.0))
    assert lsgan_generator(fake).item() == pytest.approx(0.75**2 + 2**2)
    assert lsgan_discriminator(real, fake).item() == pytest.approx((0.5**2 + 0.25**2 + 0 + 1) / 2)


def test_feature_matching_is_normalised_over_layers_and_scales_and_leaves_out_scores() -> None:
    real, fake = scales((1, 2, 3, 50), (0, 0, 0, 0)), scales((2, 4, 3, 0), (0, 0, 6, 99))
    # n_layers = 2: 4 / (2 + 1) for each of 3 features, 1 / 2 for each scale.
    assert feature_matching(real, fake).item() == pytest.approx(4 / 3 * 0.5 * ((1 + 2 + 0) + 6))


def test_perceptual_loss_weighs_its_layers() -> None:
    a, b = scales((1, 2))[0], scales((3, 5))[0]
    assert perceptual(a, b, (0.5, 2.0)).item() == pytest.approx(0.5 * 2 + 2 * 3)
    none = load_perceptual("none")
    assert perceptual(none(a[0]), none(b[0]), none.weights).item() == 0
    with pytest.raises(ValueError, match="zip"):
        perceptual(a, b, (1.0,))


def test_half_precision_is_summed_in_float32() -> None:
    real, fake = scales((1, 1), dtype=torch.bfloat16), scales((0, 0), dtype=torch.bfloat16)
    losses = [
        lsgan_generator(fake),
        lsgan_discriminator(real, fake),
        feature_matching(real, fake),
        perceptual(fake[0], real[0], (1, 1)),
    ]
    assert {loss.dtype for loss in losses} == {torch.float32}


def test_nothing_flows_into_the_features_of_real() -> None:
    real = [[feature.requires_grad_() for feature in features] for features in scales((1, 2, 0))]
    fake = [[feature.requires_grad_() for feature in features] for features in scales((3, 3, 0))]
    (feature_matching(real, fake) + perceptual(fake[0], real[0], (1, 1, 1))).backward()
    assert all(feature.grad is None for feature in real[0])
    assert fake[0][0].grad is not None


def test_one_pass_is_cut_into_real_and_fake() -> None:
    network = create_discriminator(6, seed=0, ndf=4, layers=2)
    random = torch.Generator().manual_seed(0)
    a, b = (torch.rand(2, 6, 32, 32, generator=random) for _ in range(2))
    real, fake = real_and_fake(network(torch.cat([a, b])))
    together = lsgan_discriminator(real, fake)
    assert together.item() == pytest.approx(lsgan_discriminator(network(a), network(b)).item(), rel=1e-5)


def test_perceptual_distance_is_per_sample_and_ignores_brightness_of_features() -> None:
    random = torch.Generator().manual_seed(0)
    a, b = ([torch.rand(3, 8, 4, 4, generator=random) for _ in range(2)] for _ in range(2))
    assert torch.allclose(perceptual_distance(a, [3 * x for x in a]), torch.zeros(3), atol=1e-5)
    distance = perceptual_distance(a, b)
    assert distance.shape == (3,)
    assert (distance > 0.01).all()
    opposite = perceptual_distance([torch.ones(1, 4, 2, 2)], [-torch.ones(1, 4, 2, 2)])
    assert opposite.item() == pytest.approx(4.0)
