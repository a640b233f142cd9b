"""Select a pair of the pictures along a direction: score all of them, choose two, or drop the candidate.

N candidates with K pictures each, in the order of their strengths.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from distill.attributes.protocol import AttributeScorer
from distill.errors import DistillError
from distill.generation.batch import Batch
from distill.schema import Frozen

Floats = NDArray[np.float32]
Ends: TypeAlias = tuple[int, int]  # pictures of the lower and of the higher score

NO_FACE = "face.none"
FURTHER = "take a larger --strength"


class Selection(Frozen):
    """Score an attribute in all pictures of a candidate and choose two of them as source and target.

    `scorer` names who scores and `scorer_sha256` its weights. It is shown the most confident face of each picture,
    or none with `find_faces` false: a scorer that needs no face. `faults`: what can be wrong, and what to do then.
    """

    attribute: str = Field(min_length=1)
    scorer: str = "builtin"
    scorer_sha256: str = ""
    find_faces: bool = True

    faults: ClassVar[Mapping[str, str]]

    @property
    @abstractmethod
    def source_end(self) -> int | None:
        """0 where the source is the lower end, 1 where it is the higher; None leaves it to what was drawn."""

    @abstractmethod
    def choose(self, scores_K: Floats) -> Ends | str:
        """Name the ends of one candidate, or its fault; scores are NaN without a face, and two or more are not."""

    @property
    def reasons(self) -> dict[str, str]:
        """Every reason to drop a candidate -> what to do where it drops too many."""
        faults = {f"{self.attribute}.{fault}": advice for fault, advice in self.faults.items()}
        return {NO_FACE: "take a smaller --strength, or a smaller --truncation-psi"} | faults


class Opposite(Selection):
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


class Apart(Selection):
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


# The table of selections: a recipe with an edit along a direction names one of them.
AnySelection = Annotated[Opposite | Apart, Field(discriminator="name")]


def check_scorer(selection: Selection, scorer: AttributeScorer | None) -> AttributeScorer:
    """Return the scorer. Raises DistillError where there is none, or one that does not know the attribute."""
    if scorer is None:
        raise DistillError(f"pairs of {selection.attribute!r} need a scorer")
    if selection.attribute not in scorer.names:
        raise DistillError(
            f"unknown attribute {selection.attribute!r}: the scorer {selection.scorer!r} gives"
            f" {', '.join(scorer.names)}"
        )
    return scorer


def select_pairs(batch: Batch, selection: Selection, scorer: AttributeScorer) -> None:
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
    drawn_N = batch.params.pop("source_end")
    source_end_N = drawn_N if selection.source_end is None else np.full(count, selection.source_end)
    rows = np.arange(count)
    source_N, target_N = ends_N2[rows, source_end_N], ends_N2[rows, 1 - source_end_N]
    batch.params |= {"source_picture": source_N, "target_picture": target_N}
    batch.choose({"source": source_N, "target": target_N})


def score_pictures(batch: Batch, scorer: AttributeScorer) -> dict[str, Floats]:
    """Score every picture by its most confident face: name -> [N, K], NaN where it shows none."""
    pictures, count = list(batch.images), len(batch.ids)
    hosts = [batch.host(name) for name in pictures]
    images = [host[i] for i in range(count) for host in hosts]
    faces = [next(iter(batch.faces_in(name, i)), None) for i in range(count) for name in pictures]
    return {name: values.reshape(count, len(pictures)) for name, values in scorer(images, faces).items()}


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
