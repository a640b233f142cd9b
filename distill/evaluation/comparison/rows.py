"""A row of the table: the measures of one method's pictures, put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill.attributes.moves import moves
from distill.attributes.protocol import Kind
from distill.evaluation.comparison.edits import AskedEdit, does_what_is_wanted
from distill.evaluation.comparison.sets import SetDistance
from distill.evaluation.report import plain
from distill.faces.identity import SAME_PERSON
from distill.timing import ImageTime

SUCCESS, IDENTITY, SAME, NO_FACE = "success", "identity_distance", "same_person", "no_face"
TO_INPUT, TO_TRUTH, IDENTITY_TO_TRUTH = "_to_input", "_to_truth", "identity_to_truth"
DRIFT = "_drift"

Measured = Sequence[Mapping[str, Any]]  # of pictures, as `PictureMeter` gives them


@dataclass(frozen=True, kw_only=True, eq=False)
class ComparedRow:
    """What was found of one method, over `count` photographs."""

    name: str
    count: int
    measures: Mapping[str, float] = field(default_factory=dict)
    distance: SetDistance | None = None
    time: ImageTime = field(default_factory=lambda: ImageTime(None, ""))
    samples: float | None = None
    minutes: float | None = None
    init: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self, features: str) -> dict[str, Any]:
        distance = self.distance
        return {
            "count": self.count,
            **plain(self.measures),
            f"kernel_{features}": None
            if distance is None
            else {
                "value": distance.value,
                "half_width_95": distance.half_width,
                "subset": distance.subset,
                "pictures": distance.count,
            },
            f"frechet_{features}": distance.frechet if distance else None,
            "milliseconds_per_image": {"value": self.time.milliseconds, "how": self.time.how},
            "training_images": self.samples,
            "training_minutes": self.minutes,
            "training_began_from": self.init,
            **self.facts,
        }


def summarise(
    pictures: Measured, ways: Sequence[int], edit: AskedEdit, kinds: Mapping[str, Kind]
) -> dict[str, float]:
    """Put the measures of pictures together; a picture without a face fails in success and in identity.

    `success`: the share whose edited score came to the wanted side, or moved the wanted way. `same_person`: the share
    closer than dlib's limit. `identity_distance` and what else moves are means over pictures with a face: of a value
    `_moved` (the mean) and `_drift` (the mean of the absolute move), of a class `_flipped`. Distances are over all.
    """
    faces = np.array([bool(each["face"]) for each in pictures])
    identity = np.array([float(each["identity"]) for each in pictures])
    found = {
        IDENTITY: _mean(identity[faces]),
        SAME: float(np.mean(faces & (identity < SAME_PERSON))),
        NO_FACE: float(np.mean(~faces)),
    }
    if edit.attribute is not None and edit.attribute in kinds:
        name, kind = edit.attribute, kinds[edit.attribute]
        wanted = [
            does_what_is_wanted(kind, each["before"][name], each["after"][name], way)
            for each, way in zip(pictures, ways, strict=True)
        ]
        found[SUCCESS] = float(np.mean(faces & np.array(wanted)))
    seen = [each for each, face in zip(pictures, faces, strict=True) if face]
    for score, kind in kinds.items():
        if not score.endswith("_spread"):
            found |= _moved(score, kind, seen)
    for end, key in ((TO_INPUT, "to_input"), (TO_TRUTH, "to_truth")):
        names = pictures[0].get(key, {})
        found |= {f"{name}{end}": _mean(np.array([each[key][name] for each in pictures])) for name in names}
    if IDENTITY_TO_TRUTH in pictures[0]:
        to_truth = np.array([float(each[IDENTITY_TO_TRUTH]) for each in pictures])
        found[IDENTITY_TO_TRUTH] = _mean(to_truth[faces])
    return found


def _moved(score: str, kind: Kind, seen: Measured) -> dict[str, float]:
    before, after = (np.array([float(each[when][score]) for each in seen]) for when in ("before", "after"))
    if kind == "value":
        moved = np.abs(after - before)
        return moves(score, kind, before, after) | {f"{score}{DRIFT}": _mean(moved[np.isfinite(moved)])}
    flipped = f"{score}_flipped"
    return {flipped: moves(score, kind, before, after)[flipped]}


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else float("nan")
