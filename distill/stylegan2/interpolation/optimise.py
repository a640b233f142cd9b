"""VOGUE's optimisation: for each pair, the share of each style channel that moves a region and nothing else.

Lewis et al. 2021: shares q = sigmoid(θ) by Adam, on three losses. Localisation weighs each share by what its channel
does outside the region; garment compares the result with the reference inside it, identity with the person outside.
Masked images are blurred, averaged down to 256 px and compared by perceptual features; beside that stands, as in
`projection`, the difference of the pixels. The start is the greedy choice.

Shapes: N pairs, S style channels, H = W image side, h = w that side at most 256.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from distill.networks.image_distance import ImageDistance
from distill.stylegan2.generator import Generator
from distill.stylegan2.interpolation.channels import interpolated
from distill.stylegan2.interpolation.pairs import RegionPairs, greedy_shares
from distill.stylegan2.interpolation.settings import InterpolationSettings
from distill.stylegan2.networks import EPS
from distill.stylegan2.projection import reduced

BATCH = 8
REACH = 3.0  # standard deviations that a blur looks around


@dataclass(frozen=True, kw_only=True, eq=False)
class OptimisedShares:
    """Shares [N, S] on the generator's device, and the last value of each loss by name, [N], unweighted."""

    shares: Tensor
    losses: dict[str, Tensor]


def optimised_shares(
    generator: Generator,
    pairs: RegionPairs,
    settings: InterpolationSettings,
    *,
    distance: ImageDistance,
    batch: int = BATCH,
    advance: Callable[[int], object] = lambda steps: None,
) -> OptimisedShares:
    """Look for the shares of each pair; no pair sees another, and nothing is random.

    `batch` pairs at a time bound the memory. `advance` hears of steps as they are done, one for each pair:
    `settings.steps` times the number of pairs in all.
    """
    parts = [
        _optimised(generator, _part(pairs, slice(at, at + batch)), settings, distance, advance)
        for at in range(0, len(pairs), batch)
    ]
    return OptimisedShares(
        shares=torch.cat([part.shares for part in parts]),
        losses={name: torch.cat([part.losses[name] for part in parts]) for name in parts[0].losses},
    )


def _part(pairs: RegionPairs, rows: slice) -> RegionPairs:
    return RegionPairs(
        persons=pairs.persons[rows],
        references=pairs.references[rows],
        masks=pairs.masks[rows],
        contributions=pairs.contributions[rows],
    )


def _optimised(
    generator: Generator,
    pairs: RegionPairs,
    settings: InterpolationSettings,
    distance: ImageDistance,
    advance: Callable[[int], object],
) -> OptimisedShares:
    chosen_NS = greedy_shares(
        generator,
        pairs.contributions,
        rho=settings.rho,
        epsilon=settings.epsilon,
        first_layer=settings.first_layer,
    )
    start = math.log(settings.start / (1 - settings.start))
    theta_NS = ((chosen_NS * 2 - 1) * start).clone().requires_grad_()
    objective = _Objective.of(generator, pairs, settings, distance)
    optimiser = torch.optim.Adam([theta_NS], lr=settings.rate)
    losses: dict[str, Tensor] = {}
    for _ in range(settings.steps):
        shares_NS = torch.sigmoid(theta_NS)
        styles_NS = interpolated(pairs.persons, pairs.references, shares_NS)
        drawn = generator.network.synthesis.draw_styles(torch.split(styles_NS, generator.style_widths, dim=1))
        losses = objective(drawn, shares_NS)
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(
            torch.stack([getattr(settings, name) * loss.sum() for name, loss in losses.items()]).sum()
        )
        optimiser.step()
        advance(len(pairs))
    return OptimisedShares(
        shares=torch.sigmoid(theta_NS).detach(),
        losses={name: loss.detach() for name, loss in losses.items()},
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Side:
    """One side of the border of a region: its mask [N, 1, h, w], and what the result should show there."""

    mask: Tensor
    image: Tensor
    features: Sequence[Tensor]

    def pixels(self, drawn: Tensor) -> Tensor:
        missed = ((drawn - self.image).abs() * self.mask).mean(dim=1, keepdim=True)
        return missed.sum(dim=(1, 2, 3)) / self.mask.sum(dim=(1, 2, 3)).clamp(min=EPS)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Objective:
    """The losses by their names in the settings, [N] each; `sigma`, of the blur, in px."""

    outside: Tensor  # of each channel, [N, S]
    garment: _Side
    identity: _Side
    sigma: float
    distance: ImageDistance

    @classmethod
    def of(
        cls,
        generator: Generator,
        pairs: RegionPairs,
        settings: InterpolationSettings,
        distance: ImageDistance,
    ) -> _Objective:
        mask = reduced(pairs.masks[:, None])
        sigma = settings.blur * mask.shape[-1]
        person, reference = (
            reduced(generator.synthesize_styles(styles).clone())
            for styles in (pairs.persons, pairs.references)
        )
        with torch.no_grad():
            garment, identity = _features(distance, [reference * mask, person * (1 - mask)], sigma)
        return cls(
            outside=1 - pairs.contributions,
            garment=_Side(mask=mask, image=reference, features=garment),
            identity=_Side(mask=1 - mask, image=person, features=identity),
            sigma=sigma,
            distance=distance,
        )

    def __call__(self, drawn: Tensor, shares_NS: Tensor) -> dict[str, Tensor]:
        seen, sides = reduced(drawn), (self.garment, self.identity)
        found = _features(self.distance, [seen * side.mask for side in sides], self.sigma)
        garment, identity = (
            self.distance.loss(features, side.features) for features, side in zip(found, sides, strict=True)
        )
        return {
            "localisation": (shares_NS * self.outside).mean(dim=1),
            "garment": garment,
            "garment_pixels": self.garment.pixels(seen),
            "identity": identity,
            "identity_pixels": self.identity.pixels(seen),
        }


def _features(distance: ImageDistance, masked: Sequence[Tensor], sigma: float) -> list[list[Tensor]]:
    """Blur masked images [N, 3, h, w] and return the features of each: all in one pass, which is cheaper."""
    images = blurred(torch.cat(list(masked)), sigma).contiguous(memory_format=torch.channels_last)
    layers = [layer.chunk(len(masked)) for layer in distance.features(images)]
    return [list(features) for features in zip(*layers, strict=True)]


def blurred(images_NCHW: Tensor, sigma: float) -> Tensor:
    """Blur images by a Gaussian of `sigma` px, with zeros around them; 0 leaves them as they are."""
    reach = math.ceil(REACH * sigma)
    if not reach:
        return images_NCHW
    at = torch.arange(-reach, reach + 1, device=images_NCHW.device, dtype=images_NCHW.dtype)
    taps = torch.exp(-0.5 * (at / sigma).square())
    channels = images_NCHW.shape[1]
    row = (taps / taps.sum()).expand(channels, 1, 1, -1)
    across = F.conv2d(images_NCHW, row, padding=(0, reach), groups=channels)
    return F.conv2d(across, row.transpose(2, 3), padding=(reach, 0), groups=channels)
