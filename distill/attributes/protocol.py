"""What a scorer is: it reads named scores off images and the faces found in them.

Its scores are what a network reads off a picture, not facts about a person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from distill.attributes.crops import Crop, cut_all
from distill.errors import DistillError
from distill.faces.alignment import Pixels
from distill.faces.detection import Face

Kind = Literal["probability", "value"]
Scores = NDArray[np.float32]

BATCH = 256  # chips that go through a network at once


class AttributeScorer(Protocol):
    """Images and the face in each → scores by name, float32 [N], NaN where there is no face.

    Images: uint8 [N, H, W, 3], or one [H, W, 3] of its own size each.
    """

    @property
    def names(self) -> Sequence[str]:
        """The scores that it gives, in a fixed order."""

    @property
    def kinds(self) -> Mapping[str, Kind]:
        """What each score is: a calibrated "probability", whose larger side is the certainty, or a "value"."""

    @property
    def sha256(self) -> str:
        """A hash over all that its scores depend on besides images and faces."""

    @property
    def needs_face(self) -> bool:
        """Whether it looks at faces; if not, images without one are scored too."""

    def __call__(
        self, images: Sequence[Pixels] | Pixels, faces: Sequence[Face | None], /
    ) -> dict[str, Scores]: ...


class ChipScorer(AttributeScorer, Protocol):
    """A scorer in two halves, so that other processes can do the first: cut chips, and score them."""

    @property
    def crops(self) -> Mapping[str, Crop]:
        """What its networks see of an image, by the name of each."""

    def score_chips(self, chips: Sequence[Mapping[str, Pixels]], /) -> dict[str, Scores]: ...


def main_scores(scorer: AttributeScorer) -> list[str]:
    """Return the scores that belong to no other: `age`, not `age_spread`, which says how sure `age` is."""
    names = list(scorer.names)
    return [name for name in names if not any(name.startswith(f"{other}_") for other in names)]


def score_faces(
    scorer: ChipScorer, images: Sequence[Pixels] | Pixels, faces: Sequence[Face | None]
) -> dict[str, Scores]:
    """Cut the chips of all images that can be scored, and score them; the others get NaN.

    Raises DistillError for unequal numbers of images and faces.
    """
    if len(images) != len(faces):
        raise DistillError(
            f"{len(images)} images and {len(faces)} faces: one face, or None, is needed for each image"
        )
    rows = [row for row, face in enumerate(faces) if face is not None or not scorer.needs_face]
    scores = {name: np.full(len(faces), np.nan, dtype=np.float32) for name in scorer.names}
    for first in range(0, len(rows), BATCH):
        part = rows[first : first + BATCH]
        chips = [cut_all(scorer.crops, images[row], faces[row]) for row in part]
        for name, values in scorer.score_chips(chips).items():
            scores[name][part] = values
    return scores
