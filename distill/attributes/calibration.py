"""How far a confidence can be believed: calibration error, and the temperature that mends it (Guo et al. 2017).

N pictures, K classes. A confidence is the probability of the most likely class, so at least 1/K.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from distill.errors import DistillError

BINS = 10  # of confidence, from 1/K to 1
TEMPERATURES = (0.05, 20.0)
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Of `count` pictures: the share that is right, the mean confidence, and the expected calibration error."""

    count: int
    accuracy: float
    confidence: float
    error: float


@dataclass(frozen=True, kw_only=True)
class Bin:
    """The `count` pictures with a confidence from `low` to `high`: their mean confidence, the share that is right.

    Both are NaN where there are none.
    """

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


def calibration(probabilities: ArrayLike, truth: ArrayLike) -> Calibration:
    """Compare probabilities [N] of a yes with what is true [N].

    The error is the mean distance between confidence and accuracy over 10 equal bins of confidence, each with the
    share of the pictures in it (expected calibration error). Raises DistillError for none, or unequal numbers.
    """
    p, yes = np.asarray(probabilities, dtype=np.float64), np.asarray(truth, dtype=bool)
    if p.shape != yes.shape or p.ndim != 1 or len(p) == 0:
        raise DistillError(
            f"calibration: {p.size} probabilities and {yes.size} labels; at least 1 of each is needed"
        )
    return class_calibration(np.stack([1 - p, p], axis=1), yes.astype(int))


def class_calibration(probabilities_NK: ArrayLike, truth_N: ArrayLike) -> Calibration:
    """Compare probabilities [N, K] with the number of the true class [N], as `calibration`."""
    bins = reliability(probabilities_NK, truth_N)
    count = sum(part.count for part in bins)
    full = [part for part in bins if part.count]
    return Calibration(
        count=count,
        accuracy=sum(part.count * part.accuracy for part in full) / count,
        confidence=sum(part.count * part.confidence for part in full) / count,
        error=sum(part.count * abs(part.confidence - part.accuracy) for part in full) / count,
    )


def reliability(probabilities_NK: ArrayLike, truth_N: ArrayLike) -> list[Bin]:
    """Return the 10 bins of confidence from 1/K to 1. Raises DistillError for unequal numbers, or none."""
    p, truth = np.asarray(probabilities_NK, dtype=np.float64), np.asarray(truth_N, dtype=np.int64)
    if p.ndim != 2 or p.shape[1] < 2 or truth.shape != p.shape[:1] or len(p) == 0:
        raise DistillError(
            f"calibration: probabilities {list(p.shape)} and labels {list(truth.shape)}; [N, K] and [N] are needed"
        )
    confidence, right = p.max(axis=1), chosen(p) == truth
    lowest = 1 / p.shape[1]
    places = np.clip((BINS * (confidence - lowest) / (1 - lowest)).astype(int), 0, BINS - 1)
    edges = np.linspace(lowest, 1, BINS + 1)
    return [
        Bin(
            low=float(edges[number]),
            high=float(edges[number + 1]),
            count=int(inside.sum()),
            confidence=float(confidence[inside].mean()) if inside.any() else float("nan"),
            accuracy=float(right[inside].mean()) if inside.any() else float("nan"),
        )
        for number, inside in ((number, places == number) for number in range(BINS))
    ]


def chosen(probabilities_NK: Floats) -> NDArray[np.int64]:
    """Return the most likely class [N]; of equal ones the last, so that 0.5 is a yes."""
    last = probabilities_NK.shape[1] - 1
    return np.asarray(last - probabilities_NK[:, ::-1].argmax(axis=1), dtype=np.int64)


def error_by_chance(probabilities_NK: Floats, *, seed: int, draws: int = 200) -> float:
    """Return the calibration error that probabilities [N, K] would show on average if every one of them were true.

    It is above 0 for few pictures, and what the error of a good classifier should be compared with.
    """
    rng = np.random.Generator(np.random.Philox(seed))
    sums = probabilities_NK.cumsum(axis=1)
    last = probabilities_NK.shape[1] - 1
    errors = []
    for _ in range(draws):
        truth = (rng.random((len(sums), 1)) > sums).sum(axis=1)
        errors.append(class_calibration(probabilities_NK, np.minimum(truth, last)).error)
    return float(np.mean(errors))


def fit_class_temperature(logits_NK: ArrayLike, truth_N: ArrayLike) -> float:
    """Return the T, from 0.05 to 20, at which softmax(logits / T) is most likely, with Platt's prior.

    Each of the n pictures of a class counts as (n + 1) / (n + K) of it (Platt 1999): where none of few pictures is
    wrong, the likelihood alone would ask for a confidence of 1, which so few cannot show.
    """
    logits, truth = np.asarray(logits_NK, dtype=np.float64), np.asarray(truth_N, dtype=np.int64)
    classes = logits.shape[1]
    counts = np.bincount(truth, minlength=classes)
    other = 1 / (counts + classes)
    targets_NK = np.repeat(other[truth][:, None], classes, axis=1)
    targets_NK[np.arange(len(truth)), truth] = ((counts + 1) / (counts + classes))[truth]
    return _most_likely(logits, targets_NK)


def tempered(logits_NK: ArrayLike, temperature: float) -> Floats:
    """Return softmax(logits / T), float64 [N, K]."""
    return np.asarray(softmax(np.asarray(logits_NK, dtype=np.float64) / temperature, axis=1))


def _most_likely(logits_NK: Floats, targets_NK: Floats) -> float:
    def loss(log_temperature: float) -> float:
        return float(
            -(targets_NK * log_softmax(logits_NK / np.exp(log_temperature), axis=1)).sum(axis=1).mean()
        )

    found = minimize_scalar(loss, bounds=tuple(np.log(TEMPERATURES)), method="bounded")
    return float(np.exp(found.x))
