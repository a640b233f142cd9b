"""How differently a network sees two images: what a photo is embedded by, and what is reported of the result.

N images, C H W features.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from distill.errors import DistillError
from distill.networks import losses
from distill.networks.lpips import LpipsVGG16
from distill.networks.perceptual import PerceptualFeatures, default_perceptual, load_perceptual

LOSS_OF_LPIPS = 5.0  # weight of LPIPS where a latent is looked for: that of the pixels beside it


class ImageDistance(Protocol):
    """A distance under its own name; gradients flow through it to the images [N, 3, H, W] in [-1, 1].

    `loss` [N] is what a latent is looked for by, `distance` [N] what is reported; features come from `features`.
    """

    @property
    def name(self) -> str: ...
    def features(self, images_NCHW: Tensor, /) -> list[Tensor]: ...
    def loss(self, found: Sequence[Tensor], wanted: Sequence[Tensor], /) -> Tensor: ...
    def distance(self, found: Sequence[Tensor], wanted: Sequence[Tensor], /) -> Tensor: ...


class FeatureDistance:
    """The distance of named features, `perceptual_NAME`: no LPIPS, since nothing in it was learned from people."""

    def __init__(self, features: PerceptualFeatures) -> None:
        self.network = features
        self.name = f"perceptual_{features.name}"

    def features(self, images_NCHW: Tensor) -> list[Tensor]:
        return self.network(images_NCHW)

    def loss(self, found: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
        return losses.perceptual_of_each(found, wanted, self.network.weights)

    def distance(self, found: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
        return losses.perceptual_distance(found, wanted)


class LpipsDistance:
    """LPIPS by VGG16 (Zhang et al. 2018), from a file of the user's."""

    name = "lpips_vgg16"

    def __init__(self, network: LpipsVGG16) -> None:
        self.network = network

    def features(self, images_NCHW: Tensor) -> list[Tensor]:
        found: list[Tensor] = self.network(images_NCHW)
        return found

    def loss(self, found: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
        return LOSS_OF_LPIPS * self.distance(found, wanted)

    def distance(self, found: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
        layers = [(a - b).square().sum(dim=(1, 2, 3)) for a, b in zip(found, wanted, strict=True)]
        return torch.stack(layers).sum(dim=0)


def open_distance(lpips: Path | None, device: str | torch.device) -> FeatureDistance | LpipsDistance:
    """Open LPIPS from a file, by default the distance of EfficientNet-Lite0, which comes in a package.

    Raises DistillError for a file of another kind, and where that package is not installed.
    """
    if lpips is not None:
        return LpipsDistance(LpipsVGG16(lpips).to(device))
    features = default_perceptual()
    if features == "none":
        raise DistillError("photos are compared by perceptual features: pip install 'distill[train]'")
    return FeatureDistance(load_perceptual(features, device=device))
