"""LPIPS by VGG16 (Zhang et al. 2018; Simonyan & Zisserman 2014, configuration D), out of a file of the user's.

Only tensors are read. Programs name them in their own ways, so they are told by shape and order: thirteen 3x3
convolutions and five vectors that weigh the channels of their levels. That holds for a state dict of the package
lpips and for torchvision's VGG16 saved with the five; a TorchScript archive, as NVIDIA's vgg16.pt is one, is read by
the same rule, and its code is left alone (tried on archives of our own making, not on NVIDIA's).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from distill.errors import UnsupportedCheckpoint
from distill.weights.state_files import read_state

WIDTHS = (64, 128, 256, 512, 512)  # channels of the five levels
DEPTHS = (2, 2, 3, 3, 3)  # convolutions in each
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, colours from 0 to 1
EPS = 1e-10
ADVICE = "save one with torch.save(lpips.LPIPS(net='vgg').state_dict(), FILE)"
HEAD = re.compile(r"(^|\.)(fc\d*|classifier)\.")  # the layers behind, which nobody needs here


class VGG16Trunk(nn.Module):
    """The convolutions of VGG16, named by their weights: images in [-1, 1] -> the map of each level [N, C, h, w].

    H and W: at least 16.
    """

    def __init__(self, tensors: Mapping[str, Tensor], convolutions: Sequence[str]) -> None:
        super().__init__()
        for number, name in enumerate(convolutions):
            self.register_buffer(f"weight{number}", tensors[name])
            self.register_buffer(f"bias{number}", tensors[bias_of(name)])
        self.register_buffer("mean", torch.tensor(MEAN).reshape(1, 3, 1, 1) * 2 - 1)
        self.register_buffer("deviation", torch.tensor(DEVIATION).reshape(1, 3, 1, 1) * 2)

    def forward(self, images_NCHW: Tensor) -> list[Tensor]:
        x, found, number = (images_NCHW - self.get_buffer("mean")) / self.get_buffer("deviation"), [], 0
        for level, depth in enumerate(DEPTHS):
            x = F.max_pool2d(x, 2) if level else x
            for _ in range(depth):
                weight, bias = self.get_buffer(f"weight{number}"), self.get_buffer(f"bias{number}")
                x = F.relu(F.conv2d(x, weight, bias, padding=1))
                number += 1
            found.append(x)
        return found


class LpipsVGG16(nn.Module):
    """Images [N, 3, H, W] in [-1, 1] -> five maps [N, C, h, w] whose squared differences add up to LPIPS.

    H and W: at least 16. Raises UnsupportedCheckpoint for a file of another network, UnsafePickle for one that is
    broken or asks for more than data, DistillError for one that cannot be read; one line.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        tensors = read_state(path, keep=lambda name: not HEAD.search(name), scripts=True).tensors
        try:
            convolutions, channels = named_tensors(tensors)
        except UnsupportedCheckpoint as error:
            raise UnsupportedCheckpoint(f"{path}: not LPIPS by VGG16: {error}; {ADVICE}") from error
        self.trunk = VGG16Trunk(tensors, convolutions)
        for level, name in enumerate(channels):
            scale = tensors[name].reshape(1, -1, 1, 1).clamp(min=0).sqrt()
            self.register_buffer(f"scale{level}", scale)

    def forward(self, images_NCHW: Tensor) -> list[Tensor]:
        found = []
        for level, x in enumerate(self.trunk(images_NCHW)):
            unit = x * (x.square().sum(dim=1, keepdim=True) + EPS).rsqrt()
            found.append(unit * self.get_buffer(f"scale{level}") / (x.shape[2] * x.shape[3]) ** 0.5)
        return found


def named_tensors(tensors: Mapping[str, Tensor]) -> tuple[list[str], list[str]]:
    """Name the convolutions' weights and the vectors of the levels, in order. Raises UnsupportedCheckpoint."""
    convolutions = named_convolutions(tensors)
    names = in_natural_order(tensors)
    rest = iter([name for name in names if name not in convolutions and not name.endswith("bias")])
    channels = [
        next(
            (name for name in rest if tensors[name].numel() == max(tensors[name].shape, default=0) == width),
            "",
        )
        for width in WIDTHS
    ]
    if not all(channels):
        raise UnsupportedCheckpoint("it lacks the weights of the five levels (lin0 to lin4)")
    return convolutions, channels


def named_convolutions(tensors: Mapping[str, Tensor]) -> list[str]:
    """Name the weights of the convolutions, in order. Raises UnsupportedCheckpoint for those of another network."""
    convolutions = [name for name in in_natural_order(tensors) if tensors[name].shape[2:] == (3, 3)]
    shapes = [tuple(tensors[name].shape[:2]) for name in convolutions]
    if shapes != _shapes():
        raise UnsupportedCheckpoint(
            f"its {len(shapes)} 3x3 convolutions are not the {len(_shapes())} of VGG16"
        )
    for name in convolutions:
        bias = tensors.get(bias_of(name))
        if bias is None or bias.shape != tensors[name].shape[:1]:
            raise UnsupportedCheckpoint(f"the bias of {name} is missing")
    return convolutions


def in_natural_order(tensors: Mapping[str, Tensor]) -> list[str]:
    """Name the tensors of floating point, 10 after 9."""
    return sorted((name for name in tensors if tensors[name].is_floating_point()), key=_natural)


def _shapes() -> list[tuple[int, int]]:
    """Outputs and inputs of VGG16's convolutions."""
    widths = [3, *(width for width, depth in zip(WIDTHS, DEPTHS, strict=True) for _ in range(depth))]
    return [(outputs, inputs) for inputs, outputs in pairwise(widths)]


def bias_of(name: str) -> str:
    return f"{name.removesuffix('weight')}bias"


def _natural(name: str) -> list[tuple[int, str]]:
    """Order names so that 10 comes after 9."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]
