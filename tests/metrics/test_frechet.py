"""The Fréchet distance of known normal distributions, and scores that carry the names of their features."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from distill.errors import DistillError
from distill.metrics.features import load_features
from distill.metrics.frechet import Moments, frechet_distance, moments, score_name


def normal(mean: list[float], covariance: list[list[float]]) -> Moments:
    return Moments(np.asarray(mean, float), np.asarray(covariance, float), 100)


def test_known_distances() -> None:
    unit = [[1.0, 0.0], [0.0, 1.0]]
    assert frechet_distance(normal([0, 0], unit), normal([3, 4], unit)) == pytest.approx(25)
    # Diagonal: the sum of (s1 - s2)^2 over deviations.
    wide = [[9.0, 0.0], [0.0, 4.0]]
    assert frechet_distance(normal([0, 0], unit), normal([0, 0], wide)) == pytest.approx(4 + 1)
    assert frechet_distance(normal([1, 2], wide), normal([1, 2], wide)) == pytest.approx(0, abs=1e-9)


def test_covariances_that_do_not_commute_against_the_matrix_root() -> None:
    from scipy.linalg import sqrtm

    random = np.random.default_rng(0)
    a, b = (moments(random.normal(size=(50, 6)) @ random.normal(size=(6, 6))) for _ in range(2))
    root = np.real(sqrtm(a.covariance @ b.covariance))
    expected = ((a.mean - b.mean) ** 2).sum() + np.trace(a.covariance + b.covariance - 2 * root)
    assert frechet_distance(a, b) == pytest.approx(expected)
    assert frechet_distance(b, a) == pytest.approx(expected)


def test_fewer_samples_than_features() -> None:
    random = np.random.default_rng(0)
    few = moments(random.normal(size=(5, 40)))
    assert frechet_distance(few, few) == pytest.approx(0, abs=1e-6)
    with pytest.raises(ValueError, match="two rows"):
        moments(np.zeros((1, 4)))


def test_scores_are_named_after_their_features() -> None:
    features = load_features("pixels8")
    assert score_name(features.name) == "frechet_pixels8"
    images = torch.full((2, 16, 16, 3), 255, dtype=torch.uint8)
    assert np.allclose(features.of([images, images]), np.ones((4, 192)))
    with pytest.raises(
        DistillError,
        match=r"unknown features 'vgg19'; known are auto, efficientnet_lite0, inception\[=FILE\]",
    ):
        load_features("vgg19")


def test_the_numbers_of_the_public_programs() -> None:
    """NVIDIA's frechet_inception_distance.py (covariance / N) and pytorch-fid's (/ N - 1) on these features."""
    random = np.random.RandomState(0)
    real = random.randn(200, 16).astype(np.float32).astype(np.float64)
    generated = (1.1 * random.randn(150, 16) + 0.2).astype(np.float32).astype(np.float64)
    for unbiased, expected in ((False, 2.237650), (True, 2.248501)):
        a, b = (moments(x, unbiased=unbiased) for x in (real, generated))
        assert frechet_distance(a, b) == pytest.approx(expected, abs=2e-6)
