"""Embed images into a generator: for each image, the w+ whose picture comes nearest.

After the projector of StyleGAN2 (Karras et al. 2020, appendix D): Adam from the mean w, a step that grows, stays and
falls, noise on w that fades. Two things differ. The distance is one of named features plus one of pixels, in place of
LPIPS; and each layer may have a w of its own, which reaches real photos that a single w does not (Abdal et al. 2019),
held near the others so that directions still mean what they say. Noise maps stay those of the checkpoint.

Shapes: N images, L w+ layers, D latent width, H = W image side.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from distill.errors import DistillError
from distill.networks import losses
from distill.networks.perceptual import PerceptualFeatures
from distill.pixels import area_downsample
from distill.stylegan2.generator import Generator

STEPS = 300
MOST_SIDE = 256  # px that images are compared at; larger ones are averaged down, as in StyleGAN2's projector
PIXELS = 5.0  # weight of the mean |difference| of pixels beside the perceptual loss
APART = 0.02  # weight of the mean square by which the layers of a w+ differ, in units of the deviation of w
RATE, RISE, FALL = (
    0.1,
    0.05,
    0.25,
)  # of Adam: its height, and the shares of the steps that it rises and falls in
NOISE, QUIET = (
    0.05,
    0.75,
)  # noise on w in units of its deviation, and the share of the steps after which it is gone
MEASURED = 4096  # w that mean and deviation are taken from


@dataclass(frozen=True, kw_only=True, eq=False)
class Projected:
    """w+ [N, L, D] and how they are drawn, float32 [N, 3, H, W] and not clamped; both on the generator's device."""

    ws: Tensor
    images: Tensor


def project(
    generator: Generator,
    images_NCHW: Tensor,
    *,
    features: PerceptualFeatures,
    steps: int = STEPS,
    seed: int = 0,
    advance: Callable[[int], object] = lambda step: None,
) -> Projected:
    """Embed images [N, 3, H, W] in [-1, 1] of the generator's size; `advance` hears of steps done.

    No image sees another. Raises DistillError for another size, and for no steps.
    """
    side = generator.resolution
    if images_NCHW.ndim != 4 or images_NCHW.shape[1:] != (3, side, side):
        raise DistillError(
            f"images have shape {list(images_NCHW.shape)}, this generator draws [N, 3, {side}, {side}]"
        )
    if steps < 1:
        raise DistillError(f"{steps} steps: at least 1 is needed")
    target = reduced(images_NCHW.to(generator.device))
    with torch.no_grad():
        wanted = features(target)
    centre_D, deviation = centre_of(generator)
    ws_NLD = centre_D.repeat(len(target), generator.num_ws, 1).requires_grad_()
    optimiser = torch.optim.Adam([ws_NLD], lr=RATE)
    random = torch.Generator().manual_seed(seed)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = rate_at(step / steps)
        jitter = torch.randn(len(target), 1, generator.w_dim, generator=random).to(generator.device)
        jitter *= NOISE * deviation * max(0.0, 1 - step / steps / QUIET) ** 2
        drawn = reduced(generator.network.synthesis(ws_NLD + jitter))
        distance = losses.perceptual(features(drawn), wanted, features.weights)
        distance = distance + PIXELS * (drawn - target).abs().mean()
        apart = ((ws_NLD - ws_NLD.mean(dim=1, keepdim=True)) / deviation).square().mean()
        optimiser.zero_grad()
        torch.autograd.backward(distance + APART * apart)
        optimiser.step()
        advance(step + 1)
    found = ws_NLD.detach()
    return Projected(ws=found, images=generator.synthesize(found))


def rate_at(progress: float) -> float:
    """The learning rate after that share of the steps: a linear rise, then level, then half a cosine to 0."""
    rise, fall = min(1.0, progress / RISE), min(1.0, (1 - progress) / FALL)
    return RATE * rise * (0.5 - 0.5 * math.cos(fall * math.pi))


def centre_of(generator: Generator) -> tuple[Tensor, float]:
    """Return the mean of w [D], and the root of its mean square distance from there in one dimension."""
    z_NZ = torch.randn(MEASURED, generator.z_dim, generator=torch.Generator().manual_seed(0))
    w_ND = generator.map(z_NZ)[:, 0].clone()  # a clone may take part in a backward pass
    centre_D = w_ND.mean(dim=0)
    return centre_D, float((w_ND - centre_D).square().mean().sqrt())


def reduced(images_NCHW: Tensor) -> Tensor:
    """Average images of more than MOST_SIDE px down to it."""
    side = images_NCHW.shape[-1]
    return area_downsample(images_NCHW, MOST_SIDE) if side > MOST_SIDE else images_NCHW
