"""From images to w+ by an encoder: some rounds, each of which sees what the one before drew.

Shapes: N images, L w+ layers, D latent width, H = W image side.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from distill.errors import DistillError
from distill.stylegan2.generator import Generator
from distill.stylegan2.projection import Projected, centre_of


@dataclass(frozen=True, kw_only=True, eq=False)
class EncodingStart:
    """Where every encoding begins: the mean w as w+ [1, L, D], its picture [1, 3, H, W], the deviation of w."""

    ws: Tensor
    image: Tensor
    deviation: float


def start_of(generator: Generator) -> EncodingStart:
    """Measure mean and deviation of w, and draw the mean."""
    centre_D, deviation = centre_of(generator)
    ws = centre_D.expand(1, generator.num_ws, -1).clone()
    with torch.no_grad():
        image = generator.network.synthesis(ws)
    return EncodingStart(ws=ws, image=image, deviation=deviation)


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
def encode(network: nn.Module, generator: Generator, images_NCHW: Tensor, *, rounds: int) -> Projected:
    """Embed images [N, 3, H, W] in [-1, 1] of the generator's size. Raises DistillError for another size."""
    side = generator.resolution
    if images_NCHW.ndim != 4 or images_NCHW.shape[1:] != (3, side, side):
        raise DistillError(
            f"images have shape {list(images_NCHW.shape)}, this generator draws [N, 3, {side}, {side}]"
        )
    start = start_of(generator)
    *_, (ws, drawn) = rounds_of(network, generator, start, images_NCHW.to(generator.device), rounds)
    return Projected(ws=ws, images=drawn)
