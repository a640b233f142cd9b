"""Keep a candidate when every role that should shows exactly one face, framed as in FFHQ."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from distill.faces.alignment import framing_error
from distill.generation.batch import Batch
from distill.generation.filters.base import Filter

if TYPE_CHECKING:
    from distill.generation.recipe import Recipe


class FaceFilter(Filter):
    """Keep a candidate when exactly one face is found in every role, but for drawings, framed as in FFHQ.

    `max_framing_error` is the largest distance of a corner of the FFHQ crop from the image's own corner, as a share
    of its side. How faces are looked for stands under `faces` in the recipe.
    """

    name: Literal["face"] = "face"
    max_framing_error: float = Field(default=0.15, gt=0)

    reasons: ClassVar = {
        "face.none": "take a smaller --truncation-psi, or --align none for a teacher that draws no faces",
        "face.several": "take a smaller --truncation-psi",
        "face.framing": "use a teacher trained on FFHQ-aligned faces, or --align none",
    }
    needs_faces: ClassVar = True

    def judge(self, batch: Batch, recipe: Recipe) -> None:
        shape = (len(batch.ids), len(recipe.face_roles))
        confidence = np.full(shape, np.nan, dtype=np.float32)
        framing = np.full(shape, np.nan, dtype=np.float32)
        for i in batch.kept():
            for k, role in enumerate(recipe.face_roles):
                faces = batch.faces_in(role, i)
                if faces:
                    confidence[i, k] = faces[0].confidence
                    framing[i, k] = framing_error(faces[0].landmarks, batch.images[role].shape[1])
                if reason := self._fault(len(faces), framing[i, k]):
                    batch.drop(i, reason)
                    break
        batch.scores["face_confidence"], batch.scores["face_framing"] = confidence, framing

    def _fault(self, faces: int, framing: float) -> str | None:
        if faces != 1:
            return "face.several" if faces else "face.none"
        return "face.framing" if framing > self.max_framing_error else None
