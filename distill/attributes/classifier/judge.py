"""How good a classifier is on pictures that it has never seen. N pictures, K classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, log_loss

from distill.attributes.calibration import (
    Bin,
    chosen,
    class_calibration,
    error_by_chance,
    reliability,
    tempered,
)

SURE = 0.9  # a confidence that filters ask for
MISTAKES = 20  # that are listed, the most confident first
Numbers = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """Of the test pictures: shares that are right, with a 95 % interval, calibration, and the confusion [K, K].

    `balanced`: the mean over the classes of the share that is right. `error`: expected calibration error;
    `error_untempered` without the temperature, `error_by_chance` what would be seen were every probability true.
    `confusion[i][j]`: pictures of class i, predicted to be j. `sure`: those with a confidence of 0.9 or more.
    """

    count: int
    accuracy: float
    accuracy_95: tuple[float, float]
    balanced: float
    confidence: float
    error: float
    error_untempered: float
    error_by_chance: float
    log_loss: float
    sure: int
    sure_accuracy: float | None
    confusion: list[list[int]]
    bins: list[Bin]

    def to_json(self) -> dict[str, Any]:
        bins = [asdict(part) for part in self.bins if part.count]
        return {**asdict(self), "accuracy_95": list(self.accuracy_95), "bins": bins}


def judge(logits_NK: NDArray[np.float64], truth_N: Numbers, temperature: float, *, seed: int) -> Judgement:
    """Compare tempered logits with the true classes."""
    p_NK, classes = tempered(logits_NK, temperature), logits_NK.shape[1]
    told, confidence = chosen(p_NK), p_NK.max(axis=1)
    right = told == truth_N
    found = class_calibration(p_NK, truth_N)
    sure = confidence >= SURE
    return Judgement(
        count=len(truth_N),
        accuracy=found.accuracy,
        accuracy_95=wilson(int(right.sum()), len(right)),
        balanced=float(balanced_accuracy_score(truth_N, told)),
        confidence=found.confidence,
        error=found.error,
        error_untempered=class_calibration(tempered(logits_NK, 1.0), truth_N).error,
        error_by_chance=error_by_chance(p_NK, seed=seed),
        log_loss=float(log_loss(truth_N, p_NK, labels=range(classes))),
        sure=int(sure.sum()),
        sure_accuracy=float(right[sure].mean()) if sure.any() else None,
        confusion=confusion_matrix(truth_N, told, labels=range(classes)).tolist(),
        bins=reliability(p_NK, truth_N),
    )


def mistakes(
    logits_NK: NDArray[np.float64],
    truth_N: Numbers,
    temperature: float,
    names: Sequence[str],
    labels: Sequence[str],
) -> list[dict[str, Any]]:
    """List test pictures with a wrong prediction, the most confident first: often it is the label that is wrong."""
    p_NK = tempered(logits_NK, temperature)
    told, confidence = chosen(p_NK), p_NK.max(axis=1)
    wrong = np.flatnonzero(told != truth_N).tolist()
    wrong = sorted(wrong, key=lambda row: -float(confidence[row]))[:MISTAKES]
    return [
        {
            "file": names[row],
            "label": labels[truth_N[row]],
            "told": labels[told[row]],
            "confidence": round(float(confidence[row]), 4),
        }
        for row in wrong
    ]


def wilson(right: int, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927)."""
    found = binomtest(right, count).proportion_ci(confidence_level=0.95, method="wilson")
    return float(found.low), float(found.high)
