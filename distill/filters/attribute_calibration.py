"""How far a confidence can be believed: calibration error, and the temperature that mends it (Guo et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar

from distill.errors import DistillError

BINS = 10  # of confidence, from 0.5 to 1
TEMPERATURES = (0.05, 20.0)


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Of `count` faces: the share that is right, the mean confidence, and the expected calibration error."""

    count: int
    accuracy: float
    confidence: float
    error: float


def calibration(probabilities: ArrayLike, truth: ArrayLike) -> Calibration:
    """Compare probabilities [N] of a yes with what is true [N].

    The error is the mean distance between confidence and accuracy over 10 equal bins of confidence, each with the
    share of the faces in it (expected calibration error). Raises DistillError for none, or unequal numbers.
    """
    p, yes = np.asarray(probabilities, dtype=np.float64), np.asarray(truth, dtype=bool)
    if p.shape != yes.shape or p.ndim != 1 or len(p) == 0:
        raise DistillError(
            f"calibration: {p.size} probabilities and {yes.size} labels; at least 1 of each is needed"
        )
    confidence, right = np.maximum(p, 1 - p), (p >= 0.5) == yes
    bins = np.minimum((2 * BINS * (confidence - 0.5)).astype(int), BINS - 1)
    gaps = [abs((confidence[bins == i] - right[bins == i]).sum()) for i in range(BINS)]
    return Calibration(
        count=len(p),
        accuracy=float(right.mean()),
        confidence=float(confidence.mean()),
        error=float(sum(gaps) / len(p)),
    )


def fit_temperature(differences: ArrayLike, truth: ArrayLike) -> float:
    """Return the T at which sigmoid(d / T) is most likely, of logit differences d [N] and what is true [N].

    Found between 0.05 and 20. Raises DistillError where only one of the two classes is there.
    """
    d, yes = np.asarray(differences, dtype=np.float64), np.asarray(truth, dtype=bool)
    if d.shape != yes.shape or yes.all() or not yes.any():
        raise DistillError(
            f"a temperature needs faces of both classes; of {yes.size}, {int(yes.sum())} are yes"
        )
    signed = np.where(yes, d, -d)

    def loss(log_temperature: float) -> float:
        return float(np.logaddexp(0.0, -signed / np.exp(log_temperature)).mean())

    found = minimize_scalar(loss, bounds=tuple(np.log(TEMPERATURES)), method="bounded")
    return float(np.exp(found.x))
