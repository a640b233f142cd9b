"""The answers of a student as tables to read."""

from __future__ import annotations

import math
from collections.abc import Sequence

from distill.evaluation.report import aligned
from distill.evaluation.response.judges import ResponseJudges
from distill.evaluation.response.summary import AttributeResponse
from distill.networks.edits import UNITS, EditCondition

DASH = "–"


def response_table(found: Sequence[AttributeResponse], judges: ResponseJudges) -> str:
    """By attribute: slope and rank correlation of measured on asked."""
    head = ["asked → measured", "read by", "range", "slope", "slope of what is possible", "Spearman"]
    rows = [
        [
            each.condition.name,
            judges.by_score[name].name if (name := each.condition.name) in judges.by_score else DASH,
            each.condition.range_text,
            digits(each.slope),
            DASH if each.slope_possible is None else digits(each.slope_possible),
            digits(each.spearman),
        ]
        for each in found
    ]
    return aligned([head, *rows])


def amounts_table(each: AttributeResponse) -> str:
    """One attribute by its amounts: what is measured, how far the person is, and in how many no face is found."""
    condition = each.condition
    low, high = each.band
    rows = [
        ["measured, mean", *(measured_text(condition, value) for value in each.means)],
        ["  of 80 % of the faces, from", *(measured_text(condition, value) for value in low)],
        ["  to", *(measured_text(condition, value) for value in high)],
        ["identity: distance to the photo", *map(digits, each.distance)],
        ["share without a face", *map(digits, each.without_face)],
    ]
    unit = f" ({condition.unit})" if condition.kind == "value" else ""
    asked = [f"{condition.name}, asked{unit}", *(change_text(condition, amount) for amount in each.amounts)]
    return aligned([asked, *rows])


def drift_table(found: Sequence[AttributeResponse]) -> str:
    """What else changes when one attribute is asked for: per unit of it, at the ends of its range, at 0."""
    rows = [
        [
            f"{each.condition.name} ({each.condition.unit})",
            f"{other} ({UNITS[other]})" if other in UNITS else other,
            f"{drift.per_unit:.2g}" if math.isfinite(drift.per_unit) else DASH,
            digits(drift.ends),
            digits(drift.zero),
        ]
        for each in found
        for other, drift in each.drift.items()
    ]
    head = ["asked", "moves, up or down", "per unit asked", "at the range's ends", "where 0 is asked"]
    return aligned([head, *rows])


def change_text(condition: EditCondition, value: float) -> str:
    """Write what is asked, with its sign: `+20`, `-0.33`, `0`."""
    rounded = round(value, _places(condition))
    return f"{rounded:+g}" if rounded else "0"


def measured_text(condition: EditCondition, value: float) -> str:
    """Write a measured change, with its sign: `+18.2`, `-0.30`, `0.0`."""
    if not math.isfinite(value):
        return DASH
    places = _places(condition)
    rounded = round(value, places)
    return f"{rounded:+.{places}f}" if rounded else f"{0:.{places}f}"


def _places(condition: EditCondition) -> int:
    """A probability is read to two places, years and degrees to one."""
    return 2 if condition.kind == "probability" else 1


def digits(value: float) -> str:
    """Write a number of the tables."""
    return f"{value:.3g}" if math.isfinite(value) else DASH
