"""The network of face-api: its file, its layout, its arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage import data
from torch.nn import functional as F

from distill.attributes.face_api import ENTRY, NAME, FaceApiScorer, face_api_file
from distill.errors import DistillError
from distill.faces.detection import FaceDetector
from distill.networks.face_api import BYTES, LAYERS, SHA256, FaceApiNetwork, load_face_api, read_tensors
from distill.weights.registry import entry_of


def made_up(seed: int = 0) -> bytes:
    """A file of the right length: bytes as weights, small numbers as biases."""
    random, parts = np.random.default_rng(seed), []
    for layer in LAYERS:
        weights = {
            "full": layer.kernel**2 * layer.inputs * layer.outputs,
            "separable": 9 * layer.inputs + layer.inputs * layer.outputs,
            "dense": layer.inputs * layer.outputs,
        }[layer.kind]
        parts.append(random.integers(100, 156, weights).astype(np.uint8).tobytes())
        parts.append(random.normal(0, 0.01, layer.outputs).astype("<f4").tobytes())
    return b"".join(parts)


def test_the_file_is_read_to_its_last_byte_in_the_layout_of_torch():
    content = made_up()
    assert len(content) == BYTES
    tensors = dict(read_tensors(content))
    assert tensors["first_weight0"].shape == (32, 3, 3, 3)
    assert tensors["entry0_sep0_weight0"].shape == (32, 1, 3, 3)
    assert tensors["entry0_sep0_weight1"].shape == (64, 32, 1, 1)
    assert tensors["gender_weight0"].shape == (2, 512)
    step, zero = LAYERS[0].steps[0]
    stored = np.frombuffer(content, np.uint8, 3 * 3 * 3 * 32).reshape(
        3, 3, 3, 32
    )  # row, column, input, output
    assert tensors["first_weight0"][5, 2, 1, 0] == pytest.approx((int(stored[1, 0, 2, 5]) - zero) * step)
    assert tensors["gender_bias"].numpy().tobytes() == content[-8:]
    with pytest.raises(DistillError, match="has 429708 bytes, these are 429707"):
        dict(read_tensors(content[:-1]))


def test_same_padding_puts_its_row_behind():
    """An even side, a kernel of 3 and steps of 2: TensorFlow's SAME centres the first window on row 1."""
    network = FaceApiNetwork(made_up())
    with torch.inference_mode():
        faces = torch.rand(2, 3, 112, 112) * 255
        means = torch.tensor([122.782, 117.001, 104.298]).reshape(3, 1, 1)
        weight, bias = network.get_buffer("first_weight0"), network.get_buffer("first_bias")
        at_each_pixel = F.conv2d((faces - means) / 255, weight, bias, padding=1)  # centred on every pixel
        x = F.relu(at_each_pixel[:, :, 1::2, 1::2])
        padded = F.pad((faces - means) / 255, (0, 1, 0, 1))
        assert torch.allclose(F.relu(F.conv2d(padded, weight, bias, stride=2)), x, atol=1e-5)
        years, logits = network(faces)
        assert (years.shape, logits.shape) == ((2,), (2, 2))
        alone = network(faces[1:])
        assert torch.allclose(alone[0], years[1:], rtol=1e-4)
        assert torch.allclose(alone[1], logits[1:], rtol=1e-4)


def test_another_file_is_refused_in_one_line(tmp_path):
    path = tmp_path / "age_gender_model.bin"
    path.write_bytes(made_up())
    with pytest.raises(DistillError, match=rf"sha256 is .*{SHA256[:12]}.*weights fetch {ENTRY}"):
        load_face_api(path)
    with pytest.raises(DistillError, match="cannot be read"):
        load_face_api(tmp_path)


def test_the_table_holds_it_to_the_same_file(tmp_path, monkeypatch):
    monkeypatch.setenv("DISTILL_CACHE", str(tmp_path))
    entry = entry_of(ENTRY)
    assert entry is not None
    assert (entry.kind, entry.sha256, entry.path.name) == ("scorer", SHA256, "age_gender_model.bin")
    with pytest.raises(DistillError, match=f"distill weights fetch {ENTRY}"):
        face_api_file()


def has_file() -> bool:
    try:
        return face_api_file().is_file()
    except DistillError:
        return False


@pytest.mark.skipif(not has_file(), reason=f"distill weights fetch {ENTRY} was not run")
def test_the_same_numbers_as_the_published_package():
    """What @vladmandic/face-api 1.7.15 itself, on TensorFlow.js, gives for this noise: years, male, female."""
    noise = np.random.default_rng(0).integers(0, 255, (1, 112, 112, 3)).astype(np.uint8)
    scores = FaceApiScorer().score_chips([{NAME: noise[0]}])
    assert scores["age"][0] == pytest.approx(65.40103912, abs=1e-3)
    assert scores["gender"][0] == pytest.approx(0.03436443, abs=1e-5)


@pytest.mark.skipif(not has_file(), reason=f"distill weights fetch {ENTRY} was not run")
def test_a_known_face():
    image = data.astronaut()
    face = FaceDetector()(image)[0]
    scorer = FaceApiScorer()
    scores = scorer([image, image], [face, None])
    assert scores["gender"][0] > 0.7
    assert 25 < scores["age"][0] < 45
    assert np.isnan(scores["gender"][1])
    assert np.isnan(scores["age"][1])
    assert scorer.crops[NAME](image, face).shape == (112, 112, 3)
    with pytest.raises(DistillError, match="2 images and 1 faces"):
        scorer([image, image], [face])
