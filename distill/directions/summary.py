"""What a curve comes to: means at each strength, movement per unit of strength, the strength to make pairs with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill.attributes.protocol import Kind
from distill.directions.fit import CONFIDENCE, logits
from distill.directions.measure import Curve
from distill.directions.unit import Floats

LINEAR = 2.0  # movement per unit is read off strengths up to this
APART = {
    "age": 20.0,
    "yaw": 20.0,
}  # of scores that are no probabilities: how far the ends of a pair must lie apart
DEVIATIONS = 2.0  # the same for any other number: in standard deviations of its score
NEAR_BEST = 0.98  # of the largest share: a smaller strength that comes so near is better


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How a score is read: a probability, with classes parted at 0.5, or a number, parted at its `median`.

    `apart` is what the ends of a pair differ by: for a number in its own unit, for a probability unused.
    """

    probability: bool
    median: float
    apart: float

    def high(self, score: Floats) -> NDArray[np.bool_]:
        return score >= (0.5 if self.probability else self.median)

    def opposite(self, low: Floats, high: Floats) -> NDArray[np.bool_]:
        """Tell where two ends would make a pair; never where one has no face."""
        if self.probability:
            return (low <= 1 - CONFIDENCE) & (high >= CONFIDENCE)
        return high - low >= self.apart


def scale_of(name: str, score_N: NDArray[Any], kind: Kind) -> Scale:
    """Read the scale of a score off many samples of it."""
    known = score_N[np.isfinite(score_N)]
    return Scale(
        probability=kind == "probability",
        median=float(np.median(known)),
        apart=APART.get(name, DEVIATIONS * float(known.std())),
    )


def rises(curve: Curve, attribute: str) -> float:
    """Return the movement of the attribute's own score per unit of strength, by the faces that were drawn."""
    return _slope(curve.strengths, np.asarray(curve.scores[attribute], np.float64))


def movements(curve: Curve, scales: Mapping[str, Scale]) -> dict[str, float]:
    """Return per unit of strength how each score moves (a probability also by its logit), and the identity."""
    moved: dict[str, float] = {}
    for name, scale in scales.items():
        moved[name] = _slope(curve.strengths, curve.scores[name])
        if scale.probability:
            moved[f"{name}_logit"] = _slope(curve.strengths, logits(curve.scores[name]))
    moved["identity"] = _rate(np.abs(curve.strengths), curve.identity, curve.strengths)
    return {name: round(value, 4) for name, value in moved.items() if np.isfinite(value)}


def summary(curve: Curve, attribute: str | None, scales: Mapping[str, Scale]) -> dict[str, Any]:
    """Return the curve as plain lists: strengths, mean scores, shares of faces found and flipped, identity.

    Flipped: on the other side of the attribute's parting than before the edit, among the faces found both times.
    """
    found = curve.found
    result: dict[str, Any] = {
        "faces": len(found),
        "strengths": curve.strengths.tolist(),
        "found": _rounded(found.mean(axis=0)),
        "mean": {name: _rounded(_mean(curve.scores[name])) for name in scales},
        "identity": _rounded(_mean(curve.identity)),
    }
    if attribute is not None:
        high = scales[attribute].high(curve.scores[attribute])
        before = curve.strengths == 0
        both = found & found[:, before]
        flipped = both & (high != high[:, before])
        result["flipped"] = _rounded(flipped.sum(axis=0) / np.maximum(both.sum(axis=0), 1))
    return result


def recommended(curve: Curve, attribute: str, scales: Mapping[str, Scale]) -> tuple[float | None, float]:
    """Return the strength to make pairs with, and the share of faces that make one at it; None where none does.

    A pair: faces found at -strength and +strength, in opposite classes with a confidence of 0.9 each; of an age,
    20 years apart. The least strength whose share comes near the largest.
    """
    scale, scores = scales[attribute], np.asarray(curve.scores[attribute])
    shares = {
        float(strength): float(
            scale.opposite(scores[:, curve.strengths == -strength], scores[:, place, None]).mean()
        )
        for place, strength in enumerate(curve.strengths)
        if strength > 0
    }
    best = max(shares.values())
    if best == 0:
        return None, 0.0
    strength = min(strength for strength, share in shares.items() if share >= NEAR_BEST * best)
    return strength, round(shares[strength], 4)


def _slope(strengths: Floats, scores_FS: Floats) -> float:
    """Fit score(s) - score(0) = slope * s to all faces, by least squares."""
    return _rate(strengths, scores_FS - scores_FS[:, strengths == 0], strengths)


def _rate(x_S: Floats, moved_FS: Floats, strengths: Floats) -> float:
    use = np.isfinite(moved_FS) & (np.abs(strengths) <= LINEAR) & (strengths != 0)
    x_FS = np.broadcast_to(x_S, moved_FS.shape)[use]
    return float(x_FS @ moved_FS[use] / (x_FS @ x_FS)) if use.any() else float("nan")


def _mean(values_FS: Floats) -> Floats:
    known = np.isfinite(values_FS)
    total = np.where(known, values_FS, 0.0).sum(axis=0)
    return np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan)


def _rounded(values: Floats) -> list[float | None]:
    return [round(float(value), 4) if np.isfinite(value) else None for value in values]
