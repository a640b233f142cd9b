"""The Inception network of FID: its last pooled features, 2048 numbers.

Szegedy et al. 2015, "Rethinking the Inception Architecture", in the form of the TensorFlow graph of 2015-12-05 that
Heusel et al. 2017 took for FID: average pooling counts no padding, and the last block pools by maximum. Weights: the
file published with pytorch-fid, under torchvision's names (`distill weights fetch inception`, 91 MiB). Other
Inception weights give other numbers, so no other file is taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from distill.errors import DistillError
from distill.files import user_path
from distill.networks.efficientnet_lite import fold
from distill.networks.tensorflow_resize import tensorflow_resize
from distill.weights.checkpoint import file_sha256
from distill.weights.registry import entry_of
from distill.weights.state_files import read_state

FILE = "pt_inception-2015-12-05-6726825d.pth"
SHA256 = (
    "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"  # of FILE, as in the table of weights
)
SIDE = 299  # px
FLAT, TALL = (1, 7), (7, 1)

Kernel = int | tuple[int, int]
Layer = tuple[str, int, Kernel] | tuple[str, int, Kernel, int]  # name, outputs, kernel, stride


def load_inception(path: Path) -> InceptionV3:
    """Read the published file. Raises DistillError for any other, in one line that says where to get it."""
    path = user_path(path)
    found = file_sha256(path)
    if found != SHA256:
        raise DistillError(
            f"{path}: not {FILE} as published (its sha256 starts with {found[:8]}, not {SHA256[:8]}); "
            "FID is defined by that file: distill weights fetch inception"
        )
    return InceptionV3(read_state(path, keep=_is_used).tensors)


def fetched_inception() -> Path:
    """Return the file of `distill weights fetch inception`. Raises DistillError where it was not fetched."""
    entry = entry_of("inception")
    if entry is None or not entry.path.is_file():
        raise DistillError(
            f"features inception need the published file {FILE} (91 MiB): run distill weights fetch inception,"
            " or give its path as inception=FILE"
        )
    return entry.path


def _is_used(name: str) -> bool:
    return not name.startswith(("fc.", "AuxLogits.")) and not name.endswith("num_batches_tracked")


class InceptionV3(nn.Module):
    """Images [N, 3, H, W] in [-1, 1], of any size -> features [N, 2048].

    They are resized to 299 px bilinearly, without anti-aliasing, pixel centres in place: as pytorch-fid does it.
    Raises UnsupportedCheckpoint for tensors that are missing or of another shape.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        build = _Builder(tensors)
        self.stem = nn.Sequential(
            *build.plain(3, ("Conv2d_1a_3x3", 32, 3, 2), ("Conv2d_2a_3x3", 32, 3)),
            build.same(32, ("Conv2d_2b_3x3", 64, 3)),
            nn.MaxPool2d(3, stride=2),
            *build.plain(64, ("Conv2d_3b_1x1", 80, 1), ("Conv2d_4a_3x3", 192, 3)),
            nn.MaxPool2d(3, stride=2),
        )
        self.mixed = nn.Sequential(
            _block_35(build.within("Mixed_5b."), 192, pooled=32),
            _block_35(build.within("Mixed_5c."), 256, pooled=64),
            _block_35(build.within("Mixed_5d."), 288, pooled=64),
            _to_17(build.within("Mixed_6a."), 288),
            _block_17(build.within("Mixed_6b."), 768, middle=128),
            _block_17(build.within("Mixed_6c."), 768, middle=160),
            _block_17(build.within("Mixed_6d."), 768, middle=160),
            _block_17(build.within("Mixed_6e."), 768, middle=192),
            _to_8(build.within("Mixed_7a."), 768),
            _block_8(build.within("Mixed_7b."), 1280, average()),
            _block_8(build.within("Mixed_7c."), 2048, nn.MaxPool2d(3, stride=1, padding=1)),
        )

    def forward(self, images_NCHW: Tensor) -> Tensor:
        return self.pooled(F.interpolate(images_NCHW, (SIDE, SIDE), mode="bilinear", align_corners=False))

    def pooled(self, images_NCHW: Tensor) -> Tensor:
        """Images [N, 3, 299, 299] -> features [N, 2048]."""
        features: Tensor = self.mixed(self.stem(images_NCHW)).mean(dim=[2, 3])
        return features

    def as_nvidia(self, images_NHWC: Tensor) -> Tensor:
        """Take uint8 images in as NVIDIA's programs do: resized as TensorFlow 1 did, then (x - 128) / 128.

        So FID is defined there, and by TensorFlow's graph itself; pytorch-fid's way differs a little in both.
        """
        x = tensorflow_resize(images_NHWC.permute(0, 3, 1, 2).float(), SIDE)
        return self.pooled((x - 128) / 128)


class NormedConvolution(nn.Module):
    """Convolution with its batch normalisation folded in, then ReLU."""

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, *, stride: int, padding: tuple[int, int]) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)
        self.stride, self.padding = stride, padding

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(F.conv2d(x, self.weight, self.bias, stride=self.stride, padding=self.padding))


class Beside(nn.Module):
    """Branches that see the same input; their channels one after the other."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], dim=1)


def average() -> nn.Module:
    """Mean over 3x3 positions of which those outside of the image do not count."""
    return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)


# ---- Blocks, named after the side of their feature maps; branches in the order of their channels


def _block_35(build: _Builder, inputs: int, *, pooled: int) -> nn.Module:
    return Beside(
        build.same(inputs, ("branch1x1", 64, 1)),
        build.same(inputs, ("branch5x5_1", 48, 1), ("branch5x5_2", 64, 5)),
        build.same(inputs, ("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3), ("branch3x3dbl_3", 96, 3)),
        nn.Sequential(average(), build.same(inputs, ("branch_pool", pooled, 1))),
    )


def _to_17(build: _Builder, inputs: int) -> nn.Module:
    return Beside(
        *build.plain(inputs, ("branch3x3", 384, 3, 2)),
        nn.Sequential(
            build.same(inputs, ("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3)),
            *build.plain(96, ("branch3x3dbl_3", 96, 3, 2)),
        ),
        nn.MaxPool2d(3, stride=2),
    )


def _block_17(build: _Builder, inputs: int, *, middle: int) -> nn.Module:
    single: list[Layer] = [
        ("branch7x7_1", middle, 1),
        ("branch7x7_2", middle, FLAT),
        ("branch7x7_3", 192, TALL),
    ]
    double: list[Layer] = [
        ("branch7x7dbl_1", middle, 1),
        ("branch7x7dbl_2", middle, TALL),
        ("branch7x7dbl_3", middle, FLAT),
        ("branch7x7dbl_4", middle, TALL),
        ("branch7x7dbl_5", 192, FLAT),
    ]
    return Beside(
        build.same(inputs, ("branch1x1", 192, 1)),
        build.same(inputs, *single),
        build.same(inputs, *double),
        nn.Sequential(average(), build.same(inputs, ("branch_pool", 192, 1))),
    )


def _to_8(build: _Builder, inputs: int) -> nn.Module:
    long: list[Layer] = [
        ("branch7x7x3_1", 192, 1),
        ("branch7x7x3_2", 192, FLAT),
        ("branch7x7x3_3", 192, TALL),
    ]
    return Beside(
        nn.Sequential(
            build.same(inputs, ("branch3x3_1", 192, 1)), *build.plain(192, ("branch3x3_2", 320, 3, 2))
        ),
        nn.Sequential(build.same(inputs, *long), *build.plain(192, ("branch7x7x3_4", 192, 3, 2))),
        nn.MaxPool2d(3, stride=2),
    )


def _block_8(build: _Builder, inputs: int, pool: nn.Module) -> nn.Module:
    return Beside(
        build.same(inputs, ("branch1x1", 320, 1)),
        nn.Sequential(build.same(inputs, ("branch3x3_1", 384, 1)), build.cross("branch3x3_2")),
        nn.Sequential(
            build.same(inputs, ("branch3x3dbl_1", 448, 1), ("branch3x3dbl_2", 384, 3)),
            build.cross("branch3x3dbl_3"),
        ),
        nn.Sequential(pool, build.same(inputs, ("branch_pool", 192, 1))),
    )


class _Builder:
    """Makes layers of the tensors whose names start with `prefix`."""

    def __init__(self, tensors: Mapping[str, Tensor], prefix: str = "") -> None:
        self.tensors, self.prefix = tensors, prefix

    def within(self, prefix: str) -> _Builder:
        return _Builder(self.tensors, prefix)

    def same(self, inputs: int, *layers: Layer) -> nn.Module:
        """Chain convolutions that keep the size."""
        return nn.Sequential(*self._chain(inputs, layers, padded=True))

    def plain(self, inputs: int, *layers: Layer) -> list[nn.Module]:
        """Chain convolutions without padding."""
        return self._chain(inputs, layers, padded=False)

    def cross(self, name: str) -> nn.Module:
        """A flat and a tall convolution beside each other, 384 channels to 384 each."""
        return Beside(
            self.same(384, (f"{name}a", 384, (1, 3))),
            self.same(384, (f"{name}b", 384, (3, 1))),
        )

    def _chain(self, inputs: int, layers: tuple[Layer, ...], *, padded: bool) -> list[nn.Module]:
        chain: list[nn.Module] = []
        for name, outputs, kernel, *stride in layers:
            height, width = kernel if isinstance(kernel, tuple) else (kernel, kernel)
            conv = f"{self.prefix}{name}"
            weight, bias = fold(self.tensors, f"{conv}.conv", f"{conv}.bn", (outputs, inputs, height, width))
            padding = (height // 2, width // 2) if padded else (0, 0)
            chain.append(NormedConvolution(weight, bias, stride=stride[0] if stride else 1, padding=padding))
            inputs = outputs
        return chain
