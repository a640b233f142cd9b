"""Make a pair of the pictures along a direction: score all of them, choose two, or drop the candidate.

N candidates with K pictures each, in the order of their strengths.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from distill.attributes.protocol import AttributeScorer
from distill.errors import DistillError
from distill.faces.detection import Face, FaceDetector
from distill.generation.filters import Batch
from distill.generation.filters.face import each, face_detector
from distill.generation.filters.settings import ApartFilter, OppositeFilter, PairFilter

Floats = NDArray[np.float32]
Ends: TypeAlias = tuple[int, int]  # pictures of the lower and of the higher score
Rule: TypeAlias = Callable[[Floats], Ends | str]  # scores [K], NaN without a face -> ends, or what is wrong

NO_FACE = "face.none"


class PairGate:
    """Scores every picture of a candidate and lets `rule` choose its ends; all scores are kept.

    `source_end` is 0 where the source is the lower end, 1 where it is the higher; None leaves it to what was drawn.
    Every picture is looked at, also of candidates that are dropped: with the scores at hand, they can be chosen again
    by another rule.
    """

    def __init__(
        self,
        settings: PairFilter,
        rule: Rule,
        *,
        faults: tuple[str, ...],
        source_end: int | None,
        scorer: AttributeScorer,
        threads: int = 1,
    ) -> None:
        if settings.attribute not in scorer.names:
            raise DistillError(
                f"unknown attribute {settings.attribute!r}: the scorer {settings.scorer!r} gives"
                f" {', '.join(scorer.names)}"
            )
        self.attribute, self.rule = settings.attribute, rule
        self.scorer, self.threads, self.source_end = scorer, threads, source_end
        self.reasons = (NO_FACE, *(f"{self.attribute}.{fault}" for fault in faults))
        self.detector: FaceDetector | None = None
        if settings.find_faces:
            self.detector = face_detector(
                settings.detect_size, settings.min_face_confidence, settings.landmarks_sha256
            )

    def __call__(self, batch: Batch) -> None:
        pictures, count = list(batch.images), len(batch.reasons)
        batch.scores |= self.score(batch, pictures)
        ends_N2 = np.tile([0, len(pictures) - 1], (count, 1))
        for i in batch.kept():
            scores_K = batch.scores[self.attribute][i]
            found = self.judge(scores_K)
            if isinstance(found, str):
                batch.drop(i, found)
            else:
                ends_N2[i] = found
        drawn_N = batch.params.pop("source_end")
        source_end_N = drawn_N if self.source_end is None else np.full(count, self.source_end)
        rows = np.arange(count)
        source_N, target_N = ends_N2[rows, source_end_N], ends_N2[rows, 1 - source_end_N]
        batch.params |= {"source_step": source_N, "target_step": target_N}
        batch.choose({"source": source_N, "target": target_N})

    def score(self, batch: Batch, pictures: list[str]) -> dict[str, Floats]:
        """Give name -> [N, K], NaN where a picture shows no face."""
        count = len(batch.reasons)
        faces: list[Face | None] = [None] * (count * len(pictures))

        def look(place: int) -> None:
            i, k = divmod(place, len(pictures))
            found = batch.faces_in(pictures[k], i, self.detector) if self.detector else []
            faces[place] = found[0] if found else None  # the most confident

        each(look, range(len(faces)), threads=self.threads)
        hosts = [batch.host(name) for name in pictures]
        images = [host[i] for i in range(count) for host in hosts]
        scores = self.scorer(images, faces)
        return {name: values.reshape(count, len(pictures)) for name, values in scores.items()}

    def judge(self, scores_K: Floats) -> Ends | str:
        """Name the ends of one candidate, or the reason why it has none."""
        if np.isfinite(scores_K).sum() < 2:
            return NO_FACE
        found = self.rule(scores_K)
        return f"{self.attribute}.{found}" if isinstance(found, str) else found


def pair_gate(settings: PairFilter, scorer: AttributeScorer | None, *, threads: int = 1) -> PairGate:
    """Make the gate that a recipe's settings ask for."""
    if scorer is None:
        raise DistillError(f"the filter for pairs of {settings.attribute!r} needs a scorer")
    match settings:
        case OppositeFilter():
            return PairGate(
                settings,
                lambda scores_K: opposite_ends(scores_K, settings.min_confidence),
                faults=("same", "uncertain"),
                source_end=None,
                scorer=scorer,
                threads=threads,
            )
        case ApartFilter():
            return PairGate(
                settings,
                lambda scores_K: distant_ends(scores_K, settings.min_gap),
                faults=("too-close",),
                source_end=0 if settings.source == "lower" else 1,
                scorer=scorer,
                threads=threads,
            )
    raise DistillError(f"no rule to choose a pair is known by the name of {type(settings).__name__}")


def opposite_ends(probability_K: Floats, min_confidence: float) -> Ends | str:
    """Choose the most certain picture of either class; where two are as certain, the pair closer in strength.

    "same": all pictures are of one class; "uncertain": one end has a confidence below `min_confidence`.
    """
    low, high = closest_extremes(probability_K)
    if not probability_K[low] < 0.5 < probability_K[high]:
        return "same"
    certain = min(1 - float(probability_K[low]), float(probability_K[high])) >= min_confidence
    return (low, high) if certain else "uncertain"


def closest_extremes(scores_K: Floats) -> Ends:
    """Return the places of a smallest and a largest score; among equals, those that lie next to each other."""
    lows = np.flatnonzero(scores_K == np.nanmin(scores_K)).tolist()
    highs = np.flatnonzero(scores_K == np.nanmax(scores_K)).tolist()
    return min(((low, high) for low in lows for high in highs), key=lambda ends: abs(ends[0] - ends[1]))


def distant_ends(scores_K: Floats, min_gap: float) -> Ends | str:
    """Choose the two pictures of which the one of the larger strength scores higher by the most.

    "too-close": by less than `min_gap`. A score that falls along the direction counts as no change.
    """
    gap, ends = widest_gap(scores_K)
    return ends if gap >= min_gap else "too-close"


def widest_gap(scores_K: Floats) -> tuple[float, Ends]:
    """Return by how much a score rises most along the direction, and between which pictures."""
    gaps_KK = scores_K[None, :] - scores_K[:, None]  # from the row's picture to the column's
    gaps_KK[np.tril_indices(len(scores_K))] = -np.inf
    gaps_KK[np.isnan(gaps_KK)] = -np.inf
    low, high = np.unravel_index(int(np.argmax(gaps_KK)), gaps_KK.shape)
    return float(gaps_KK[low, high]), (int(low), int(high))
