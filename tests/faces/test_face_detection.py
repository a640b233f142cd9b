from __future__ import annotations

import json
import pickle
import threading
from pathlib import Path

import dlib
import numpy as np
import pytest
from PIL import Image

from distill.errors import DistillError
from distill.faces import detection
from distill.faces.alignment import align, framing_error, warp_quad
from distill.faces.detection import (
    LANDMARKS_SHA256,
    FaceDetector,
    chip_of_registered,
    chip_quad,
    face_chip,
)

GOLDEN = Path(__file__).parents[1] / "golden" / "alignment"
LANDMARKS = {
    name: np.array(points) for name, points in json.loads((GOLDEN / "landmarks.json").read_text()).items()
}


def portrait(side=None):
    image = Image.open(GOLDEN / "astronaut.png").convert("RGB")
    return np.array(image if side is None else image.resize((side, side), Image.Resampling.LANCZOS))


def test_one_face_with_its_landmarks():
    (face,) = FaceDetector()(portrait())
    assert face.confidence > 1
    assert np.abs(face.landmarks - LANDMARKS["astronaut.png"]).max() <= 2
    left, top, right, bottom = face.box
    assert left < 220 < right
    assert top < 120 < bottom
    assert face.area == pytest.approx((right - left) * (bottom - top))


class CountedDlib:
    """dlib, noting which models are opened."""

    def __init__(self):
        self.opened = []

    def __getattr__(self, name):
        if name in ("get_frontal_face_detector", "shape_predictor"):
            self.opened.append(name)
        return getattr(dlib, name)


def test_threads_that_begin_together_open_each_model_once_and_see_the_same(monkeypatch):
    counted, image, found, start = CountedDlib(), portrait(), [], threading.Barrier(3)
    monkeypatch.setattr(detection, "dlib_module", lambda: counted)
    detection._opened_detector.cache_clear()
    detection._opened_predictor.cache_clear()

    def look():
        start.wait()
        found.append(FaceDetector()(image))

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(counted.opened) == ["get_frontal_face_detector", "shape_predictor"]
    boxes = {(face.box, face.confidence, face.landmarks.tobytes()) for (face,) in found}
    assert (len(found), len(boxes)) == (3, 1)


@pytest.mark.parametrize("side", [256, 1500])
def test_landmarks_follow_the_size_of_the_image(side):
    (face,) = FaceDetector(detect_size=512, max_side=700, min_confidence=0.25)(portrait(side))
    expected = (LANDMARKS["astronaut.png"] + 0.5) * side / 512 - 0.5
    assert np.abs(face.landmarks - expected).max() / side < 0.01


@pytest.mark.parametrize("size", [64, 256])
def test_aligned_faces_are_in_ffhq_framing(size):
    aligned = align(portrait(), LANDMARKS["astronaut.png"], size)
    (face,) = FaceDetector()(aligned)
    assert framing_error(face.landmarks, size) < 0.03
    assert framing_error(face.landmarks + size / 4, size) > 0.3


def test_best_first_and_weak_ones_left_out():
    both = np.concatenate([portrait(), np.array(Image.fromarray(portrait()).rotate(12))], axis=1)
    faces = FaceDetector(min_confidence=0.25)(both)
    assert len(faces) == 2
    assert faces[0].confidence > faces[1].confidence
    assert len(FaceDetector(min_confidence=(faces[0].confidence + faces[1].confidence) / 2)(both)) == 1


@pytest.mark.parametrize("shape", [(1, 1), (3, 900), (200, 20)])
def test_odd_images_have_no_face(shape):
    assert FaceDetector()(np.full((*shape, 3), 90, np.uint8)) == []


def test_views_and_wrong_arrays():
    assert len(FaceDetector()(portrait()[:, ::-1])) == 1
    with pytest.raises(DistillError, match="uint8"):
        FaceDetector()(portrait().astype(np.float32))
    with pytest.raises(DistillError, match="detect_size"):
        FaceDetector(detect_size=0)


def test_a_used_detector_can_be_sent_to_a_worker():
    detector = FaceDetector(detect_size=300, min_confidence=0.5)
    before = detector(portrait())
    sent = pickle.dumps(detector)
    assert len(sent) < 1000
    after = pickle.loads(sent)(portrait())
    assert after[0].box == before[0].box
    assert (after[0].landmarks == before[0].landmarks).all()


def test_the_published_model_is_pinned():
    assert FaceDetector().landmarks_sha256 == LANDMARKS_SHA256


def test_unknown_models_are_not_opened(tmp_path, monkeypatch):
    forged = tmp_path / "model.dat"
    forged.write_bytes(b"\x08" * 100)
    with pytest.raises(DistillError, match="DISTILL_LANDMARKS_SHA256"):
        FaceDetector(landmarks_model=forged)(portrait())
    monkeypatch.setenv("DISTILL_LANDMARKS", str(tmp_path / "absent.dat"))
    with pytest.raises(DistillError, match=r"absent\.dat"):
        FaceDetector()(portrait())


def test_a_model_with_its_hash_is_opened_and_must_have_68_points(tmp_path, monkeypatch):
    import hashlib

    import face_recognition_models

    five = Path(face_recognition_models.pose_predictor_five_point_model_location())
    monkeypatch.setenv("DISTILL_LANDMARKS", str(five))
    monkeypatch.setenv("DISTILL_LANDMARKS_SHA256", hashlib.sha256(five.read_bytes()).hexdigest())
    with pytest.raises(DistillError, match="5 points"):
        FaceDetector()(portrait())
    broken = tmp_path / "broken.dat"
    broken.write_bytes(b"no model")
    with pytest.raises(DistillError, match="cannot read it"):
        FaceDetector(landmarks_model=broken, landmarks_model_sha256=hashlib.sha256(b"no model").hexdigest())(
            portrait()
        )


@pytest.mark.parametrize("padding", [0.25, 0.5])
def test_chips_are_dlibs(padding):
    points = [dlib.point(int(x), int(y)) for x, y in LANDMARKS["astronaut.png"]]
    shape = dlib.full_object_detection(dlib.rectangle(0, 0, 1, 1), points)
    expected = dlib.get_face_chip(portrait(), shape, size=150, padding=padding).astype(int)
    chip = face_chip(portrait(), LANDMARKS["astronaut.png"], 150, padding)
    assert np.abs(chip - expected).max() <= 1


def test_chip_quad_is_where_the_chip_comes_from():
    points = LANDMARKS["astronaut.png"] + 0.25
    warped = warp_quad(portrait(), chip_quad(points, 100), 100, padding=False)
    assert np.abs(warped.astype(int) - face_chip(portrait(), points, 100)).mean() < 2


def test_registered_chips_share_one_place():
    first, second = chip_of_registered([portrait(), portrait() // 2], LANDMARKS["astronaut.png"], 80)
    assert first.shape == second.shape == (80, 80, 3)
    assert np.abs(first.astype(int) // 2 - second).max() <= 2
    with pytest.raises(DistillError, match="padding"):
        face_chip(portrait(), LANDMARKS["astronaut.png"], 80, -1)
