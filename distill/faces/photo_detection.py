"""Find the faces of photos of any size: a first look that costs little, and finer ones where they are needed.

A face keeps the box and the landmarks of the first look that found it, whatever else is asked, and so its crop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from distill.faces.alignment import Pixels, as_rgb
from distill.faces.detection import LANDMARKS, Face, moved, open_predictor, predict, resized, run_frontal

MIN_CONFIDENCE = 0.25  # dlib's spurious boxes stay below 0.2 on ordinary photos, frontal faces lie above 0.5
WINDOW = 80  # px: the smallest face that dlib sees in a picture as it is
SMALL, MEDIUM = 512, 2048  # px, long side: enlarged for the first look; enlarged for the last one
FIRST_SIDE, LAST_SIDE = 1024, 6144  # px: what larger photos are reduced to for the first and the last look
MARGIN = 0.4  # of a face's side: how far from where it was it is looked for
NEAR_SIDE = 104  # px: what a face is brought to for that, some more than the detector's window
COVERED = 0.4  # of the smaller box: two boxes that share more show one face

Box = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(frozen=True, kw_only=True)
class Look:
    """One search: in the photo reduced by `scale`, or enlarged twice `upsampled` times by dlib."""

    scale: float = 1.0
    upsampled: int = 0

    @property
    def smallest(self) -> int:
        """The side of the smallest face that is seen, px of the photo."""
        return int(WINDOW / self.scale) >> self.upsampled


@dataclass(frozen=True, kw_only=True)
class PhotoDetector:
    """Return the faces of a photo [H, W, 3], most confident first (dlib: frontal HOG, 68 landmarks).

    Looks get finer until one finds a face; with `thorough` all are taken, and add the faces that are new. A photo of
    up to 512 px is enlarged twice by dlib at first, as the public aligners do it: faces of 40 px are found.
    """

    thorough: bool = False
    min_confidence: float = MIN_CONFIDENCE

    def __call__(self, image: Pixels) -> list[Face]:
        pixels = as_rgb(image)
        faces: list[Face] = []
        for look in looks(*pixels.shape[:2]):
            found = search(pixels, look, self.min_confidence)
            faces += [face for face in found if not any(one_face(face, other) for other in faces)]
            if faces and not self.thorough:
                break
        return sorted(faces, key=lambda face: -face.confidence)

    @property
    def landmarks_sha256(self) -> str:
        """The sha256 of the landmark model, verified."""
        return LANDMARKS.verified()[1]


def looks(height: int, width: int) -> list[Look]:
    """Return the searches of a photo of this size, from the coarsest to the finest."""
    side = max(height, width)
    if side <= SMALL:
        return [Look(upsampled=1), Look(upsampled=2)]
    first = Look(scale=min(1.0, FIRST_SIDE / side))
    if side <= FIRST_SIDE:
        return [first, Look(upsampled=1)]
    second = Look(scale=min(1.0, 2 * FIRST_SIDE / side))
    last = Look(upsampled=1) if side <= MEDIUM else Look(scale=min(1.0, LAST_SIDE / side))
    return [first, second, last]


def smallest_searched(image: Pixels) -> int:
    """Return the side of the smallest face that the finest look at a photo sees, px."""
    return looks(*image.shape[:2])[-1].smallest


def search(image: Pixels, look: Look, min_confidence: float) -> list[Face]:
    """Take one look; the landmarks are whole pixels of the photo itself."""
    predictor = open_predictor(LANDMARKS.verified()[0])
    scaled = resized(image, look.scale)
    faces = []
    for box, score in run_frontal(scaled, look.upsampled, min_confidence):
        corners = np.rint(moved(box, scaled, image))
        left, top, right, bottom = corners.ravel().tolist()
        landmarks = predict(predictor, image, corners).astype(np.float64)
        faces.append(Face(box=(left, top, right, bottom), confidence=score, landmarks=landmarks))
    return faces


def search_near(image: Pixels, box: Box, *, min_confidence: float = 0.0) -> Face | None:
    """Look for a face near where it was, `box` of an image [H, W, 3]; far sooner done than a search of all of it.

    Found is what lies nearest to the box, within less than its side; None where nothing does.
    """
    side = max(box[2] - box[0], 1.0)
    low = np.floor(np.array(box[:2]) - MARGIN * side).clip(min=0).astype(int)
    high = np.ceil(np.array(box[2:]) + MARGIN * side).clip(max=image.shape[1::-1]).astype(int)
    part = image[low[1] : high[1], low[0] : high[0]]
    if min(part.shape[:2]) < MARGIN * side:
        return None  # it has left the image
    reduced = resized(part, NEAR_SIDE / side)
    found = [
        (moved(corners, reduced, part) + low, score)
        for corners, score in run_frontal(reduced, 0, min_confidence)
    ]
    if not found:
        return None
    middle = np.array([box[0] + box[2], box[1] + box[3]]) / 2
    corners, score = min(found, key=lambda one: float(np.hypot(*(one[0].mean(axis=0) - middle))))
    corners = np.rint(corners)
    landmarks = predict(open_predictor(LANDMARKS.verified()[0]), image, corners).astype(np.float64)
    left, top, right, bottom = corners.ravel().tolist()
    return Face(box=(left, top, right, bottom), confidence=score, landmarks=landmarks)


def one_face(a: Face, b: Face) -> bool:
    """Tell whether two boxes show the same face."""
    return _shared(a.box, b.box) > COVERED * min(a.area, b.area)


def _shared(a: Sequence[float], b: Sequence[float]) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return max(width, 0.0) * max(height, 0.0)
