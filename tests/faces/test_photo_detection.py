"""Faces of photos: as the public aligners find them, the same whatever else is asked, large and small ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from distill.faces.photo_detection import PhotoDetector, looks, smallest_searched

GOLDEN = Path(__file__).parents[1] / "golden" / "alignment"
LANDMARKS = json.loads((GOLDEN / "landmarks.json").read_text())
FACE = 100 / 300  # the width of the astronaut's face as dlib boxes it, of the square cut out below


def astronaut(side):
    """The head and shoulders of scikit-image's astronaut as a square."""
    square = Image.fromarray(data.astronaut()[:300, 70:370])
    return np.array(square.resize((side, side), Image.Resampling.LANCZOS))


def group(height, width, *places):
    """A grey picture with the astronaut pasted in: places are (left, top, side)."""
    canvas = np.full((height, width, 3), 128, np.uint8)
    for left, top, side in places:
        canvas[top : top + side, left : left + side] = astronaut(side)
    return canvas


@pytest.mark.parametrize("name", sorted(LANDMARKS))
def test_landmarks_of_small_photos_are_those_of_the_public_aligners(name):
    with Image.open(GOLDEN / name) as image:
        photo = np.array(image.convert("RGB"))
    (face,) = PhotoDetector()(photo)
    assert np.array_equal(face.landmarks, LANDMARKS[name])


@pytest.mark.parametrize("side", [200, 450, 700, 1600])
def test_a_face_is_the_same_whatever_else_is_looked_for(side):
    photo = group(side, side * 3 // 2, (0, 0, side), (side, side // 2, side // 2))
    largest = max(PhotoDetector()(photo), key=lambda face: face.area)
    everyone = PhotoDetector(thorough=True)(photo)
    assert any(face.box == largest.box and (face.landmarks == largest.landmarks).all() for face in everyone)
    assert len(everyone) == 2


def test_small_faces_are_found_where_there_are_no_others_or_all_are_wanted():
    small, large = (120, 700, 160), (600, 100, 800)
    assert len(PhotoDetector()(group(1000, 1400, small))) == 1
    assert len(PhotoDetector()(group(1000, 1400, small, large))) == 1
    assert len(PhotoDetector(thorough=True)(group(1000, 1400, small, large))) == 2


def test_every_face_of_a_large_group_is_found_down_to_the_smallest_size_that_is_named():
    sides = [270, 320, 450, 700, 1000, 1500]
    places = [(100 + 650 * i, 1100 * (i % 2), side) for i, side in enumerate(sides)]
    photo = group(2650, 4900, *places)
    found = PhotoDetector(thorough=True)(photo)
    centres = sorted((face.box[0] + face.box[2]) / 2 for face in found)
    assert len(centres) == len(sides)
    assert all(left < x < left + side for x, (left, _, side) in zip(centres, places, strict=True))
    assert smallest_searched(photo) <= sides[0] * FACE


@pytest.mark.parametrize(
    ("height", "width", "smallest"),
    [(225, 275, 20), (600, 800, 40), (1500, 2000, 40), (4000, 6000, 80), (9000, 12000, 156)],
)
def test_looks_get_finer_and_the_smallest_size_is_known(height, width, smallest):
    sizes = [look.smallest for look in looks(height, width)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] == smallest


@pytest.mark.parametrize("shape", [(1, 1), (3, 900), (200, 20)])
def test_odd_photos_have_no_face(shape):
    assert PhotoDetector(thorough=True)(np.full((*shape, 3), 90, np.uint8)) == []
