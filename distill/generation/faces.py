"""How the faces of a data set are looked for: one setting of the detector for all who need them."""

from __future__ import annotations

from pydantic import Field

from distill.errors import DistillError
from distill.faces.detection import FILLED_SIDE, FaceDetector
from distill.schema import Frozen


class FaceSearch(Frozen):
    """dlib's HOG detector and 68 landmarks.

    `min_confidence` is the detector's score, `landmarks_sha256` names the landmark model. Images with sides below
    `detect_size` px are enlarged to it. Faces of 80 px are found, so at 144 those that fill more than half of the
    image; a second, smaller one goes unseen. Enlarging to 192 px takes 1.6 times as long.
    """

    min_confidence: float = 0.5
    detect_size: int = Field(default=144, ge=80, le=1024)
    landmarks_sha256: str = ""

    def detector(self) -> FaceDetector:
        """Open the detector. Raises DistillError where the landmark model here is not the one that is named."""
        detector = FaceDetector(
            detect_size=self.detect_size, max_side=FILLED_SIDE, min_confidence=self.min_confidence
        )
        if detector.landmarks_sha256 != self.landmarks_sha256:
            raise DistillError(
                f"the landmark model here has sha256 {detector.landmarks_sha256[:12]}…,"
                f" the recipe names {self.landmarks_sha256[:12]}…"
            )
        return detector
