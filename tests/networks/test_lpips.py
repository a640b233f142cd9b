"""LPIPS out of files of several programs, none of which is run."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from distill.errors import DistillError, UnsafePickle
from distill.networks import lpips
from distill.networks.image_distance import LpipsDistance, open_distance

WIDTHS = (2, 3, 4, 5, 5)
PLACES = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)  # of the convolutions in torchvision's VGG16


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    """A VGG16 of few channels: its file is small."""
    monkeypatch.setattr(lpips, "WIDTHS", WIDTHS)


def tensors() -> dict[str, torch.Tensor]:
    """Names of torchvision's VGG16 and of the package lpips."""
    random, state = torch.Generator().manual_seed(0), {}
    for place, (outputs, inputs) in zip(PLACES, lpips._shapes(), strict=True):
        state[f"features.{place}.weight"] = torch.randn(outputs, inputs, 3, 3, generator=random)
        state[f"features.{place}.bias"] = torch.randn(outputs, generator=random)
    state["classifier.0.weight"] = torch.zeros(7, 5)
    for level, width in enumerate(WIDTHS):
        state[f"lin{level}.model.1.weight"] = torch.rand(1, width, 1, 1, generator=random)
    return state


class Script(nn.Module):
    """A module with code and submodules, as torch.jit saves it."""

    def __init__(self, state: dict[str, torch.Tensor]) -> None:
        super().__init__()
        self.layers = nn.Module()
        for name, tensor in state.items():
            owner = self.layers if name.startswith("features") else self
            owner.register_buffer(name.replace("features.", "conv").replace(".", "_"), tensor)

    def forward(self, x: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
        if scale > 2.0:
            x = x * 3.0
        return x + 1.0


def renamed(state, change):
    return {change(name): tensor for name, tensor in state.items()}


@pytest.fixture
def images():
    return torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1


def distances(path, images):
    measure = open_distance(path, "cpu")
    found, wanted = measure.features(images), measure.features(images.flip(0))
    return measure.distance(found, wanted)


def by_hand(state, a, b):
    """LPIPS as the paper has it: (5.1) unit features, weighed, squared, averaged over places, summed over levels."""
    total, at = torch.zeros(len(a)), 0
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    deviation = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    x = torch.cat([((image + 1) / 2 - mean) / deviation for image in (a, b)])
    for level, depth in enumerate((2, 2, 3, 3, 3)):
        x = nn.functional.max_pool2d(x, 2) if level else x
        for place in PLACES[at : at + depth]:
            weight, bias = state[f"features.{place}.weight"], state[f"features.{place}.bias"]
            x = nn.functional.conv2d(x, weight, bias, padding=1).relu()
        at += depth
        unit = x / (x.norm(dim=1, keepdim=True) + 1e-10)
        squares = (unit[: len(a)] - unit[len(a) :]).square() * state[f"lin{level}.model.1.weight"]
        total += squares.sum(dim=1).mean(dim=(1, 2))
    return total


def test_the_distance_is_that_of_the_paper(tmp_path, images):
    torch.save(tensors(), tmp_path / "vgg.pth")
    found = distances(tmp_path / "vgg.pth", images)
    assert torch.allclose(found, by_hand(tensors(), images, images.flip(0)), atol=1e-5)
    assert found[1] == 0  # the middle one is itself
    assert LpipsDistance.name == "lpips_vgg16"


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_files_of_several_programs_say_the_same(tmp_path, images):
    state = tensors()
    torch.save(state, tmp_path / "vision.pth")
    package = renamed(state, lambda name: name.replace("features.", "net.slice1."))
    package |= {
        "scaling_layer.shift": torch.zeros(1, 3, 1, 1),
        "lins.0.model.1.weight": torch.zeros(1, 2, 1, 1),
    }
    torch.save(package, tmp_path / "package.pth")
    torch.jit.save(torch.jit.script(Script(state)), tmp_path / "script.pt")
    first, *rest = (distances(tmp_path / name, images) for name in ("vision.pth", "package.pth", "script.pt"))
    assert all(torch.equal(first, other) for other in rest)


def test_gradients_flow_where_features_are_nought(tmp_path):
    torch.save(tensors(), tmp_path / "vgg.pth")
    measure = open_distance(tmp_path / "vgg.pth", "cpu")
    image = torch.zeros(1, 3, 16, 16, requires_grad=True)
    measure.loss(measure.features(image), measure.features(image.detach() + 0.5)).sum().backward()
    assert torch.isfinite(image.grad).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda state: {k: v for k, v in state.items() if not k.startswith("lin")},
            "lacks the weights of the five",
        ),
        (
            lambda state: state | {"features.30.weight": torch.zeros(5, 5, 3, 3)},
            "14 3x3 convolutions are not the 13 of VGG16",
        ),
        (
            lambda state: state | {"features.7.bias": torch.zeros(9)},
            "the bias of features.7.weight is missing",
        ),
        (lambda state: {"a": torch.zeros(3)}, "0 3x3 convolutions"),
    ],
)
def test_another_network_is_refused_in_a_line(tmp_path, change, message):
    torch.save(change(tensors()), tmp_path / "other.pth")
    with pytest.raises(DistillError, match=message) as caught:
        open_distance(tmp_path / "other.pth", "cpu")
    assert str(caught.value).startswith(str(tmp_path / "other.pth"))
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_files_that_are_no_weights_or_ask_for_more_are_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("notes")
    torch.save({"features.0.weight": print}, tmp_path / "hostile.pth")
    with pytest.raises(DistillError, match="not a weight file"):
        open_distance(tmp_path / "notes.txt", "cpu")
    with pytest.raises(UnsafePickle, match=r"refused global (builtins|__builtin__)\.print"):
        open_distance(tmp_path / "hostile.pth", "cpu")
    with pytest.raises(DistillError, match=r"nothing\.pth"):
        open_distance(tmp_path / "nothing.pth", "cpu")
