"""Named features for the perceptual loss and distance. Two numbers compare only if the features have one name.

- `none`: no features; the loss is 0.
- `efficientnet_lite0`: five stages of EfficientNet-Lite0 (ImageNet, Apache-2.0), from a package: works offline.
- `vgg19`: the five layers of the public Pix2PixHD, from torchvision's published file vgg19-dcbb9e9d.pth, which
  `distill weights fetch vgg19` brings. Images go in as they are, in [-1, 1]: the public code does not normalise
  them either.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from distill.errors import DistillError, UnsupportedCheckpoint
from distill.networks.efficientnet_lite import EfficientNetLite0, lite0_file, lite0_installed, named
from distill.weights.checkpoint import file_sha256
from distill.weights.registry import entry_of
from distill.weights.state_files import read_state

NAMES = ("none", "efficientnet_lite0", "vgg19")
LAYER_WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)  # shallow to deep: the public Pix2PixHD
VGG19_FILE = "vgg19-dcbb9e9d.pth"  # the suffix is the start of its sha256


class PerceptualFeatures(Protocol):
    """A frozen network: images [N, 3, H, W] in [-1, 1] -> features [N, C, h, w], one for each of `weights`.

    Gradients flow through to the images; the network itself has none.
    """

    name: str
    weights: tuple[float, ...]

    def __call__(self, images_NCHW: Tensor, /) -> list[Tensor]: ...


def load_perceptual(
    name: str, *, vgg19_file: Path | None = None, device: str | torch.device = "cpu"
) -> PerceptualFeatures:
    """Load features by name; `vgg19_file` is torchvision's published file, by default the fetched one.

    Nothing is fetched here. Raises DistillError for an unknown name, weights that are not there, and files that
    are damaged or of another network; one line.
    """
    if name == "none":
        return NoFeatures()
    if name == "efficientnet_lite0":
        return Lite0Features(lite0_file("perceptual features")).to(device)
    if name == "vgg19":
        return VGG19Features(vgg19_file or fetched_vgg19()).to(device)
    raise DistillError(f"unknown perceptual features {name!r}; known are {', '.join(NAMES)}")


def perceptual_sha256(name: str) -> str:
    """Return the sha256 of the file of named features; "" for `none`. Raises DistillError as `load_perceptual`."""
    if name == "none":
        return ""
    if name not in NAMES:
        raise DistillError(f"unknown perceptual features {name!r}; known are {', '.join(NAMES)}")
    return file_sha256(lite0_file("perceptual features") if name == "efficientnet_lite0" else fetched_vgg19())


def fetched_vgg19() -> Path:
    """Return the file of `distill weights fetch vgg19`. Raises DistillError where it was not fetched."""
    entry = entry_of("vgg19")
    if entry is None or not entry.path.is_file():
        raise DistillError(
            f"perceptual features vgg19 need torchvision's file {VGG19_FILE} (548 MiB): run distill weights fetch "
            "vgg19, or choose efficientnet_lite0, which comes in a package"
        )
    return entry.path


def default_perceptual() -> str:
    """Name what is used when nothing is asked for: EfficientNet-Lite0 where installed, else `none`."""
    return "efficientnet_lite0" if lite0_installed() else "none"


class NoFeatures:
    """Nothing to compare."""

    name = "none"
    weights: tuple[float, ...] = ()

    def __call__(self, images_NCHW: Tensor, /) -> list[Tensor]:
        return []


# ---- EfficientNet-Lite0


class Lite0Features(nn.Module):
    """Five stages at strides 2, 4, 8, 16, 16, each divided by its typical size, so that `weights` mean what they say.

    The strides of VGG19's five layers are 1, 2, 4, 8, 16; the two stages at stride 32 are left out, since a 64-px
    image has 2x2 positions there.
    """

    name = "efficientnet_lite0"
    weights: tuple[float, ...] = LAYER_WEIGHTS
    # Mean absolute value of each stage over scikit-image's astronaut, chelsea, coffee and rocket at 256 px.
    scales = (4.7, 6.6, 5.8, 5.3, 5.2)

    def __init__(self, path: Path) -> None:
        super().__init__()
        try:
            self.network = EfficientNetLite0(
                read_state(path, keep=_in_lite0).tensors, stages=len(self.scales)
            )
        except UnsupportedCheckpoint as error:
            raise UnsupportedCheckpoint(f"{path}: not EfficientNet-Lite0 as published: {error}") from error

    def forward(self, images_NCHW: Tensor) -> list[Tensor]:
        features: list[Tensor] = self.network(images_NCHW)
        return [feature / scale for feature, scale in zip(features, self.scales, strict=True)]


def _in_lite0(name: str) -> bool:
    return not name.startswith(("_fc.", "_conv_head.", "_bn1.")) and not name.endswith("num_batches_tracked")


# ---- VGG19


class VGG19Features(nn.Module):
    """relu1_1, relu2_1, relu3_1, relu4_1 and relu5_1 of VGG19 (Simonyan & Zisserman 2014, configuration E).

    Weights of layers: 1/32, 1/16, 1/8, 1/4, 1. H and W: at least 16.
    """

    name = "vgg19"
    weights: tuple[float, ...] = LAYER_WEIGHTS
    widths = (64, 128, 256, 512, 512)
    convolutions = (
        (0,),
        (2, 5),
        (7, 10),
        (12, 14, 16, 19),
        (21, 23, 25, 28),
    )  # positions in the published file

    def __init__(self, path: Path) -> None:
        super().__init__()
        _check_published_name(Path(path))
        tensors = read_state(Path(path), keep=lambda name: name.startswith("features.")).tensors
        try:
            for number, shape in self._shapes().items():
                for part, sizes in (("weight", shape), ("bias", shape[:1])):
                    name = f"features.{number}.{part}"
                    self.register_buffer(f"{part}{number}", named(tensors, name, sizes))
        except UnsupportedCheckpoint as error:
            raise UnsupportedCheckpoint(f"{path}: not VGG19 as published: {error}") from error

    def _shapes(self) -> dict[int, tuple[int, ...]]:
        """The shape of each convolution: a level begins with relu{level - 1}_2 and ends with relu{level}_1."""
        shapes: dict[int, tuple[int, ...]] = {}
        inputs = 3
        for level, numbers in enumerate(self.convolutions):
            for number in numbers:
                outputs = self.widths[level if number == numbers[-1] else level - 1]
                shapes[number] = (outputs, inputs, 3, 3)
                inputs = outputs
        return shapes

    def forward(self, images_NCHW: Tensor) -> list[Tensor]:
        x, found = images_NCHW, []
        for numbers in self.convolutions:
            for number in numbers:
                if number and number == numbers[-1]:
                    x = F.max_pool2d(x, 2)
                weight, bias = self.get_buffer(f"weight{number}"), self.get_buffer(f"bias{number}")
                x = F.relu(F.conv2d(x, weight, bias, padding=1))
            found.append(x)
        return found


def _check_published_name(path: Path) -> None:
    """Compare a file named `….-xxxxxxxx.pth` with the start of its sha256, as PyTorch's own downloads do."""
    wanted = re.search(r"-([0-9a-f]{8})\.pth$", path.name)
    if wanted and path.is_file() and not (found := file_sha256(path)).startswith(wanted[1]):
        raise DistillError(
            f"{path}: damaged: its sha256 starts with {found[:8]}, not {wanted[1]}; download it again"
        )
