from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from distill.errors import DistillError
from distill.faces import align, ffhq_quad, framing_error, warp_quad

GOLDEN = Path(__file__).parents[1] / "golden" / "alignment"
LANDMARKS = json.loads((GOLDEN / "landmarks.json").read_text())


def picture(name):
    return np.array(Image.open(GOLDEN / name).convert("RGB"))


def landmarks(left_eye, right_eye, mouth):
    """68 points of which only eyes and mouth corners matter."""
    points = np.zeros((68, 2))
    points[36:42], points[42:48], points[[48, 54]] = left_eye, right_eye, mouth
    return points


def noise(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", ["astronaut", "astronaut_tight"])
def test_public_procedure_is_reproduced(name):
    aligned = align(picture(f"{name}.png"), LANDMARKS[f"{name}.png"], 256, transform_size=1024)
    difference = np.abs(aligned.astype(int) - picture(f"{name}_ffhq256.png"))
    assert difference.mean() <= 1
    assert difference[26:-26, 26:-26].max() <= 12


def test_default_transform_is_four_times_the_size():
    image, points = picture("astronaut.png"), LANDMARKS["astronaut.png"]
    assert (align(image, points, 64) == align(image, points, 64, transform_size=256)).all()


def test_quad_of_an_upright_face_by_hand():
    # eyes 50 apart (half side 2.0 × 50), mouth 40 below them (1.8 × 40 = 72 < 100), centre 4 below the eyes
    quad = ffhq_quad(landmarks((75, 90), (125, 90), (100, 130)))
    np.testing.assert_allclose(quad, [[0, -6], [0, 194], [200, 194], [200, -6]], atol=1e-9)


def test_long_faces_are_measured_by_the_mouth():
    quad = ffhq_quad(landmarks((90, 100), (110, 100), (100, 200)))
    assert np.ptp(quad[:, 0]) == pytest.approx(2 * 1.8 * 100)


@pytest.mark.parametrize("degrees", [-90, -20, 35, 120])
def test_quad_turns_with_the_face(degrees):
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    points = np.array(LANDMARKS["astronaut.png"], dtype=float)
    np.testing.assert_allclose(ffhq_quad(points @ turn + 7), ffhq_quad(points) @ turn + 7, atol=1e-8)


@pytest.mark.parametrize(
    "bad", [np.zeros((5, 2)), np.full((68, 2), np.nan), np.ones((68, 2)), np.zeros((68, 3))]
)
def test_landmarks_without_a_face_are_refused(bad):
    with pytest.raises(DistillError, match="landmarks"):
        ffhq_quad(bad)


def test_framing_error_is_zero_in_ffhq_framing_and_grows_with_a_shift():
    size = 64
    scale = size / 200
    face = (landmarks((75, 90), (125, 90), (100, 130)) - (0, -6)) * scale - 0.5
    assert framing_error(face, size) == pytest.approx(0, abs=1e-12)
    assert framing_error(face + np.array([3, 4]), size) == pytest.approx(5 / size)


def test_the_own_frame_gives_the_image_back():
    image = np.array(Image.fromarray(noise(8, 8)).resize((64, 64), Image.Resampling.BICUBIC))
    frame = np.array([[0, 0], [0, 64], [64, 64], [64, 0]]) - 0.5
    again = warp_quad(image, frame, 64, padding=False)
    assert np.abs(again.astype(int) - image)[2:-2, 2:-2].mean() < 1.5


def test_registered_images_stay_registered():
    image = picture("astronaut.png")
    quad = ffhq_quad(LANDMARKS["astronaut.png"])
    plain, dark = warp_quad(image, quad, 64), warp_quad(image // 2, quad, 64)
    assert np.abs(plain.astype(int) // 2 - dark).max() <= 3


def test_outside_is_black_without_padding_and_filled_with_it():
    image = np.full((40, 40, 3), 200, np.uint8)
    quad = np.array([[-20, -20], [-20, 20], [20, 20], [20, -20.0]])
    assert warp_quad(image, quad, 32, padding=False)[:12, :12].max() == 0
    assert warp_quad(image, quad, 32).min() == 200


def test_large_faces_are_reduced_without_aliasing():
    stripes = np.zeros((1200, 1200, 3), np.uint8)
    stripes[:, ::2] = 255
    frame = np.array([[100, 100], [100, 1100], [1100, 1100], [1100, 100.0]])
    assert np.ptp(warp_quad(stripes, frame, 32).astype(int)) <= 4


@pytest.mark.parametrize(
    "image", [noise(8, 8)[..., 0], noise(8, 8).astype(np.float32), np.zeros((0, 4, 3), np.uint8)]
)
def test_other_pixels_are_refused_with_their_shape(image):
    with pytest.raises(DistillError, match="uint8"):
        warp_quad(image, np.zeros((4, 2)), 16)


@pytest.mark.parametrize("offset", [500, -500, 1e8])
def test_a_quad_outside_the_image_is_refused(offset):
    quad = np.array([[0, 0], [0, 20], [20, 20], [20, 0.0]]) + offset
    with pytest.raises(DistillError, match="outside its image"):
        warp_quad(noise(30, 30), quad, 16)


def test_unknown_mode_and_size_are_refused():
    with pytest.raises(DistillError, match="'square'"):
        align(noise(8, 8), LANDMARKS["astronaut.png"], 16, mode="square")
    with pytest.raises(DistillError, match="positive"):
        align(noise(8, 8), LANDMARKS["astronaut.png"], 0)


def test_the_package_imports_without_dlib():
    code = "import sys, distill.faces; sys.exit('dlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
