"""What an edit does to a score of faces: classes that flip, values that move. N faces; NaN where there is no score.

A score is a probability of a class (0 to 1, the class changes at 0.5) or a value, such as an age in years.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill.attributes.protocol import Kind

Floats = NDArray[np.float64]

MIDDLE = 0.5  # where the class of a calibrated probability changes
SURE = 0.9  # a class is certain from here on, as in the selection of pairs
# Tasks whose edit has a direction; a recipe that chose pairs apart in a score says it itself.
WAYS = {"ageing": {"age": 1}, "rejuvenation": {"age": -1}}


# Tasks whose pairs are those of another one the other way; of `gender-swap` both ways are in the data already.
OPPOSITE = {
    "ageing": "rejuvenation",
    "rejuvenation": "ageing",
    "face-to-drawing": "drawing-to-face",
    "drawing-to-face": "face-to-drawing",
    "gender-swap": "gender-swap",
}


def opposite_task(task: str) -> str:
    """Name what a student does that learnt the pairs of a task the other way."""
    return OPPOSITE.get(task, f"{task} reversed")


def wanted_ways(recipe: Mapping[str, Any]) -> dict[str, int]:
    """Return the scores that the edit of a recipe should raise (1) or lower (-1)."""
    ways = dict(WAYS.get(str(recipe.get("task")), {}))
    selection = recipe.get("select")
    if isinstance(selection, Mapping) and selection.get("source") in ("lower", "higher"):
        ways[str(selection.get("attribute"))] = 1 if selection["source"] == "lower" else -1
    return ways


def moves(
    score: str, kind: Kind, before_N: Floats, after_N: Floats, *, way: int | None = None
) -> dict[str, float]:
    """Measure a score before and after: measure -> value, over the faces that have both; NaN where there is none.

    Of a probability `<score>_flipped`, the share whose class changes; `<score>_flipped_sure`, the share whose class
    changes to one of a certainty of 0.9; `<score>_flipped_up` and `_flipped_down`, the shares of the faces below and
    above the middle that change sides, since an edit may work one way alone. Of a value `<score>_moved`, the mean
    difference, and with a wanted `way` `<score>_wanted`, the share that moves that way.
    """
    known = np.isfinite(before_N) & np.isfinite(after_N)
    before, after = before_N[known], after_N[known]
    if kind == "value":
        found = {f"{score}_moved": _mean(after - before)}
        return found | ({} if way is None else {f"{score}_wanted": _mean((after - before) * way > 0)})
    flipped = (before > MIDDLE) != (after > MIDDLE)
    sure = np.maximum(after, 1 - after) >= SURE
    high = before > MIDDLE
    return {
        f"{score}_flipped": _mean(flipped),
        f"{score}_flipped_sure": _mean(flipped & sure),
        f"{score}_flipped_up": _mean(flipped[~high]),
        f"{score}_flipped_down": _mean(flipped[high]),
    }


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean()) if len(values) else float("nan")
