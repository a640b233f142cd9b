"""Select a pair of the pictures along a direction: score all of them, choose two, or drop the candidate.

N candidates with K pictures each, in the order of their strengths.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Literal, TypeAlias

import numpy as np
from pydantic import Field

from distill.attributes.protocol import AttributeScorer
from distill.generation.batch import Batch
from distill.generation.selections.base import FURTHER, LESS, NO_FACE, Floats, Selection, score_pictures

Ends: TypeAlias = tuple[int, int]  # pictures of the lower and of the higher score


class OfOneAttribute(Selection):
    """Score an attribute in all pictures of a candidate and choose two of them as source and target.

    `faults`: what can be wrong, and what to do then.
    """

    attribute: str = Field(min_length=1)

    faults: ClassVar[Mapping[str, str]]

    @property
    def scored(self) -> tuple[str, ...]:
        return (self.attribute,)

    @property
    @abstractmethod
    def source_end(self) -> int | None:
        """0 where the source is the lower end, 1 where it is the higher; None leaves it to what was drawn."""

    @abstractmethod
    def choose(self, scores_K: Floats) -> Ends | str:
        """Name the ends of one candidate, or its fault; scores are NaN without a face, and two or more are not."""

    @property
    def reasons(self) -> dict[str, str]:
        faults = {f"{self.attribute}.{fault}": advice for fault, advice in self.faults.items()}
        return {NO_FACE: LESS} | faults

    def judge(self, batch: Batch, scorer: AttributeScorer) -> None:
        select_pairs(batch, self, scorer)


class Opposite(OfOneAttribute):
    """Choose the pair whose ends lie in opposite classes with the highest certainty (Viazovetskyi et al. 2020).

    The score is the probability of a class. Both ends need a confidence of `min_confidence`; which of them is the
    source is drawn per candidate.
    """

    name: Literal["opposite"] = "opposite"
    min_confidence: float = Field(default=0.9, ge=0.5, le=1)

    faults: ClassVar = {
        "same": FURTHER,
        "uncertain": f"take a smaller --min-confidence, or {FURTHER.removeprefix('take ')}",
    }

    @property
    def source_end(self) -> int | None:
        return None

    def choose(self, scores_K: Floats) -> Ends | str:
        """Take the most certain picture of either class; where two are as certain, the pair closer in strength.

        "same": all pictures are of one class; "uncertain": one end has a confidence below `min_confidence`.
        """
        low, high = closest_extremes(scores_K)
        if not scores_K[low] < 0.5 < scores_K[high]:
            return "same"
        certain = min(1 - float(scores_K[low]), float(scores_K[high])) >= self.min_confidence
        return (low, high) if certain else "uncertain"


class Apart(OfOneAttribute):
    """Choose the pair that moves furthest up along the direction; drop it below `min_gap`.

    The gap is in units of the score (years for age). `source` says which end is the source.
    """

    name: Literal["apart"] = "apart"
    min_gap: float = Field(default=20.0, gt=0)
    source: Literal["lower", "higher"]

    faults: ClassVar = {
        "too-close": f"take a smaller --min-gap (fewer --years), or {FURTHER.removeprefix('take ')}"
    }

    @property
    def source_end(self) -> int | None:
        return 0 if self.source == "lower" else 1

    def choose(self, scores_K: Floats) -> Ends | str:
        """Take the two pictures of which the one of the larger strength scores higher by the most.

        "too-close": by less than `min_gap`. A score that falls along the direction counts as no change.
        """
        gap, ends = widest_gap(scores_K)
        return ends if gap >= self.min_gap else "too-close"


def select_pairs(batch: Batch, selection: OfOneAttribute, scorer: AttributeScorer) -> None:
    """Choose source and target of each candidate, and drop those without a pair; all scores are kept.

    Every picture is scored, also of candidates that are dropped: with the scores at hand, they can be chosen again
    by another rule.
    """
    pictures, count = list(batch.images), len(batch.ids)
    batch.scores |= score_pictures(batch, scorer)
    ends_N2 = np.tile([0, len(pictures) - 1], (count, 1))
    for i in batch.kept():
        scores_K = batch.scores[selection.attribute][i]
        found = selection.choose(scores_K) if np.isfinite(scores_K).sum() >= 2 else NO_FACE
        if found == NO_FACE:
            batch.drop(i, NO_FACE)
        elif isinstance(found, str):
            batch.drop(i, f"{selection.attribute}.{found}")
        else:
            ends_N2[i] = found
    drawn_N = batch.params.pop("source_end").astype(np.int64)
    source_end_N = drawn_N if selection.source_end is None else np.full(count, selection.source_end)
    rows = np.arange(count)
    source_N, target_N = ends_N2[rows, source_end_N], ends_N2[rows, 1 - source_end_N]
    batch.params |= {"source_picture": source_N, "target_picture": target_N}
    batch.choose({"source": source_N, "target": target_N})


def closest_extremes(scores_K: Floats) -> Ends:
    """Return the places of a smallest and a largest score; among equals, those that lie next to each other."""
    lows = np.flatnonzero(scores_K == np.nanmin(scores_K)).tolist()
    highs = np.flatnonzero(scores_K == np.nanmax(scores_K)).tolist()
    return min(((low, high) for low in lows for high in highs), key=lambda ends: abs(ends[0] - ends[1]))


def widest_gap(scores_K: Floats) -> tuple[float, Ends]:
    """Return by how much a score rises most along the direction, and between which pictures."""
    gaps_KK = scores_K[None, :] - scores_K[:, None]  # from the row's picture to the column's
    gaps_KK[np.tril_indices(len(scores_K))] = -np.inf
    gaps_KK[np.isnan(gaps_KK)] = -np.inf
    low, high = np.unravel_index(int(np.argmax(gaps_KK)), gaps_KK.shape)
    return float(gaps_KK[low, high]), (int(low), int(high))
