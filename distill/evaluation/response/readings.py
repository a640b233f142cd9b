"""Draw each face with every amount of every attribute, and read what came of it.

cut_photos ─► the student, all amounts of a face in batches ─► scorers, descriptor, detector
N faces, K attributes, P pictures of a face: the first with change 0, then the other amounts of each attribute.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from distill.editing.translator import Translator
from distill.evaluation.response.judges import ResponseJudges
from distill.evaluation.student_scores import evenly
from distill.faces.alignment import Floats, Pixels
from distill.faces.detection import Face, FaceDetector
from distill.faces.find import FoundPhotos
from distill.faces.identity import describe, descriptor_sha256
from distill.faces.photo_results import SkippedPhoto, no_face
from distill.faces.photos import FaceCut, cut_photos, face_in_cut, photo_detector
from distill.networks.edits import EditCondition

SHOWN = 6  # photos in the strips
AMOUNTS = 7  # of an attribute, evenly spread over its range; the middle one is 0
MIDDLE = AMOUNTS // 2


def amounts_of(condition: EditCondition) -> list[float]:
    """Return AMOUNTS changes from `low` to `high`, to three decimals."""
    values = np.linspace(condition.low, condition.high, AMOUNTS).round(3).clip(condition.low, condition.high)
    return [float(value) for value in values + 0.0]  # no -0


def asked_changes(conditions: Sequence[EditCondition]) -> NDArray[np.float32]:
    """Return the changes [P, K] that are asked of a face; the one of no change comes first and once."""
    count = len(conditions)
    changes_PK = np.zeros((1 + count * (AMOUNTS - 1), count), np.float32)
    for place, condition in enumerate(conditions):
        changes_PK[places_of(place), place] = amounts_of(condition)
    return changes_PK


def places_of(place: int) -> list[int]:
    """Return the places of an attribute's amounts, in their order, among the P pictures."""
    first = 1 + place * (AMOUNTS - 1)
    others = list(range(first, first + AMOUNTS - 1))
    return [*others[:MIDDLE], 0, *others[MIDDLE:]]


@dataclass(frozen=True, kw_only=True, eq=False)
class FaceReading:
    """One face: its scores `before` and `after` [P], the distance of each picture to its person [P].

    `seen` [P]: a face is found in the picture; what has none is NaN in scores and distances. `psnr`: of change 0 to
    the input, in dB. `pictures`: the input and the P pictures, of few faces alone.
    """

    photo: Path
    name: str
    before: Mapping[str, float]
    after: Mapping[str, Floats]
    distances: Floats
    seen: NDArray[np.bool_]
    psnr: float
    pictures: Sequence[Pixels] = ()


@dataclass(kw_only=True, eq=False)
class ResponseMeter:
    """Reads pictures of registered faces: the landmarks of the input stand for all.

    Raises DistillError on construction where dlib's models are not there.
    """

    judges: ResponseJudges
    detector: FaceDetector = field(default_factory=FaceDetector)

    def __post_init__(self) -> None:
        self._check = (self.detector.landmarks_sha256, descriptor_sha256())

    def __call__(self, cut: FaceCut, face: Face, pictures: Sequence[Pixels]) -> FaceReading:
        """Read the pictures [P, H, W, 3] of one face; about 0.3 s each."""
        person = describe(cut.pixels, face.landmarks)
        seen = np.array([bool(self.detector(picture)) for picture in pictures])
        others = [describe(picture, face.landmarks) for picture in pictures]
        scores = self.judges.read([cut.pixels, *pictures], face)
        return FaceReading(
            photo=cut.photo,
            name=cut.name,
            before={name: float(values[0]) for name, values in scores.items()},
            after={name: np.where(seen, values[1:], np.nan) for name, values in scores.items()},
            distances=np.where(seen, [np.linalg.norm(person - other) for other in others], np.nan),
            seen=seen,
            psnr=psnr(pictures[0], cut.pixels),
        )


def psnr(image: Pixels, other: Pixels) -> float:
    """Return the peak signal-to-noise ratio of two images of 0..255, in dB; infinite for equal ones."""
    squares = np.mean((image.astype(np.float64) - other) ** 2)
    return float(10 * np.log10(255**2 / squares)) if squares else float("inf")


def read_faces(
    photos: FoundPhotos,
    translate: Translator,
    meter: ResponseMeter,
    *,
    advance: Callable[[int], object] = lambda photos: None,
) -> tuple[list[FaceReading], list[SkippedPhoto]]:
    """Read the largest face of each photo; those of SHOWN photos, evenly spread, keep their pictures.

    `advance` hears of photos.

    Raises NothingWorked where no photo shows a face, DistillError where memory ends.
    """
    changes_PK = asked_changes(translate.student.facts.conditions)
    shown = {photos.files[at] for at in evenly(len(photos.files), SHOWN)}
    readings: list[FaceReading] = []
    skipped = list(photos.left_out)
    for found in cut_photos(photos.files, photo_detector(), size=translate.size):
        skipped += [cut for cut in found if isinstance(cut, SkippedPhoto)]
        for cut in (cut for cut in found if isinstance(cut, FaceCut)):
            pictures = translate([cut.pixels] * len(changes_PK), changes_PK)
            reading = meter(cut, face_in_cut(cut, translate.size), pictures)
            keeps = cut.photo in shown or not readings
            readings.append(replace(reading, pictures=[cut.pixels, *pictures]) if keeps else reading)
        advance(1)
    if not readings:
        raise no_face(len(photos.files), skipped)
    return readings, skipped
