"""Parts of a face from its 68 landmarks: convex hulls, grown and blurred by shares of the distance of the eyes.

Coordinates are (x, y) pixel indices, as in `distill.faces.alignment`. N pictures, P points, H W px.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from distill.errors import DistillError
from distill.faces.alignment import LEFT_EYE, RIGHT_EYE, Floats, as_points
from distill.faces.regions.parts import FACE, FEATURES, Mask, RegionPictures

LEFT_BROW, RIGHT_BROW, BROWS, NOSE, MOUTH = (
    slice(17, 22),
    slice(22, 27),
    slice(17, 27),
    slice(27, 36),
    slice(48, 60),
)
CHIN = 8
# Eye distances that the face reaches above each point of the brows, from ear to ear: a forehead is round.
FOREHEAD = np.array([0.2, 0.4, 0.55, 0.65, 0.7, 0.7, 0.65, 0.55, 0.4, 0.2])


class Edge(NamedTuple):
    """How far a part reaches beyond its landmarks, and half the width of its rim, in eye distances."""

    grown: float
    blur: float


EDGES: Mapping[str, Edge] = {
    "eyes": Edge(0.12, 0.08),
    "nose": Edge(0.12, 0.08),
    "mouth": Edge(0.12, 0.08),
    FACE: Edge(0.06, 0.1),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class FaceFrame:
    """Where a face lies: the middle of its eyes, their distance in px, and the unit vector towards the forehead."""

    eyes: Floats
    distance: float
    up: Floats

    @classmethod
    def of(cls, landmarks: Floats) -> FaceFrame:
        """Measure 68 landmarks [68, 2]. Raises DistillError where eyes or chin lie on one point."""
        points = as_points(landmarks, 68, "landmarks")
        left, right = points[LEFT_EYE].mean(axis=0), points[RIGHT_EYE].mean(axis=0)
        eyes = (left + right) / 2
        distance, up = float(np.hypot(*(right - left))), eyes - points[CHIN]
        height = float(np.hypot(*up))
        if min(distance, height) < 1e-6:
            raise DistillError("landmarks: the eyes, or eyes and chin, lie on one point")
        return cls(eyes=eyes, distance=distance, up=up / height)

    @property
    def right(self) -> Floats:
        return np.array([-self.up[1], self.up[0]])


class LandmarkRegions:
    """Eyes with brows, nose, mouth, and the face up to above the brows, by the landmarks alone."""

    parts: Sequence[str] = (*FEATURES, FACE)
    face_parts: Sequence[str] = parts

    def masks(self, pictures: RegionPictures, parts: Sequence[str], /) -> dict[str, Mask]:
        count, height, width, _ = pictures.images.shape
        found = {part: np.zeros((count, height, width), dtype=np.float32) for part in parts}
        for n, landmarks in enumerate(pictures.faces):
            if landmarks is not None:
                for part in parts:
                    found[part][n] = part_mask(landmarks, part, height, width)
        return found


def part_mask(landmarks: Floats, part: str, height: int, width: int) -> Mask:
    """Return the mask [H, W] of a part of the face with these landmarks [68, 2]. Raises DistillError."""
    frame, edge = FaceFrame.of(landmarks), EDGES[part]
    hulls = [landmarks[BROWS]]
    match part:
        case "eyes":
            eyes = ((LEFT_BROW, LEFT_EYE), (RIGHT_BROW, RIGHT_EYE))
            hulls = [np.concatenate([landmarks[brow], landmarks[eye]]) for brow, eye in eyes]
        case "nose":
            hulls = [landmarks[NOSE]]
        case "mouth":
            hulls = [landmarks[MOUTH]]
        case _:
            hulls = [face_points(landmarks, frame)]
    distance_HW = np.minimum.reduce([hull_distance(points, height, width) for points in hulls])
    inside = edge.grown - distance_HW / np.float32(frame.distance)
    return smooth(inside / (2 * edge.blur) + 0.5)


def face_points(landmarks: Floats, frame: FaceFrame) -> Floats:
    """Add points of the forehead, which has no landmarks, to the 68: [P, 2]."""
    forehead = landmarks[BROWS] + frame.distance * FOREHEAD[:, None] * frame.up
    return np.concatenate([landmarks, forehead])


def hull_distance(points: Floats, height: int, width: int) -> Mask:
    """Return how far each pixel [H, W] lies outside of the convex hull of points [P, 2], in px; negative inside.

    Beyond a corner it is the distance from the nearer of the two lines that meet there, so that grown corners stay
    sharp. Raises DistillError for points on one line.
    """
    from scipy.spatial import ConvexHull, QhullError

    try:  # x·a + y·b + c, of unit normals that look outwards
        lines = ConvexHull(points).equations.astype(np.float32)
    except (QhullError, ValueError) as error:
        raise DistillError("landmarks: those of one part lie on one line") from error
    x = np.arange(width, dtype=np.float32)
    y = np.arange(height, dtype=np.float32)[:, None]
    distance_HW: Mask = np.maximum.reduce([a * x + b * y + c for a, b, c in lines])
    return distance_HW


def smooth(share: Mask) -> Mask:
    """0 below 0, 1 above 1, between them a curve without corners (3t² - 2t³)."""
    t = np.clip(share, 0, 1)
    return np.asarray(t * t * (3 - 2 * t), dtype=np.float32)


def scaled_landmarks(landmarks: Floats, factor: float) -> Floats:
    """Move landmarks to another scaling of their picture; pixel centres stay pixel centres."""
    return np.asarray((landmarks + 0.5) * factor - 0.5)
