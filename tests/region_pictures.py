"""Pictures with known faces, for tests of regions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from distill.faces.detection import Face
from distill.faces.regions.landmarks import scaled_landmarks
from distill.faces.regions.parts import RegionPictures

GOLDEN = Path(__file__).parent / "golden" / "alignment"
ASTRONAUT = np.array(json.loads((GOLDEN / "landmarks.json").read_text())["astronaut.png"], dtype=np.float64)
ASTRONAUT_SIDE = 512


def centred_face(side: int) -> NDArray[np.float64]:
    """The astronaut's landmarks as those of a face in the middle of a picture of `side` px, eyes a quarter apart."""
    left, right = ASTRONAUT[36:42].mean(axis=0), ASTRONAUT[42:48].mean(axis=0)
    factor = side / 4 / np.hypot(*(right - left))
    moved = scaled_landmarks(ASTRONAUT, factor)
    return moved - moved[27:36].mean(axis=0) + np.array([side / 2, side * 0.55])


def find_centred(image: NDArray[np.uint8]) -> list[Face]:
    """Say that a face is in the middle of every picture."""
    side = float(image.shape[0])
    return [Face(box=(0.0, 0.0, side, side), confidence=1.0, landmarks=centred_face(image.shape[0]))]


def pictures(count: int, side: int, *, faces: bool = True, **more: object) -> RegionPictures:
    images = np.zeros((count, side, side, 3), dtype=np.uint8)
    face = centred_face(side) if faces else None
    return RegionPictures(images=images, faces=[face] * count, **more)  # type: ignore[arg-type]
