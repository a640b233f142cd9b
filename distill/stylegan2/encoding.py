"""From images to w+ by an encoder: some rounds, each of which sees what the one before drew.

Shapes: N images, L w+ layers, D latent width, H = W image side.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from distill.stylegan2.generator import Generator
from distill.stylegan2.projection import Projected, check_images
from distill.stylegan2.spread import WSpread, measure_spread


@dataclass(frozen=True, kw_only=True, eq=False)
class EncodingStart:
    """Where every encoding begins: the mean w as w+ [1, L, D] and its picture [1, 3, H, W].

    `deviation`: of w, in one dimension.
    """

    ws: Tensor
    image: Tensor
    deviation: float


@torch.no_grad()
def start_of(generator: Generator, spread: WSpread | None = None) -> EncodingStart:
    """Measure mean and deviation of w, unless they are known, and draw the mean."""
    spread = spread or measure_spread(generator)
    ws = spread.centre.expand(1, generator.num_ws, -1).clone()
    image = generator.network.synthesis(ws)
    return EncodingStart(ws=ws, image=image, deviation=spread.deviation / math.sqrt(generator.w_dim))


def rounds_of(
    network: nn.Module, generator: Generator, start: EncodingStart, images_NCHW: Tensor, rounds: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield w+ [N, L, D] and its pictures [N, 3, H, W] after each round; gradients stay within the round."""
    count = len(images_NCHW)
    ws, drawn = start.ws.expand(count, -1, -1), start.image.expand(count, -1, -1, -1)
    for _ in range(rounds):
        ws = ws.detach() + start.deviation * network(torch.cat([images_NCHW, drawn.detach()], dim=1))
        drawn = generator.network.synthesis(ws)
        yield ws, drawn


@torch.no_grad()
def encode(
    network: nn.Module,
    generator: Generator,
    images_NCHW: Tensor,
    *,
    rounds: int,
    spread: WSpread | None = None,
) -> Projected:
    """Embed images [N, 3, H, W] in [-1, 1] of the generator's size. Raises DistillError for another size."""
    check_images(generator, images_NCHW, rounds)
    start, images = start_of(generator, spread), images_NCHW.to(generator.device)
    *_, (ws, drawn) = rounds_of(network, generator, start, images, rounds)
    return Projected(ws=ws, images=drawn, steps=(rounds,) * len(ws))
