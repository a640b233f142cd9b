"""Perceptual path length: how much images change along a step between two latents.

Karras et al. 2019, section 4.1. Between two random latents two places, ε apart, are drawn with the same noise maps;
their perceptual distance, divided by ε², is averaged over many pairs, the extreme hundredths left out.

Shapes: N pairs, L w+ layers, Z and D latent widths, H = W image side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from distill.networks.image_distance import ImageDistance
from distill.stylegan2.generator import Generator
from distill.stylegan2.projector import draw_with

EPSILON = 1e-4
SIDE = 256  # px: the network that compares was trained at about this size
CUT = 1  # per cent of the distances that are left out at each end

CropForm = Literal["tf", "ada"]
Maps = Mapping[str, Tensor]  # noise maps by name, [N, 1, h, w]


@dataclass(frozen=True, kw_only=True)
class PathKind:
    """Where the steps lie: in `z` or `w`, anywhere between the latents (`full`) or at the first of them; and whether
    the middle of the face is cut out."""

    space: Literal["z", "w"]
    full: bool
    crop: bool


KINDS = {
    "ppl_zfull": PathKind(space="z", full=True, crop=True),
    "ppl_wfull": PathKind(space="w", full=True, crop=True),
    "ppl_zend": PathKind(space="z", full=False, crop=True),
    "ppl_wend": PathKind(space="w", full=False, crop=True),
    "ppl2_wend": PathKind(space="w", full=False, crop=False),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class PathEnds:
    """Two latents [N, Z] each, and the place of the step between them, [N] in [0, 1), that "full" paths take."""

    first: Tensor
    second: Tensor
    place: Tensor


@torch.no_grad()
def draw_steps(
    generator: Generator, ends: PathEnds, maps: Maps, kind: PathKind, *, epsilon: float = EPSILON
) -> Tensor:
    """Draw both ends of each step in float32, [2 N, 3, H, W]: all that begin one, then all that end it."""
    first, second = ends.first.to(generator.device), ends.second.to(generator.device)
    place = ends.place.to(generator.device)[:, None] * (1.0 if kind.full else 0.0)
    mapping = generator.network.mapping
    if kind.space == "w":
        w0, w1 = mapping(torch.cat([first, second])).chunk(2)
        w_2ND = torch.cat([w0.lerp(w1, place), w0.lerp(w1, place + epsilon)])
    else:
        w_2ND = mapping(torch.cat([slerp(first, second, place), slerp(first, second, place + epsilon)]))
    doubled = {name: noise.to(generator.device).repeat(2, 1, 1, 1) for name, noise in maps.items()}
    return draw_with(generator, w_2ND, doubled)


@torch.no_grad()
def step_distances(
    images_2NCHW: Tensor,
    distance: ImageDistance,
    kind: PathKind,
    *,
    crop_form: CropForm = "tf",
    epsilon: float = EPSILON,
) -> Tensor:
    """Compare the two ends of each step: distance / ε², float64 [N]. The distance is one of squares, as LPIPS is."""
    seen = [distance.features(end) for end in as_compared(images_2NCHW, kind, crop_form).chunk(2)]
    return distance.distance(*seen).double() / epsilon**2


def as_compared(images_NCHW: Tensor, kind: PathKind, crop_form: CropForm) -> Tensor:
    """Cut the middle of the face out and average down, as one of the two public programs does.

    The crop takes the rows from 3/8 to 7/8 and the columns from 2/8 to 6/8. TensorFlow's program ("tf", that of the
    published figures) then averages whole cells until SIDE px are left; that in PyTorch ("ada") takes as large cells
    as the uncropped image would need: at 1024 px the first compares 256 px and the second 128. Up to SIDE px, and
    without the crop, they agree.
    """
    side = images_NCHW.shape[2]
    x = images_NCHW
    if kind.crop:
        eighth = side // 8
        x = x[:, :, 3 * eighth : 7 * eighth, 2 * eighth : 6 * eighth]
    factor = (x.shape[2] if crop_form == "tf" else side) // SIDE
    return F.avg_pool2d(x, factor) if factor > 1 else x


def forms_differ(resolution: int, kind: PathKind) -> bool:
    """Tell whether the two public programs compare images of this size differently."""
    return kind.crop and resolution > SIDE


def slerp(first_NZ: Tensor, second_NZ: Tensor, place_N1: Tensor) -> Tensor:
    """Go along the great circle between the directions of two latents; the result has length 1."""
    a, b = F.normalize(first_NZ, dim=1), F.normalize(second_NZ, dim=1)
    cosine = (a * b).sum(dim=1, keepdim=True)
    angle = place_N1 * torch.acos(cosine)
    across = F.normalize(b - cosine * a, dim=1)
    return F.normalize(a * torch.cos(angle) + across * torch.sin(angle), dim=1)


@dataclass(frozen=True, kw_only=True)
class PathLength:
    """The mean of the distances between the bounds, its standard error, and the bounds."""

    mean: float
    error: float
    low: float
    high: float


def mean_path_length(distances_N: NDArray[np.floating]) -> PathLength:
    """Average distances but for those below the 1st and above the 99th percentile (of the data, nothing between)."""
    low = float(np.percentile(distances_N, CUT, method="lower"))
    high = float(np.percentile(distances_N, 100 - CUT, method="higher"))
    kept = distances_N[(distances_N >= low) & (distances_N <= high)].astype(np.float64)
    return PathLength(mean=float(kept.mean()), error=float(kept.std() / len(kept) ** 0.5), low=low, high=high)
