"""Face descriptors: dlib's own numbers, from the published model only."""

from __future__ import annotations

import json
from pathlib import Path

import dlib
import numpy as np
import pytest
from PIL import Image

from distill.errors import DistillError
from distill.faces.detection import FaceDetector
from distill.faces.identity import (
    DESCRIPTOR,
    NUMBERS,
    SAME_PERSON,
    describe,
    descriptor_distances,
    descriptor_sha256,
)

GOLDEN = Path(__file__).parents[1] / "golden" / "alignment"
LANDMARKS = np.array(json.loads((GOLDEN / "landmarks.json").read_text())["astronaut.png"])


def portrait(side=512):
    image = Image.open(GOLDEN / "astronaut.png").convert("RGB")
    return np.array(image.resize((side, side), Image.Resampling.LANCZOS))


@pytest.fixture(scope="module")
def astronaut():
    return describe(portrait(), LANDMARKS)


def test_the_numbers_are_dlibs(astronaut):
    points = [dlib.point(int(x), int(y)) for x, y in LANDMARKS]
    shape = dlib.full_object_detection(dlib.rectangle(0, 0, 1, 1), points)
    network = dlib.face_recognition_model_v1(str(DESCRIPTOR.verified()[0]))
    expected = np.array(network.compute_face_descriptor(portrait(), shape))
    assert astronaut.shape == (NUMBERS,)
    assert np.linalg.norm(astronaut - expected) < 0.02


def test_the_same_person_is_near_when_small_or_mirrored(astronaut):
    (face,) = FaceDetector(detect_size=512)(portrait(200))
    small = describe(portrait(200), face.landmarks)
    mirrored = describe(portrait(), LANDMARKS, mirrored=True)
    (face,) = FaceDetector()(np.ascontiguousarray(portrait()[:, ::-1]))
    found_mirrored = describe(portrait()[:, ::-1], face.landmarks)
    distances = descriptor_distances(np.stack([small, mirrored]), np.stack([astronaut, found_mirrored]))
    assert (distances < SAME_PERSON).all()
    assert distances[1, 1] < distances[1, 0]
    assert distances[1, 1] < 0.15


def test_distances_are_euclidean():
    a, b = np.zeros((2, NUMBERS)), np.full((3, NUMBERS), 0.5)
    assert descriptor_distances(a, b) == pytest.approx(np.full((2, 3), 0.5 * NUMBERS**0.5))


def test_the_published_model_is_pinned():
    assert descriptor_sha256() == DESCRIPTOR.sha256


def test_other_models_are_not_opened(tmp_path, monkeypatch):
    forged = tmp_path / "model.dat"
    forged.write_bytes(b"\x08" * 100)
    monkeypatch.setenv("DISTILL_FACE_DESCRIPTOR", str(forged))
    with pytest.raises(DistillError, match="DISTILL_FACE_DESCRIPTOR_SHA256"):
        describe(portrait(), LANDMARKS)
    monkeypatch.setenv("DISTILL_FACE_DESCRIPTOR", str(tmp_path / "absent.dat"))
    with pytest.raises(DistillError, match=r"face descriptor model .*absent\.dat"):
        descriptor_sha256()


def test_a_model_with_its_hash_must_be_one_that_dlib_reads(tmp_path, monkeypatch):
    import hashlib

    broken = tmp_path / "broken.dat"
    broken.write_bytes(b"no model")
    monkeypatch.setenv("DISTILL_FACE_DESCRIPTOR", str(broken))
    monkeypatch.setenv("DISTILL_FACE_DESCRIPTOR_SHA256", hashlib.sha256(b"no model").hexdigest())
    with pytest.raises(DistillError, match="dlib cannot read it"):
        describe(portrait(), LANDMARKS)
