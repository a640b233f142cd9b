"""Precision and recall agree with the public program, and mean what they say."""

from __future__ import annotations

import numpy as np
import pytest

from distill.metrics.manifold import compare_manifolds


def test_the_numbers_of_the_public_program() -> None:
    """NVIDIA's precision_recall.py, run on these features."""
    random = np.random.RandomState(0)
    real = random.randn(200, 16).astype(np.float32)
    generated = (1.1 * random.randn(150, 16) + 0.2).astype(np.float32)
    found = compare_manifolds(generated, real)
    assert found.precision == pytest.approx(0.600, abs=0.0005)
    assert found.recall == pytest.approx(0.915, abs=0.0005)


def test_what_lies_apart_is_neither_precise_nor_covered() -> None:
    random = np.random.default_rng(0)
    real = random.normal(size=(60, 4))
    half = np.concatenate([real[:30], real[:30] + 100])  # half of the samples copy, half lie far away
    found = compare_manifolds(half, real)
    assert found.precision == 0.5
    assert found.generated_inside.tolist() == [True] * 30 + [False] * 30
    assert compare_manifolds(real + 100, real).recall == 0


def test_a_collapsed_generator_is_precise_and_covers_little() -> None:
    random = np.random.default_rng(0)
    real = random.normal(size=(200, 4))
    one = real[:1] + random.normal(size=(200, 4)) * 1e-3
    found = compare_manifolds(one, real)
    assert found.precision == 1
    assert found.recall < 0.05


def test_fewer_rows_than_neighbours_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 3"):
        compare_manifolds(np.zeros((3, 2)), np.zeros((9, 2)))
