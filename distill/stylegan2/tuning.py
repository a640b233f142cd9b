"""Pivotal tuning (Roich et al. 2021): change the generator a little, until a latent draws one given image.

The latent stays; Adam changes the weights of the synthesis network by the squared difference of pixels and a
perceptual distance, 1 to 1. The paper's locality term is off by default, as in its program.

Shapes: L w+ layers, D latent width, H = W image side.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from distill.networks.image_distance import ImageDistance
from distill.stylegan2.generator import Generator
from distill.stylegan2.projection import check_images, reduced

STEPS, RATE = 350, 3e-4
BETAS = (0.9, 0.999)


@dataclass(frozen=True, kw_only=True, eq=False)
class TunedWeights:
    """What to add to which tensors of the network, by public name, and after how many steps that was found."""

    changes: dict[str, Tensor]
    steps: int


def tune(
    generator: Generator,
    image_CHW: Tensor,
    ws_LD: Tensor,
    *,
    distance: ImageDistance,
    bound: float,
    steps: int = STEPS,
    advance: Callable[[int], object] = lambda step: None,
) -> TunedWeights:
    """Change a copy of the generator so that w+ draws an image in [-1, 1]; stop at a `distance` of `bound`.

    `advance` hears of steps done. Raises DistillError for an image of another size, and for no steps.
    """
    check_images(generator, image_CHW[None], steps)
    synthesis = copy.deepcopy(generator.network.synthesis).requires_grad_(True)
    target = reduced(image_CHW[None].to(generator.device))
    ws_NLD = ws_LD[None].to(generator.device)
    with torch.no_grad():
        wanted = distance.features(target)
    optimiser = torch.optim.Adam(synthesis.parameters(), lr=RATE, betas=BETAS)
    taken = 0
    for step in range(steps):
        drawn = reduced(synthesis(ws_NLD))
        seen = distance.distance(distance.features(drawn), wanted).sum()
        if seen.item() <= bound:
            break
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(seen + (drawn - target).square().mean())
        optimiser.step()
        taken = step + 1
        advance(taken)
    before = dict(generator.network.synthesis.named_parameters())
    changes = {
        f"synthesis.{name}": (tensor - before[name]).detach()
        for name, tensor in synthesis.named_parameters()
        if not torch.equal(tensor, before[name])
    }
    return TunedWeights(changes=changes, steps=taken)
