"""KID: the kernel distance over subsets, as the public program draws them."""

from __future__ import annotations

import numpy as np
import pytest

from distill.metrics.kernel import kernel_distance, subset_distances


def features() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.RandomState(0)
    real = random.randn(200, 16).astype(np.float32)
    generated = (1.1 * random.randn(150, 16) + 0.2).astype(np.float32)
    return generated.astype(np.float64), real.astype(np.float64)


def test_the_numbers_of_the_public_program() -> None:
    """NVIDIA's kernel_inception_distance.py on these features, seed 0, five subsets of 100; and over all pairs."""
    generated, real = features()
    found = subset_distances(generated, real, seed=0, subsets=5, most=100)
    assert found.mean() == pytest.approx(0.177234, abs=2e-6)
    assert kernel_distance(generated, real) == pytest.approx(0.193811, abs=2e-6)


def test_subsets_are_no_larger_than_the_smaller_side() -> None:
    generated, real = features()
    found = subset_distances(generated, real[:150], seed=3)
    assert found == pytest.approx(np.full(100, kernel_distance(generated, real[:150])))
