"""Edits go back to where they were cut out: in register, without seams, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from distill.errors import DistillError
from distill.faces.alignment import ffhq_quad, quad_cut, warp_quad
from distill.faces.paste import FaceEdit, paste_back
from distill.faces.photos import photo_detector

GOLDEN = Path(__file__).parents[1] / "golden" / "alignment"


def square(centre, side, angle=0.0):
    """A quad: upper left, lower left, lower right, upper right."""
    corners = np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]]) * side / 2
    cosine, sine = np.cos(angle), np.sin(angle)
    return corners @ np.array([[cosine, sine], [-sine, cosine]]) + centre


def waves(height, width, period=60.0):
    """A photo without fine detail: it survives being reduced, so what changes has moved."""
    y, x = np.mgrid[:height, :width] * (2 * np.pi / period)
    planes = [np.sin(x) * np.cos(y), np.sin(x + 1.3 * y), np.cos(0.7 * x - y)]
    return np.rint(127.5 + 100 * np.stack(planes, axis=-1)).astype(np.uint8)


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def inside(quad, height, width, margin=0.0):
    """Which pixels lie in the quad, `margin` beyond its edges."""
    right, down = quad[3] - quad[0], quad[1] - quad[0]
    side = np.hypot(*right)
    points = np.stack(np.mgrid[:height, :width][::-1], axis=-1) - quad[0]
    u, v = points @ right / side, points @ down / side
    return (np.minimum(u, v) >= -margin) & (np.maximum(u, v) <= side + margin)


def identity(photo, quad, size, **options):
    return paste_back(photo, [FaceEdit(quad=quad, pixels=warp_quad(photo, quad, size))], **options)


def moved(before, after, where):
    """By how many pixels (x, y) a picture moved, from its change and its slopes (least squares)."""
    old, new = before.mean(axis=-1), after.mean(axis=-1)
    slopes = np.stack(np.gradient(old)[::-1], axis=-1)[where]
    return np.linalg.lstsq(slopes, (old - new)[where], rcond=None)[0]


@pytest.mark.parametrize("size", [40, 96, 192, 400], ids=lambda size: f"{size} px")
@pytest.mark.parametrize("angle", [0.0, 0.4, -2.0])
def test_a_crop_put_back_unchanged_leaves_the_photo_as_it_was(size, angle):
    photo = waves(331, 397)  # sides that no factor divides
    quad = square((201.3, 160.8), 190, angle)
    result = identity(photo, quad, size)
    off = np.abs(result.astype(int) - photo)
    assert off.mean() < 1
    assert off.max() < 16
    assert np.abs(moved(photo, result, inside(quad, 331, 397, margin=-50))).max() < 0.1


def test_a_large_face_comes_back_in_register_though_its_crop_was_reduced_by_a_whole_factor():
    photo = waves(1203, 1397, period=240)
    quad = square((611.4, 580.2), 1000)
    assert np.abs(quad_cut(quad, 1203, 1397, 64) - quad).max() > 2
    result = identity(photo, quad, 64)
    assert np.abs(result.astype(int) - photo).mean() < 1
    assert np.abs(moved(photo, result, inside(quad, 1203, 1397, margin=-260))).max() < 0.3


def test_outside_the_crop_every_byte_is_kept_and_the_middle_is_the_edit():
    photo = noise(200, 240)
    before = photo.copy()
    quad = square((120, 90), 100, 0.3)
    result = paste_back(photo, [FaceEdit(quad=quad, pixels=np.full((64, 64, 3), (255, 0, 0), np.uint8))])
    outside = ~inside(quad, 200, 240)
    assert (result[outside] == photo[outside]).all()
    assert (result[80:100, 110:130] == (255, 0, 0)).all()
    assert (photo == before).all()


def test_the_edit_fades_without_a_step():
    photo = np.zeros((200, 200, 3), np.uint8)
    result = paste_back(
        photo, [FaceEdit(quad=square((100, 100), 160), pixels=np.full((64, 64, 3), 255, np.uint8))]
    )
    row = result[100, :, 0].astype(int)
    assert row[100] == 255
    assert np.abs(np.diff(row)).max() < 12
    assert (np.diff(row[:100]) >= 0).all()


def test_reducing_averages_and_enlarging_interpolates():
    photo = np.full((120, 120, 3), 128, np.uint8)
    board = np.indices((256, 256)).sum(axis=0) % 2 * 255
    board = np.repeat(board[..., None], 3, axis=2).astype(np.uint8)
    small = paste_back(photo, [FaceEdit(quad=square((60.2, 59.7), 41, 0.2), pixels=board)])
    assert np.abs(small.astype(int) - 128).max() < 8
    ramp = np.repeat(np.linspace(0, 250, 16)[None, :, None], 16, axis=0).repeat(3, axis=2).astype(np.uint8)
    large = paste_back(photo, [FaceEdit(quad=square((59.5, 59.5), 112), pixels=ramp)])
    steps = np.diff(large[60, 40:80, 0].astype(int))
    assert steps.min() >= 1
    assert steps.max() <= 4


@pytest.mark.parametrize("centre", [(20, 100), (150, 20), (285, 190), (150, 100)], ids=str)
def test_mirrored_and_blurred_surroundings_are_not_pasted(centre):
    photo = waves(200, 300)
    off = np.abs(identity(photo, square(centre, 150, 0.2), 150).astype(int) - photo)
    assert off.mean() < 0.5
    assert off.max() < 12


def test_several_faces_go_back_and_where_they_meet_the_nearer_wins():
    photo = waves(160, 300)
    red = FaceEdit(quad=square((90, 80), 120), pixels=np.full((32, 32, 3), (255, 0, 0), np.uint8))
    blue = FaceEdit(quad=square((170, 80), 120), pixels=np.full((32, 32, 3), (0, 0, 255), np.uint8))
    far = FaceEdit(quad=square((280, 30), 30), pixels=np.full((32, 32, 3), (0, 255, 0), np.uint8))
    result = paste_back(photo, [red, blue, far])
    swapped = paste_back(photo, [far, blue, red])
    assert np.abs(result.astype(int) - swapped).max() <= 1
    assert (result[80, 90] == (255, 0, 0)).all()
    assert (result[80, 170] == (0, 0, 255)).all()
    assert (result[30, 280] == (0, 255, 0)).all()
    alone = paste_back(photo, [far])
    assert (result[:60, 262:] == alone[:60, 262:]).all()
    row = result[80, 90:171].astype(int)
    assert np.abs(np.diff(row[:, 0])).max() < 60
    assert row[30, 0] > row[30, 2]
    assert row[50, 0] < row[50, 2]


def test_a_face_half_outside_and_one_wholly_outside():
    photo = noise(100, 100)
    gone = FaceEdit(quad=square((300, 300), 50), pixels=np.zeros((16, 16, 3), np.uint8))
    assert (paste_back(photo, [gone]) == photo).all()
    half = FaceEdit(quad=square((0, 50), 60), pixels=np.zeros((16, 16, 3), np.uint8))
    result = paste_back(photo, [half])
    assert (result != photo).any()
    assert (result[:, 31:] == photo[:, 31:]).all()


def test_landmarks_stay_where_they_are():
    with Image.open(GOLDEN / "astronaut.png") as image:
        photo = np.array(image.convert("RGB"))
    detector = photo_detector()
    (before,) = detector(photo)
    (after,) = detector(identity(photo, ffhq_quad(before.landmarks), 256))
    assert np.hypot(*(after.landmarks - before.landmarks).T).mean() < 0.5


@pytest.mark.parametrize(
    ("quad", "shape", "options", "message"),
    [
        (square((50, 50), 40), (16, 20, 3), {}, "square"),
        (square((50, 50), 40) * [[1, 1], [1, 1], [1, 1], [1.2, 1]], (16, 16, 3), {}, "parallelogram"),
        (square((50, 50), 0.5), (16, 16, 3), {}, "parallelogram"),
        (square((50, 50), 40), (16, 16, 3), {"feather": 0}, "feather"),
        (square((50, 50), 40)[:3], (16, 16, 3), {}, "quad: 4 finite"),
    ],
)
def test_what_cannot_be_put_back_is_refused(quad, shape, options, message):
    with pytest.raises(DistillError, match=message):
        paste_back(
            np.zeros((100, 100, 3), np.uint8),
            [FaceEdit(quad=quad, pixels=np.zeros(shape, np.uint8))],
            **options,
        )
