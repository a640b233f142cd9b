"""The projector of StyleGAN2 as it was published: one w, noise maps of its own, features of LPIPS.

Karras et al. 2020, appendix D, with the numbers of NVIDIA's PyTorch program, which this reproduces: 1,000 steps of
Adam from the mean w; noise on w that fades; the noise maps are learned too, held to be noise by how much they look
like themselves moved by a pixel, at every scale; the distance is the squared one of features at 256 px.

Shapes: L w+ layers, D latent width, H = W image side.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from distill.errors import DistillError
from distill.pixels import area_downsample
from distill.stylegan2.generator import Generator

STEPS, SEED = 1000, 303
MEASURED, MEASURED_SEED = 10_000, 123  # z that mean and deviation of w are taken from
RATE, RISE, FALL = (
    0.1,
    0.05,
    0.25,
)  # of Adam: its height, and the shares of the steps that it rises and falls in
BETAS = (0.9, 0.999)
NOISE, QUIET = 0.05, 0.75  # noise on w in deviations of w, and the share of the steps after which it is gone
LIKENESS = 1e5  # weight of the noise maps' likeness to themselves
SMALLEST_MAP = 8  # px that likeness is looked at
MOST_SIDE = 256  # px that images are compared at

FeaturesOf = Callable[[Tensor], Tensor]  # images [1, 3, H, W] from 0 to 255 -> features of any shape


@dataclass(frozen=True, kw_only=True, eq=False)
class PublishedProjection:
    """`w` [D], its picture [3, H, W] in [-1, 1], the noise maps by name, and the distance before and after."""

    w: Tensor
    image: Tensor
    noise: dict[str, Tensor]
    first: float
    last: float


def project_as_published(
    generator: Generator,
    image_CHW: Tensor,
    features: FeaturesOf,
    *,
    steps: int = STEPS,
    measured: int = MEASURED,
    seed: int = SEED,
    advance: Callable[[int], object] = lambda step: None,
) -> PublishedProjection:
    """Embed one image [3, H, W], from 0 to 255, of the generator's size; `advance` hears of steps done.

    Raises DistillError for another size, and for no steps.
    """
    side = generator.resolution
    if image_CHW.shape != (3, side, side):
        raise DistillError(
            f"the image has shape {list(image_CHW.shape)}, this generator draws [3, {side}, {side}]"
        )
    if steps < 1:
        raise DistillError(f"{steps} steps: at least 1 is needed")
    synthesis, device = generator.network.synthesis, generator.device
    with torch.no_grad():
        wanted = features(reduced(image_CHW[None].to(device).float()))
    centre_D, deviation = spread_of(generator, measured)
    random = torch.Generator().manual_seed(seed)
    w_D = centre_D.clone().requires_grad_()
    maps = {
        name: torch.randn(noise.shape, generator=random).to(device).requires_grad_()
        for name, noise in synthesis.named_buffers()
        if name.endswith("noise_const")
    }
    optimiser = torch.optim.Adam([w_D, *maps.values()], lr=RATE, betas=BETAS)

    def draw(w: Tensor) -> Tensor:
        image: Tensor = functional_call(synthesis, maps, (w.expand(1, generator.num_ws, -1), "const"))
        return image

    first = last = math.nan
    for step in range(steps):
        t = step / steps
        optimiser.param_groups[0]["lr"] = rate_at(t)
        jitter = torch.randn(w_D.shape, generator=random).to(device)
        drawn = draw(w_D + jitter * (deviation * NOISE * max(0.0, 1 - t / QUIET) ** 2))
        distance = (wanted - features(reduced((drawn + 1) * 127.5))).square().sum()
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(distance + LIKENESS * likeness(maps.values()))
        optimiser.step()
        renew(maps.values())
        first, last = float(distance) if step == 0 else first, float(distance)
        advance(step + 1)
    with torch.no_grad():
        image = draw(w_D)[0]
    found = {name: noise.detach() for name, noise in maps.items()}
    return PublishedProjection(w=w_D.detach(), image=image, noise=found, first=first, last=last)


def rate_at(progress: float) -> float:
    """The learning rate after that share of the steps: a linear rise, then level, then half a cosine to 0."""
    fall = 0.5 - 0.5 * math.cos(min(1.0, (1 - progress) / FALL) * math.pi)
    return RATE * fall * min(1.0, progress / RISE)


def likeness(maps: Iterable[Tensor]) -> Tensor:
    """How much maps [H, H] look like themselves moved by a pixel, at every scale down to SMALLEST_MAP px."""
    total = torch.zeros(())
    for noise in maps:
        scaled = noise[None, None]
        while True:
            for axis in (2, 3):
                total = total.to(noise.device) + (scaled * torch.roll(scaled, 1, axis)).mean().square()
            if scaled.shape[2] <= SMALLEST_MAP:
                break
            scaled = F.avg_pool2d(scaled, 2)
    return total


@torch.no_grad()
def renew(maps: Iterable[Tensor]) -> None:
    """Give each map a mean of 0 and a mean square of 1 again."""
    for noise in maps:
        noise -= noise.mean()
        noise *= noise.square().mean().rsqrt()


def reduced(images_NCHW: Tensor) -> Tensor:
    """Average images of more than MOST_SIDE px down to it."""
    side = images_NCHW.shape[-1]
    return area_downsample(images_NCHW, MOST_SIDE) if side > MOST_SIDE else images_NCHW


def spread_of(generator: Generator, count: int) -> tuple[Tensor, float]:
    """Return the mean of w [D], and the root of its mean squared distance from there."""
    z = np.random.RandomState(MEASURED_SEED).randn(count, generator.z_dim)
    w_ND = generator.map(torch.from_numpy(z).float())[:, 0].clone()
    centre_D = w_ND.mean(dim=0)
    return centre_D, float((w_ND - centre_D).square().sum(dim=1).mean().sqrt())
