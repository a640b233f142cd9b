"""Find the direction in w along which a score rises: four methods, and what each tells faces it has not seen.

All see w less its mean, over its root mean square deviation (one number, so that angles stay). Shapes: N faces,
D latent width, K strengths of regularisation.

  centroid  mean w of the one end less that of the other (Viazovetskyi et al. 2020, section 3)
  logistic  normal of the logistic regression between the ends (as the directions published with that paper)
  svm       normal of the linear support vector machine, squared hinge loss (Shen et al. 2020, section 2)
  ridge     slope of the linear regression of the score itself; of a probability, of its logit

The ends are, of a probability, the faces with a confidence of at least `confidence`; of any other score, such as
an age in years, its lower and upper third. Both ends weigh the same, however many faces they have.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from distill.attributes.protocol import Kind
from distill.directions.linear import along, between
from distill.directions.unit import Floats
from distill.errors import DistillError

Method = Literal["auto", "centroid", "logistic", "svm", "ridge"]
METHODS: tuple[str, ...] = get_args(Method)
Bools = NDArray[np.bool_]

CONFIDENCE = 0.9
MIN_END = 10  # faces at either end
HELD_OUT = 5  # every fifth face is held out
SURE = 0.001  # a probability is not believed to lie closer to 0 or 1 than that


@dataclass(frozen=True, kw_only=True)
class FittedNormal:
    """A unit normal [D] in w along which the score rises, the method, and facts of the fit as plain values."""

    normal: Floats
    method: str
    facts: dict[str, Any]


def logits(probability: NDArray[Any]) -> Floats:
    return np.asarray(logit(np.clip(np.asarray(probability, np.float64), SURE, 1 - SURE)))


def ends_of(score_N: NDArray[Any], kind: Kind, confidence: float = CONFIDENCE) -> tuple[Bools, Bools]:
    """Tell which faces lie at the low and at the high end of a score [N]."""
    if kind == "probability":
        return score_N <= 1 - confidence, score_N >= confidence
    low, high = np.quantile(score_N, [1 / 3, 2 / 3])
    return score_N < low, score_N > high


def held_out(count: int) -> Bools:
    """Tell which of `count` independent faces take no part in a fit."""
    return np.asarray(np.arange(count) % HELD_OUT == HELD_OUT - 1)


def fit(
    w_ND: Floats,
    score_N: NDArray[Any],
    attribute: str,
    *,
    kind: Kind,
    method: str = "auto",
    confidence: float = CONFIDENCE,
) -> FittedNormal:
    """Fit a direction to faces with w [N, D] and a score [N] each, but for the held-out ones.

    "auto" is logistic for a probability, else ridge. Raises DistillError for an unknown method, and where one end
    has too few faces.
    """
    check_method(method)
    test = held_out(len(w_ND))
    if method == "auto":
        method = "logistic" if kind == "probability" else "ridge"
    low, high = ends_of(score_N, kind, confidence)
    _check_ends(attribute, kind, score_N, low & ~test, high & ~test, confidence)
    mean = w_ND[~test].mean(axis=0)
    x_ND = (w_ND - mean) / np.sqrt(((w_ND[~test] - mean) ** 2).mean())
    facts: dict[str, Any] = {"kind": kind, "faces": len(w_ND), "ends": [int(low.sum()), int(high.sum())]}
    if kind == "probability":
        facts["confidence"] = confidence
    if method == "ridge":
        normal, facts["ridge"] = along(x_ND[~test], _values(score_N, kind)[~test])
    else:
        seen = (low | high) & ~test
        normal, facts["ridge"] = _between(x_ND[seen], high[seen], method)
    length = np.linalg.norm(normal)
    if not np.isfinite(length) or length == 0:
        raise DistillError(f"{attribute!r} does not depend on w: the method {method} gives no direction")
    return FittedNormal(normal=normal / length, method=method, facts=facts)


def check_method(method: str) -> None:
    """Raise DistillError for an unknown method."""
    if method not in METHODS:
        raise DistillError(f"unknown method {method!r}; known are {', '.join(METHODS)}")


def _between(x_ND: Floats, high_N: Bools, method: str) -> tuple[Floats, float | None]:
    """Return the normal between two ends, and the ridge that was chosen for it."""
    if method == "centroid":
        return x_ND[high_N].mean(axis=0) - x_ND[~high_N].mean(axis=0), None
    return between(x_ND, high_N, method)


def _values(score_N: NDArray[Any], kind: Kind) -> Floats:
    """What a line is fitted to: a probability's logit, any other score itself."""
    return logits(score_N) if kind == "probability" else np.asarray(score_N, np.float64)


def judge(
    w_ND: Floats, score_N: NDArray[Any], normal_D: Floats, *, kind: Kind, confidence: float = CONFIDENCE
) -> dict[str, Any]:
    """Say how well the position along a direction tells the held-out faces' scores, as plain values.

    Of a probability `accuracy` is the share of faces on the right side, `balanced` the mean of that of the two
    classes, `sure` that of the faces at the ends; the threshold is the best one for the other faces. Of any other
    score `accuracy` tells the upper from the lower third. `correlation` is Pearson's (of a probability's logit).
    """
    test = held_out(len(w_ND))
    position_N = w_ND @ normal_D
    low, high = ends_of(score_N, kind, confidence)
    below, above = (score_N < 0.5, score_N >= 0.5) if kind == "probability" else (low, high)
    threshold = _threshold(position_N[~test & below], position_N[~test & above])
    accuracy, balanced = _accuracy(position_N, threshold, below & test, above & test)
    found = {
        "accuracy": accuracy,
        "balanced": balanced,
        "correlation": _correlation(position_N[test], _values(score_N, kind)[test]),
    }
    if kind == "probability":
        found["sure"] = _accuracy(position_N, threshold, low & test, high & test)[0]
    numbers = {name: None if np.isnan(value) else round(value, 4) for name, value in found.items()}
    return {"faces": int(test.sum()), **numbers}


def _check_ends(
    attribute: str, kind: Kind, score_N: NDArray[Any], low: Bools, high: Bools, confidence: float
) -> None:
    counts = int(low.sum()), int(high.sum())
    if min(counts) >= MIN_END:
        return
    if kind == "value":
        raise DistillError(
            f"attribute {attribute!r}: {counts[0]} and {counts[1]} faces in the lower and upper third of the scores"
            f" ({np.min(score_N):.3g} to {np.max(score_N):.3g}), {MIN_END} are needed in each: raise --n"
        )
    share = float((score_N >= 0.5).mean())
    what = "one class only" if min(share, 1 - share) < 0.01 else "too few of one class"
    raise DistillError(
        f"attribute {attribute!r}: {what}: {share:.1%} of {len(score_N)} faces have a probability of 0.5 or more, and"
        f" at a confidence of {confidence:g} {counts[0]} faces are at the low end and {counts[1]} at the high end,"
        f" {MIN_END} are needed at each: raise --n, or lower --confidence"
    )


def _threshold(low: Floats, high: Floats) -> float:
    """Return the position that tells two classes apart best, both counting the same."""
    if not len(low) or not len(high):
        return 0.0
    positions = np.sort(np.concatenate([low, high]))
    middles = (positions[1:] + positions[:-1]) / 2
    right = np.searchsorted(np.sort(low), middles) / len(low)
    right += 1 - np.searchsorted(np.sort(high), middles) / len(high)
    return float(middles[right.argmax()])


def _accuracy(along: Floats, threshold: float, low: Bools, high: Bools) -> tuple[float, float]:
    """Return the share on the right side, and the mean of the shares of the two classes; NaN without faces."""
    right = [along[low] < threshold, along[high] >= threshold]
    if not low.any() or not high.any():
        return float("nan"), float("nan")
    return float(np.concatenate(right).mean()), float(np.mean([side.mean() for side in right]))


def _correlation(a: Floats, b: Floats) -> float:
    return float(np.corrcoef(a, b)[0, 1]) if len(a) > 1 and a.std() and b.std() else float("nan")
