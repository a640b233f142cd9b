"""Keep a candidate when every role shows exactly one face, framed as in FFHQ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from distill.errors import DistillError
from distill.faces.alignment import framing_error
from distill.faces.detection import Face, FaceDetector
from distill.generation.filters import Batch
from distill.generation.filters.settings import FaceFilter
from distill.generation.recipe import Recipe

MAX_SIDE = 256  # px: a face that fills the picture is found as well at this size, and far sooner


class FaceGate:
    """dlib's HOG detector and 68 landmarks on each role; stops at the first role that fails."""

    reasons = ("face.none", "face.several", "face.framing")

    def __init__(self, settings: FaceFilter, recipe: Recipe, *, threads: int = 1) -> None:
        self.settings, self.roles, self.threads = settings, recipe.roles, threads
        self.detector = face_detector(
            settings.detect_size, settings.min_confidence, settings.landmarks_sha256
        )

    def __call__(self, batch: Batch) -> None:
        shape = (len(batch.reasons), len(self.roles))
        confidence = np.full(shape, np.nan, dtype=np.float32)
        framing = np.full(shape, np.nan, dtype=np.float32)
        batch.faces = [{} for _ in batch.reasons]
        side = batch.images[self.roles[0]].shape[1]

        def look(i: int) -> None:
            for k, role in enumerate(self.roles):
                faces = batch.faces_in(role, i, self.detector)
                reason = self._judge(faces, side, confidence[i, k : k + 1], framing[i, k : k + 1])
                if reason:
                    batch.drop(i, reason)
                    return
                batch.faces[i][role] = faces[0]

        each(look, batch.kept(), threads=self.threads)
        batch.scores["face_confidence"], batch.scores["face_framing"] = confidence, framing

    def _judge(
        self,
        faces: list[Face],
        side: int,
        confidence: NDArray[np.float32],
        framing: NDArray[np.float32],
    ) -> str | None:
        """Write the best face's scores into the one-element views; return the reason to drop, if any."""
        if not faces:
            return "face.none"
        confidence[0] = faces[0].confidence
        framing[0] = framing_error(faces[0].landmarks, side)
        if len(faces) > 1:
            return "face.several"
        return "face.framing" if framing[0] > self.settings.max_framing_error else None


@lru_cache(maxsize=8)
def face_detector(detect_size: int, min_confidence: float, landmarks_sha256: str) -> FaceDetector:
    """Return the detector of these settings, the same one each time, so that filters may share what it found.

    Raises DistillError where the landmark model here is not the one with that sha256.
    """
    detector = FaceDetector(detect_size=detect_size, max_side=MAX_SIDE, min_confidence=min_confidence)
    if detector.landmarks_sha256 != landmarks_sha256:
        raise DistillError(
            f"the landmark model here has sha256 {detector.landmarks_sha256[:12]}…,"
            f" the recipe names {landmarks_sha256[:12]}…"
        )
    return detector


def each(work: Callable[[int], None], numbers: Sequence[int], *, threads: int) -> None:
    """Call `work` with every number, `threads` at a time; dlib lets go of the interpreter while it searches."""
    if threads == 1:
        for number in numbers:
            work(number)
        return
    for _ in _pool(threads).map(work, numbers):  # raises what a call raised
        pass


@lru_cache(maxsize=1)
def _pool(threads: int) -> ThreadPoolExecutor:
    """Threads that live as long as the process: each has a detector of its own, which takes time to open."""
    return ThreadPoolExecutor(threads, thread_name_prefix="faces")
