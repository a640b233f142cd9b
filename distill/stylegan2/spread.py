"""Where the w of a generator lie: their mean, how far they lie from it, and how far is too far.

Shapes: N samples, L w+ layers, D latent width.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from distill.stylegan2.generator import Generator

MEASURED, SEED = 10_000, 123  # z that are mapped, as NVIDIA's projector has it
SHARE, BEYOND = 0.999, 1.5  # far is half as far again as this share of the drawn w lie


@dataclass(frozen=True, kw_only=True, eq=False)
class WSpread:
    """The mean of w [D], and how far w lie from there.

    `deviation`: the root of their mean squared distance. `drawn`: what SHARE of them lie within, and `far`: what is
    too far to be like them, both in deviations.
    """

    centre: Tensor
    deviation: float
    drawn: float

    @property
    def far(self) -> float:
        return BEYOND * self.drawn

    def distances(self, ws_NLD: Tensor) -> Tensor:
        """Return how far each w lies from the mean, in deviations, [N, L]; drawn ones lie about 1 away."""
        return (ws_NLD.to(self.centre) - self.centre).square().sum(dim=2).sqrt() / self.deviation


@torch.no_grad()
def measure_spread(generator: Generator, count: int = MEASURED) -> WSpread:
    """Map `count` z and look where they come."""
    z = np.random.RandomState(SEED).randn(count, generator.z_dim)
    w_ND = generator.network.mapping(torch.from_numpy(z).float().to(generator.device))
    centre_D = w_ND.mean(dim=0)
    distances_N = (w_ND - centre_D).square().sum(dim=1).sqrt()
    deviation = float(distances_N.square().mean().sqrt())
    drawn = float(distances_N.quantile(SHARE)) / deviation
    return WSpread(centre=centre_D, deviation=deviation, drawn=drawn)
