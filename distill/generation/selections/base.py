"""What all selections have: who scores the pictures of a candidate.

N candidates with K pictures each.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from distill.attributes.protocol import AttributeScorer, main_scores
from distill.errors import DistillError
from distill.generation.batch import Batch
from distill.schema import Frozen

Floats = NDArray[np.float32]

NO_FACE = "face.none"
LESS = "take a smaller --strength, or a smaller --truncation-psi"
FURTHER = "take a larger --strength"


class Selection(Frozen):
    """What all selections have: attributes that are scored, and a verdict on each candidate.

    `scorer` names who scores and `scorer_sha256` its weights. It is shown the most confident face of each picture,
    or none with `find_faces` false: a scorer that needs no face.
    """

    scorer: str = "builtin"
    scorer_sha256: str = ""
    find_faces: bool = True

    @property
    @abstractmethod
    def scored(self) -> tuple[str, ...]:
        """The attributes that the scorer must give."""

    @property
    @abstractmethod
    def reasons(self) -> Mapping[str, str]:
        """Every reason to drop a candidate -> what to do where it drops too many."""

    @abstractmethod
    def judge(self, batch: Batch, scorer: AttributeScorer) -> None:
        """Score all pictures and drop candidates; afterwards each picture carries the name of its role."""


def check_scorer(selection: Selection, scorer: AttributeScorer | None) -> AttributeScorer:
    """Return the scorer. Raises DistillError where there is none, or one that does not know an attribute."""
    if scorer is None:
        raise DistillError(f"pairs of {', '.join(map(repr, selection.scored))} need a scorer")
    for attribute in selection.scored:
        if attribute not in scorer.names:
            raise DistillError(
                f"unknown attribute {attribute!r}: the scorer {selection.scorer!r} gives"
                f" {', '.join(main_scores(scorer))}"
            )
    return scorer


def score_pictures(batch: Batch, scorer: AttributeScorer) -> dict[str, Floats]:
    """Score every picture by its most confident face: name -> [N, K], NaN where it shows none."""
    pictures, count = list(batch.images), len(batch.ids)
    hosts = [batch.host(name) for name in pictures]
    images = [host[i] for i in range(count) for host in hosts]
    faces = [next(iter(batch.faces_in(name, i)), None) for i in range(count) for name in pictures]
    return {name: values.reshape(count, len(pictures)) for name, values in scorer(images, faces).items()}
