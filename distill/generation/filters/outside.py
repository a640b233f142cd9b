"""Drop an edit that changed more than the face."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.spatial import ConvexHull

from distill.faces.alignment import Floats, Pixels
from distill.generation.filters import Batch
from distill.generation.filters.settings import OutsideFilter
from distill.generation.recipe import Recipe

WIDENED = 1.5  # the landmarks end at brows and jaw: wide enough for forehead and cheeks


class OutsideGate:
    """The mean absolute change of the pixels outside the face, in grey levels; after the face filter."""

    reasons = ("outside.changed",)

    def __init__(self, settings: OutsideFilter, recipe: Recipe) -> None:
        self.settings = settings
        self.before, self.after = recipe.inputs[0], recipe.target

    def __call__(self, batch: Batch) -> None:
        change_N = np.full(len(batch.reasons), np.nan, dtype=np.float32)
        before, after = batch.host(self.before), batch.host(self.after)
        for i in batch.kept():
            faces = [batch.faces[i][role].landmarks for role in (self.before, self.after)]
            change_N[i] = change_outside(before[i], after[i], faces)
            if change_N[i] > self.settings.max_change:
                batch.drop(i, "outside.changed")
        batch.scores["outside"] = change_N


def change_outside(before: Pixels, after: Pixels, faces: Sequence[Floats]) -> float:
    """Return the mean absolute difference of two images [H, W, 3] outside `faces`, each of 68 landmarks.

    0 to 255; NaN where the faces fill the whole image.
    """
    outside_HW = ~face_mask(faces, *before.shape[:2])
    if not outside_HW.any():
        return float("nan")
    return float(np.abs(before[outside_HW].astype(np.int16) - after[outside_HW]).mean())


def face_mask(faces: Sequence[Floats], height: int, width: int) -> NDArray[np.bool_]:
    """Return where an image [H, W] shows one of the faces: the hull of its landmarks, widened about its middle."""
    canvas = Image.new("1", (width, height))
    for landmarks in faces:
        rim = landmarks[ConvexHull(landmarks).vertices]
        middle = rim.mean(axis=0)
        wide = middle + WIDENED * (rim - middle)
        ImageDraw.Draw(canvas).polygon([(float(x), float(y)) for x, y in wide], fill=1)
    return np.asarray(canvas, dtype=np.bool_)
