"""Embed images into a generator: for each image, the w or w+ whose picture comes nearest.

After the projector of StyleGAN2 (Karras et al. 2020, appendix D): Adam from the mean w, a step that grows, stays and
falls, noise on w that fades. Two things differ. The distance is one of named features plus one of pixels; and each
layer may have a w of its own, which reaches real photos that a single w does not (Abdal et al. 2019), held near the
others so that directions still mean what they say. Noise maps stay those of the checkpoint. `projector` is the
published one.

Shapes: N images, L w+ layers, D latent width, H = W image side.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from distill.errors import DistillError
from distill.networks.image_distance import ImageDistance
from distill.pixels import area_downsample
from distill.stylegan2.generator import Generator
from distill.stylegan2.spread import WSpread, measure_spread

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
WINDOW = 25  # steps whose mean loss is held against that of as many before, to see whether it stalls


@dataclass(frozen=True, kw_only=True, eq=False)
class Projected:
    """w+ [N, L, D] and how they are drawn, float32 [N, 3, H, W] and not clamped; both on the generator's device.

    `steps`: how many each image took.
    """

    ws: Tensor
    images: Tensor
    steps: tuple[int, ...]


def project(
    generator: Generator,
    images_NCHW: Tensor,
    *,
    distance: ImageDistance,
    space: Literal["w", "w+"] = "w+",
    steps: int = STEPS,
    stalled: float = 0.0,
    seed: int = 0,
    spread: WSpread | None = None,
    advance: Callable[[int], object] = lambda step: None,
) -> Projected:
    """Embed images [N, 3, H, W] in [-1, 1] of the generator's size; `advance` hears of steps done.

    `space` "w": all layers share one w. An image whose loss fell by less than the share `stalled` from one WINDOW of
    steps to the next goes on to the last quarter of its steps, where the rate falls. No image sees another, and all
    of them get the same noise. Raises DistillError for another size, and for no steps.
    """
    check_images(generator, images_NCHW, steps)
    target = reduced(images_NCHW.to(generator.device))
    wanted = [feature.detach() for feature in distance.features(target)]
    spread = spread or measure_spread(generator)
    deviation = spread.deviation / math.sqrt(generator.w_dim)  # in one dimension
    start = spread.centre.repeat(1 if space == "w" else generator.num_ws, 1)
    found = [start.clone().requires_grad_() for _ in target]  # N of [1 or L, D], each with a rate of its own
    optimiser = torch.optim.Adam([{"params": [ws_LD]} for ws_LD in found], lr=RATE)
    clocks = [_Clock(steps=steps, stalled=stalled) for _ in target]
    random = torch.Generator().manual_seed(seed)
    for step in range(steps):
        _set_rates(optimiser, clocks)
        jitter = torch.randn(1, 1, generator.w_dim, generator=random)
        fading = torch.tensor([noise_at(clock.progress) * deviation for clock in clocks])[:, None, None]
        ws_NLD = torch.stack(found)
        noisy = ws_NLD + (jitter * fading).to(ws_NLD)
        drawn = reduced(generator.network.synthesis(noisy.expand(-1, generator.num_ws, -1)))
        pixels_N = (drawn - target).abs().mean(dim=(1, 2, 3))
        loss_N = distance.loss(distance.features(drawn), wanted) + PIXELS * pixels_N
        optimiser.zero_grad()
        torch.autograd.backward((loss_N + APART * apart_of(ws_NLD / deviation)).sum())
        optimiser.step()
        advance(step + 1)
        done = [clock.tick(loss) for clock, loss in zip(clocks, loss_N.tolist(), strict=True)]
        if all(done):
            break
    return _projected(generator, torch.stack(found).detach(), clocks)


def _projected(generator: Generator, ws_NLD: Tensor, clocks: Sequence[_Clock]) -> Projected:
    """Draw what was found, [N, 1 or L, D]."""
    ws_NLD = ws_NLD.expand(-1, generator.num_ws, -1).contiguous()
    taken = tuple(clock.taken for clock in clocks)
    return Projected(ws=ws_NLD, images=generator.synthesize(ws_NLD), steps=taken)


def apart_of(ws_NLD: Tensor) -> Tensor:
    """The mean square by which the layers of each w+ differ from their mean, [N]."""
    return (ws_NLD - ws_NLD.mean(dim=1, keepdim=True)).square().mean(dim=(1, 2))


def _set_rates(optimiser: torch.optim.Optimizer, clocks: Sequence[_Clock]) -> None:
    for group, clock in zip(optimiser.param_groups, clocks, strict=True):
        group["lr"] = rate_at(clock.progress)


@dataclass
class _Clock:
    """How far one image is: a step at a time, but from a stall at once to where the rate falls."""

    steps: int
    stalled: float
    at: int = 0
    losses: list[float] = field(default_factory=list)

    @property
    def progress(self) -> float:
        """The share of the steps that is behind, 1 for an image that is done."""
        return self.at / self.steps

    @property
    def taken(self) -> int:
        return len(self.losses)

    def tick(self, loss: float) -> bool:
        """Hear of the loss of a step, unless it was done before; return whether it is done."""
        if self.progress >= 1:
            return True
        self.losses.append(loss)
        self.at += 1
        last = round(self.steps * (1 - FALL))
        if self.stalled and self.at < last and self.taken % WINDOW == 0 and self.taken >= 2 * WINDOW:
            before, now = self.losses[-2 * WINDOW : -WINDOW], self.losses[-WINDOW:]
            if sum(now) > (1 - self.stalled) * sum(before):
                self.at = last
        return self.progress >= 1


def check_images(generator: Generator, images_NCHW: Tensor, steps: int) -> None:
    """Raise DistillError for images of another size than the generator draws, and for no steps."""
    side = generator.resolution
    if images_NCHW.ndim != 4 or images_NCHW.shape[1:] != (3, side, side):
        raise DistillError(
            f"images have shape {list(images_NCHW.shape)}, this generator draws [N, 3, {side}, {side}]"
        )
    if steps < 1:
        raise DistillError(f"{steps} steps: at least 1 is needed")


def rate_at(progress: float) -> float:
    """The learning rate after that share of the steps: a linear rise, then level, then half a cosine to 0."""
    rise, fall = min(1.0, progress / RISE), min(1.0, (1 - progress) / FALL)
    return RATE * rise * (0.5 - 0.5 * math.cos(fall * math.pi))


def noise_at(progress: float) -> float:
    """The noise on w after that share of the steps, in deviations."""
    return NOISE * max(0.0, 1 - progress / QUIET) ** 2


def reduced(images_NCHW: Tensor) -> Tensor:
    """Average images of more than MOST_SIDE px down to it."""
    side = images_NCHW.shape[-1]
    return area_downsample(images_NCHW, MOST_SIDE) if side > MOST_SIDE else images_NCHW
