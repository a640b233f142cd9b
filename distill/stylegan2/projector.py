"""The projector of StyleGAN2 as it was published: one w, noise maps of its own, features of LPIPS.

Karras et al. 2020, appendix D, with the numbers of NVIDIA's PyTorch program, which this reproduces: 1,000 steps of
Adam from the mean w; noise on w that fades; the noise maps are learned too, held to be noise by how much they look
like themselves moved by a pixel, at every scale; the distance is the squared one of features at 256 px.

Shapes: N images, L w+ layers, D latent width, H = W image side, h = w side of a noise map.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from distill.stylegan2.generator import Generator
from distill.stylegan2.projection import RATE, check_images, noise_at, rate_at, reduced
from distill.stylegan2.spread import WSpread, measure_spread

STEPS, SEED = 1000, 303
BETAS = (0.9, 0.999)
LIKENESS = 1e5  # weight of the noise maps' likeness to themselves
SMALLEST_MAP = 8  # px that likeness is looked at

FeaturesOf = Callable[[Tensor], Tensor]  # images [N, 3, H, W] from 0 to 255 -> features [N, …]


@dataclass(frozen=True, kw_only=True, eq=False)
class PublishedProjection:
    """`ws` [N, L, D], all layers the same, and how they are drawn with the learnt noise maps [N, 3, H, W].

    `noise`: those maps by name, [N, 1, h, w]. `distances`: of the last step, [N].
    """

    ws: Tensor
    images: Tensor
    noise: dict[str, Tensor]
    distances: Tensor


def project_as_published(
    generator: Generator,
    images_NCHW: Tensor,
    features: FeaturesOf,
    *,
    steps: int = STEPS,
    seed: int = SEED,
    spread: WSpread | None = None,
    advance: Callable[[int], object] = lambda step: None,
) -> PublishedProjection:
    """Embed images [N, 3, H, W], from 0 to 255, of the generator's size; `advance` hears of steps done.

    No image sees another, and each gets the noise that it would get alone. Raises DistillError for another size, and
    for no steps.
    """
    check_images(generator, images_NCHW, steps)
    device, count = generator.device, len(images_NCHW)
    wanted = features(reduced(images_NCHW.to(device).float())).detach()
    spread = spread or measure_spread(generator)
    random = torch.Generator().manual_seed(seed)
    w_ND = spread.centre.repeat(count, 1).requires_grad_()
    maps = {
        name: torch.randn(noise.shape, generator=random).to(device).repeat(count, 1, 1, 1).requires_grad_()
        for name, noise in generator.network.synthesis.named_buffers()
        if name.endswith("noise_const")
    }
    optimiser = torch.optim.Adam([w_ND, *maps.values()], lr=RATE, betas=BETAS)
    distances_N = torch.zeros(count)
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = rate_at(step / steps)
        jitter = torch.randn(1, generator.w_dim, generator=random).to(device)
        noisy = w_ND + jitter * (spread.deviation * noise_at(step / steps))
        drawn = draw_with(generator, noisy, maps)
        distances_N = (wanted - features(reduced((drawn + 1) * 127.5))).square().flatten(1).sum(dim=1)
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(distances_N.sum() + LIKENESS * likeness(maps.values()))
        optimiser.step()
        renew(maps.values())
        advance(step + 1)
    return PublishedProjection(
        ws=w_ND.detach()[:, None].repeat(1, generator.num_ws, 1),
        images=draw_with(generator, w_ND, maps).detach(),
        noise={name: noise.detach() for name, noise in maps.items()},
        distances=distances_N.detach(),
    )


def draw_with(generator: Generator, w_ND: Tensor, maps: Mapping[str, Tensor]) -> Tensor:
    """Draw w in all layers with noise maps [N, 1, h, w] by name; gradients flow to both."""
    ws_NLD = w_ND[:, None].expand(-1, generator.num_ws, -1)
    images: Tensor = functional_call(generator.network.synthesis, dict(maps), (ws_NLD, "const"))
    return images


def likeness(maps: Iterable[Tensor]) -> Tensor:
    """How much maps [N, 1, h, w] look like themselves moved by a pixel, at every scale down to SMALLEST_MAP px."""
    total = torch.zeros(())
    for noise in maps:
        scaled = noise
        while True:
            for axis in (2, 3):
                moved = (scaled * torch.roll(scaled, 1, axis)).mean(dim=(1, 2, 3))
                total = total.to(noise.device) + moved.square().sum()
            if scaled.shape[2] <= SMALLEST_MAP:
                break
            scaled = F.avg_pool2d(scaled, 2)
    return total


@torch.no_grad()
def renew(maps: Iterable[Tensor]) -> None:
    """Give each map a mean of 0 and a mean square of 1 again."""
    for noise in maps:
        noise -= noise.mean(dim=(1, 2, 3), keepdim=True)
        noise *= noise.square().mean(dim=(1, 2, 3), keepdim=True).rsqrt()
