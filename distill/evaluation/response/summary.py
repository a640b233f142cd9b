"""What the readings of all faces say of each attribute: how much changes for what is asked, and what else does.

N faces, K attributes, P pictures of a face, A amounts of an attribute. Pictures without a face are NaN and do not
count, but for the share of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata

from distill.attributes.protocol import Kind
from distill.evaluation.response.judges import ResponseJudges
from distill.evaluation.response.readings import MIDDLE, FaceReading, amounts_of, places_of
from distill.faces.alignment import Floats
from distill.networks.edits import EditCondition

BAND = (10, 90)  # percent of the faces that lie within


@dataclass(frozen=True, kw_only=True)
class Drift:
    """How far another score moves, up or down alike, as means over faces.

    `per_unit` of what is asked, beside the picture of change 0; `ends`: at both ends of the range, beside the photo;
    `zero`: the same where no change is asked.
    """

    per_unit: float
    ends: float
    zero: float


@dataclass(frozen=True, kw_only=True, eq=False)
class AttributeResponse:
    """One attribute over its amounts [A]: `changed` [A, N] is the measured change, NaN where nobody reads it.

    `slope`: of the least squares of measured on asked, within each face; `slope_possible`: the same where asked is
    cut to what leaves a probability within 0 and 1, None of a value; `spearman`: rank correlation of the two.
    """

    condition: EditCondition
    amounts: Sequence[float]
    changed: Floats
    possible: Floats
    distance: Sequence[float]
    without_face: Sequence[float]
    slope: float
    slope_possible: float | None
    spearman: float
    drift: Mapping[str, Drift]

    @property
    def means(self) -> list[float]:
        return [mean_of(values) for values in self.changed]

    @property
    def possible_means(self) -> list[float]:
        """The mean change that is asked for and possible, by amount."""
        return [mean_of(values) for values in self.possible]

    @property
    def band(self) -> Floats:
        """The changes [2, A] between which BAND of the faces lie."""
        found = [np.percentile(some, BAND) if len(some := values[np.isfinite(values)]) else (np.nan, np.nan)
                 for values in self.changed]  # fmt: skip
        return np.array(found).T

    def to_json(self) -> dict[str, Any]:
        """Everything as plain values; None for what is not known."""
        low, high = self.band
        return {
            "unit": self.condition.unit,
            "range": [self.condition.low, self.condition.high],
            "slope": known(self.slope),
            "slope_possible": None if self.slope_possible is None else known(self.slope_possible),
            "spearman": known(self.spearman),
            "by_amount": [
                {"asked": amount, "measured": known(mean), "low": known(a), "high": known(b),
                 "identity_distance": known(distance), "without_face": share}
                for amount, mean, a, b, distance, share in zip(
                    self.amounts, self.means, low, high, self.distance, self.without_face, strict=True
                )
            ],
            "drift": {
                name: {"per_unit": known(each.per_unit), "ends": known(each.ends), "zero": known(each.zero)}
                for name, each in self.drift.items()
            },
        }  # fmt: skip


def summarise(
    readings: Sequence[FaceReading], conditions: Sequence[EditCondition], judges: ResponseJudges
) -> list[AttributeResponse]:
    """Summarise the readings of N faces by attribute."""
    before = {name: np.array([each.before[name] for each in readings]) for name in judges.names}
    after = {
        name: np.stack([each.after[name] for each in readings], axis=1) for name in judges.names
    }  # [P, N]
    distances_PN = np.stack([each.distances for each in readings], axis=1)
    seen_PN = np.stack([each.seen for each in readings], axis=1)
    changed = {name: after[name] - before[name] for name in judges.names}
    found = []
    for place, condition in enumerate(conditions):
        at, name = places_of(place), condition.name
        amounts_A = np.array(amounts_of(condition))
        unread_AN = np.full((len(at), len(readings)), np.nan)
        mine_AN = changed[name][at] if name in changed else unread_AN
        kind: Kind = condition.kind
        asked_AN = np.broadcast_to(amounts_A[:, None], mine_AN.shape)
        possible_AN = possible_change(kind, before[name], asked_AN) if name in before else unread_AN
        found.append(
            AttributeResponse(
                condition=condition,
                amounts=amounts_of(condition),
                changed=mine_AN,
                possible=possible_AN,
                distance=[mean_of(distances_PN[each]) for each in at],
                without_face=[float(1 - seen_PN[each].mean()) for each in at],
                slope=slope(asked_AN, mine_AN),
                slope_possible=slope(possible_AN, mine_AN) if kind == "probability" else None,
                spearman=spearman(asked_AN, mine_AN),
                drift={
                    other: drift_of(changed[other][at], amounts_A) for other in judges.names if other != name
                },
            )
        )
    return found


def possible_change(kind: Kind, before_N: Floats, asked_AN: Floats) -> Floats:
    """Cut what is asked to what leaves a probability within 0 and 1; a value may go anywhere."""
    return np.clip(before_N + asked_AN, 0, 1) - before_N if kind == "probability" else np.array(asked_AN)


def drift_of(changed_AN: Floats, amounts_A: Floats) -> Drift:
    """Measure how another score moves over the amounts of an attribute."""
    moved_AN = np.abs(changed_AN - changed_AN[MIDDLE])
    others = np.flatnonzero(amounts_A)
    return Drift(
        per_unit=mean_of(moved_AN[others] / np.abs(amounts_A[others, None])),
        ends=mean_of(np.abs(changed_AN[[0, -1]])),
        zero=mean_of(np.abs(changed_AN[MIDDLE])),
    )


def slope(asked_AN: Floats, measured_AN: Floats) -> float:
    """Return the slope of the least squares of measured on asked, each face with its own intercept; NaN for none."""
    fine = np.isfinite(asked_AN) & np.isfinite(measured_AN)
    count_N = np.maximum(fine.sum(axis=0), 1)
    x, y = (np.where(fine, values, 0.0) for values in (asked_AN, measured_AN))
    x = np.where(fine, x - x.sum(axis=0) / count_N, 0.0)
    squares = float((x * x).sum())
    return float((x * y).sum() / squares) if squares else float("nan")


def spearman(asked: Floats, measured: Floats) -> float:
    """Return the rank correlation; NaN where all asked or all measured are the same."""
    x, y = both(asked, measured)
    if len(np.unique(x)) < 2 or len(np.unique(y)) < 2:
        return float("nan")
    return float(np.corrcoef(rankdata(x), rankdata(y))[0, 1])


def both(asked: Floats, measured: Floats) -> tuple[Floats, Floats]:
    """Return the pairs that are known."""
    fine = np.isfinite(asked) & np.isfinite(measured)
    return np.asarray(asked)[fine], np.asarray(measured)[fine]


def mean_of(values: Floats) -> float:
    """Return the mean of what is known; NaN for nothing."""
    fine = values[np.isfinite(values)]
    return float(fine.mean()) if len(fine) else float("nan")


def known(value: float) -> float | None:
    """A number as JSON takes it."""
    return float(value) if np.isfinite(value) else None
