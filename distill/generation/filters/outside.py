"""Drop an edit that changed more than the face."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from pydantic import Field

from distill.faces.alignment import Floats, Pixels
from distill.generation.batch import Batch
from distill.generation.filters.base import Filter

if TYPE_CHECKING:
    from distill.generation.recipe import Recipe

WIDENED = 1.5  # the landmarks end at brows and jaw: wide enough for forehead and cheeks


class OutsideFilter(Filter):
    """Drop a pair whose pixels outside the face change by more than `max_change` (0 to 1) on average.

    The face is the hull of the landmarks of first input and target, widened by half about its middle.
    """

    name: Literal["outside"] = "outside"
    max_change: float = Field(gt=0, le=1)

    reasons: ClassVar = {"outside.changed": "take a larger --max-outside-change, or a smaller --strength"}
    needs_faces: ClassVar = True

    def judge(self, batch: Batch, recipe: Recipe) -> None:
        change_N = np.full(len(batch.ids), np.nan, dtype=np.float32)
        roles = (recipe.inputs[0], recipe.target)
        before, after = (batch.host(role) for role in roles)
        for i in batch.kept():
            change_N[i] = change_outside(before[i], after[i], [batch.landmarks(role, i) for role in roles])
            if change_N[i] > self.max_change:
                batch.drop(i, "outside.changed")
        batch.scores["outside"] = change_N


def change_outside(before: Pixels, after: Pixels, faces: Sequence[Floats]) -> float:
    """Return the mean absolute difference of two images [H, W, 3] outside `faces`, each of 68 landmarks.

    0 to 1; NaN where the faces fill the whole image.
    """
    outside_HW = ~face_mask(faces, *before.shape[:2])
    if not outside_HW.any():
        return float("nan")
    return float(np.abs(before[outside_HW].astype(np.int16) - after[outside_HW]).mean()) / 255


def face_mask(faces: Sequence[Floats], height: int, width: int) -> NDArray[np.bool_]:
    """Return where an image [H, W] shows one of the faces: the hull of its landmarks, widened about its middle."""
    from scipy.spatial import ConvexHull

    canvas = Image.new("1", (width, height))
    for landmarks in faces:
        rim = landmarks[ConvexHull(landmarks).vertices]
        middle = rim.mean(axis=0)
        wide = middle + WIDENED * (rim - middle)
        ImageDraw.Draw(canvas).polygon([(float(x), float(y)) for x, y in wide], fill=1)
    return np.asarray(canvas, dtype=np.bool_)
