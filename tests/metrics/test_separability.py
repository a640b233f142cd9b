"""Linear separability: the published selection and entropy, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from distill.errors import DistillError
from distill.metrics.separability import conditional_entropy, select_surest, separability_score, separate


@pytest.mark.parametrize(
    ("joint", "bits"), [([[0.45, 0.05], [0.03, 0.47]], 0.398220), ([[0.62, 0.08], [0.06, 0.24]], 0.575475)]
)
def test_the_entropy_of_the_public_program(joint, bits) -> None:
    assert conditional_entropy(joint) == pytest.approx(bits, abs=1e-6)
    assert conditional_entropy(np.array(joint) * 7) == pytest.approx(bits, abs=1e-6), "counts do as well"


def test_entropy_runs_from_certainty_to_a_coin() -> None:
    assert conditional_entropy([[0.3, 0], [0, 0.7]]) == 0
    assert conditional_entropy([[0.25, 0.25], [0.25, 0.25]]) == pytest.approx(1)
    assert conditional_entropy([[0.5, 0.5], [0, 0]]) == pytest.approx(1), "an answer that is always the same"


def test_the_surest_half_is_kept_by_either_side_of_a_probability() -> None:
    scores = np.full(80, 0.6, np.float32)
    scores[[3, 50]] = 0.99, 0.02
    scores[10:20] = np.nan
    found = select_surest("smile", scores, probability=True)
    assert len(found.rows) == 35, "of the 70 that have a score"
    assert found.rows[:2].tolist() == [3, 50]
    assert found.classes[:2].tolist() == [1, 0]
    assert not set(found.rows.tolist()) & set(range(10, 20))


def test_values_are_split_at_their_median() -> None:
    ages = np.arange(100.0)
    found = select_surest("age", ages, probability=False)
    assert sorted(found.rows.tolist()) == [*range(25), *range(75, 100)]
    assert found.classes.tolist() == (ages[found.rows] > 49.5).astype(int).tolist()


def test_a_plane_separates_what_lies_apart() -> None:
    random = np.random.default_rng(0)
    latents = random.normal(size=(400, 5))
    classes = (latents @ [1, -2, 0, 0, 1] > 0).astype(np.int64)
    found = separate(latents, classes)
    assert found.bits < 0.2
    assert found.accuracy > 0.97
    coin = separate(latents, random.integers(0, 2, 400))
    assert coin.bits > 0.95
    assert separability_score([found.bits, coin.bits]) == pytest.approx(2 ** (found.bits + coin.bits))
    assert separability_score([0.0, 0.0]) == 1


@pytest.mark.parametrize(
    ("scores", "probability", "said"),
    [
        (np.linspace(0.3, 0.7, 100), True, "'x' is never sure: the surest of 100 samples is at 0.70"),
        (np.linspace(0.51, 0.99, 100), True, "'x': the 50 surest of 100 samples are all of one class"),
        (np.ones(100), False, "all of one class"),
        (np.r_[np.ones(39), np.full(61, np.nan)], True, "'x': 39 of 100 samples have a score, 40 are needed"),
    ],
)
def test_a_scorer_that_tells_nothing_is_refused(scores, probability, said) -> None:
    with pytest.raises(DistillError, match=said) as caught:
        select_surest("x", scores, probability=probability)
    assert "\n" not in str(caught.value)
