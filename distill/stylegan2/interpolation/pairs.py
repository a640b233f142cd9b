"""Pairs of people, and the simple ways to say which style channels come from the reference.

N pairs, L w+ layers, D latent width, S style channels, H = W image side.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from distill.errors import DistillError
from distill.stylegan2.generator import Generator, Noise
from distill.stylegan2.interpolation.channels import (
    check_masks,
    contributions,
    interpolated,
    layers_of_channels,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class RegionPairs:
    """N pairs: the region of the reference goes onto the person. All on the generator's device.

    `persons`, `references`: styles [N, S]. `masks` [N, H, W]: the region of either, the larger of the two masks.
    `contributions` [N, S]: how much of each channel lies in the region, the mean of person and reference.
    """

    persons: Tensor
    references: Tensor
    masks: Tensor
    contributions: Tensor

    def __len__(self) -> int:
        return len(self.persons)

    def draw(self, generator: Generator, shares_NS: Tensor, *, noise: Noise = "const") -> Tensor:
        """Draw each person with its shares [N or 1, S] of the way to the reference: [N, 3, H, W]."""
        return generator.synthesize_styles(
            interpolated(self.persons, self.references, shares_NS), noise=noise
        )


def region_pairs(
    generator: Generator,
    persons_NLD: Tensor,
    references_NLD: Tensor,
    person_masks_NHW: Tensor,
    reference_masks_NHW: Tensor,
) -> RegionPairs:
    """Read the styles of pairs, and what each channel does in the region. w+ and masks of one count.

    Raises DistillError for masks that do not fit, and for a region without a pixel.
    """
    both = torch.stack([person_masks_NHW, reference_masks_NHW])
    for masks in both:
        check_masks(generator, masks, len(persons_NLD))
    masks_NHW = both.amax(dim=0).to(generator.device, torch.float32)
    if empty := [n for n, mask in enumerate(masks_NHW) if not bool(mask.any())]:
        raise DistillError(
            f"pair {empty[0]}: the region has no pixels, neither in the person nor the reference"
        )
    found = [
        contributions(generator, ws, masks)
        for ws, masks in zip((persons_NLD, references_NLD), both, strict=True)
    ]
    return RegionPairs(
        persons=generator.styles(persons_NLD).clone(),
        references=generator.styles(references_NLD).clone(),
        masks=masks_NHW,
        contributions=torch.stack(found).mean(dim=0),
    )


def crossover_shares(generator: Generator, start: int, stop: int | None = None) -> Tensor:
    """The hard crossover as shares, [1, S]: 1 where a layer reads w number `start` up to, not including, `stop`."""
    layers_S = layers_of_channels(generator)
    taken_S = (layers_S >= start) & (layers_S < (generator.num_ws if stop is None else stop))
    return taken_S.float()[None]


def greedy(contributions: Tensor, *, rho: float, epsilon: float) -> Tensor:
    """Choose channels [..., C] of one layer by their contributions: shares of 0 and 1.

    From the largest contribution on, channels are taken while what they do outside, the running sum of
    1 - contribution, stays below `epsilon`; never one of `rho` or less. Collins et al. 2020, section 3.3, as their
    program has it.
    """
    order = contributions.argsort(dim=-1, descending=True, stable=True)
    outside = (1 - contributions.gather(-1, order)).double().cumsum(dim=-1)
    taken = torch.zeros_like(contributions).scatter(-1, order, (outside < epsilon).to(contributions))
    return taken * (contributions > rho)


def greedy_shares(
    generator: Generator, contributions_NS: Tensor, *, rho: float, epsilon: float, first_layer: int = 0
) -> Tensor:
    """Choose the channels of every layer, [N, S]; those that read a w before `first_layer` are left alone."""
    layers = torch.split(contributions_NS, generator.style_widths, dim=1)
    chosen = torch.cat([greedy(layer, rho=rho, epsilon=epsilon) for layer in layers], dim=1)
    return chosen * crossover_shares(generator, first_layer)
