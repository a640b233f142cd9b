"""The features of precision and recall, from a file laid out as NVIDIA's is."""

from __future__ import annotations

import hashlib

import pytest
import torch
from torch.nn import functional as F

from distill.errors import DistillError, UnsupportedCheckpoint
from distill.metrics.features import nvidia_vgg16
from distill.networks import lpips, vgg16
from distill.networks.tensorflow_resize import tensorflow_resize
from distill.networks.vgg16 import VGG16Hidden
from distill.weights.registry import entry_of

WIDTHS, HIDDEN = (2, 3, 4, 5, 5), 6


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    """A VGG16 of few channels: its file is small."""
    monkeypatch.setattr(lpips, "WIDTHS", WIDTHS)
    monkeypatch.setattr(vgg16, "HIDDEN", HIDDEN)


def tensors() -> dict[str, torch.Tensor]:
    """The names of NVIDIA's file."""
    random, state = torch.Generator().manual_seed(0), {}
    for number, (outputs, inputs) in enumerate(lpips._shapes(), start=1):
        state[f"layers.conv{number}.weight"] = torch.randn(outputs, inputs, 3, 3, generator=random) / 3
        state[f"layers.conv{number}.bias"] = torch.randn(outputs, generator=random)
    for number, (outputs, inputs) in enumerate([(HIDDEN, 5 * 49), (HIDDEN, HIDDEN), (9, HIDDEN)], start=1):
        state[f"layers.fc{number}.weight"] = torch.randn(outputs, inputs, generator=random)
        state[f"layers.fc{number}.bias"] = torch.randn(outputs, generator=random)
    return state


def saved(state, path, monkeypatch):
    torch.save(state, path)
    monkeypatch.setattr(vgg16, "SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    return path


def test_the_features_are_those_of_the_second_full_layer(tmp_path, monkeypatch):
    state = tensors()
    images = torch.randint(0, 256, (2, 40, 40, 3), generator=torch.Generator().manual_seed(1)).byte()
    x = tensorflow_resize(images.permute(0, 3, 1, 2).float(), 224) / 255
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = (x - mean[:, None, None]) / deviation[:, None, None]
    number = 0
    for depth in (2, 2, 3, 3, 3):
        for _ in range(depth):
            number += 1
            name = f"layers.conv{number}"
            x = F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], padding=1).relu()
        x = F.max_pool2d(x, 2)
    assert x.shape[2:] == (7, 7)
    x = x.flatten(1)
    for name in ("layers.fc1", "layers.fc2"):
        x = F.linear(x, state[f"{name}.weight"], state[f"{name}.bias"]).relu()
    features = nvidia_vgg16(saved(state, tmp_path / "vgg16.pt", monkeypatch), "cpu")
    found = features.of([images])
    assert features.name == "vgg16"
    assert found == pytest.approx(x.numpy(), rel=1e-3, abs=1e-3 * float(x.max()))
    assert found.std(axis=0).max() > 0


def test_no_file_but_the_published_one_is_read(tmp_path):
    entry = entry_of("vgg16-lpips")
    assert entry is not None
    assert entry.sha256 == vgg16.SHA256
    torch.save(tensors(), tmp_path / "vgg16.pt")
    with pytest.raises(
        DistillError, match=r"not vgg16\.pt as NVIDIA published it .* fetch vgg16-lpips"
    ) as caught:
        VGG16Hidden(tmp_path / "vgg16.pt")
    assert "\n" not in str(caught.value)


def test_layers_of_another_network_are_named(tmp_path, monkeypatch):
    state = tensors()
    without = {name: tensor for name, tensor in state.items() if "fc2" not in name}
    with pytest.raises(UnsupportedCheckpoint, match=r"its full layers are \[\(6, 245\), \(9, 6\)\]"):
        VGG16Hidden(saved(without, tmp_path / "a.pt", monkeypatch))
