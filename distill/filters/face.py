"""Keep a candidate when every role shows exactly one face, framed as in FFHQ."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from distill.errors import DistillError
from distill.faces.alignment import framing_error
from distill.faces.detection import Face, FaceDetector
from distill.filters import Batch
from distill.recipe import FaceFilter, Recipe

MAX_SIDE = 256  # px: a face that fills the picture is found as well at this size, and far sooner


class FaceGate:
    """dlib's HOG detector and 68 landmarks on each role; stops at the first role that fails."""

    reasons = ("face.none", "face.several", "face.framing")

    def __init__(self, settings: FaceFilter, recipe: Recipe) -> None:
        self.settings, self.roles = settings, recipe.roles
        self.detector = FaceDetector(detect_size=settings.detect_size, min_confidence=settings.min_confidence)
        if settings.landmarks_sha256 != self.detector.landmarks_sha256:
            raise DistillError(
                f"the landmark model here has sha256 {self.detector.landmarks_sha256[:12]}…,"
                f" the recipe names {settings.landmarks_sha256[:12]}…"
            )

    def __call__(self, batch: Batch) -> None:
        shape = (len(batch.reasons), len(self.roles))
        confidence = np.full(shape, np.nan, dtype=np.float32)
        framing = np.full(shape, np.nan, dtype=np.float32)
        batch.faces = [{} for _ in batch.reasons]
        for i in batch.kept():
            for k, role in enumerate(self.roles):
                image = batch.host(role)[i]
                faces = self.detector(image)
                reason = self._judge(faces, image, confidence[i, k : k + 1], framing[i, k : k + 1])
                if reason:
                    batch.reasons[i] = reason
                    break
                batch.faces[i][role] = faces[0]
        batch.scores["face_confidence"], batch.scores["face_framing"] = confidence, framing

    def _judge(
        self,
        faces: list[Face],
        image: NDArray[np.uint8],
        confidence: NDArray[np.float32],
        framing: NDArray[np.float32],
    ) -> str | None:
        """Write the best face's scores into the one-element views; return the reason to drop, if any."""
        if not faces:
            return "face.none"
        confidence[0] = faces[0].confidence
        framing[0] = framing_error(faces[0].landmarks, image.shape[0])
        if len(faces) > 1:
            return "face.several"
        return "face.framing" if framing[0] > self.settings.max_framing_error else None
