"""Precision and recall of a set of images: how many lie where the real ones are, and how much of those is covered.

Kynkäänniemi et al. 2019, "Improved Precision and Recall Metric for Assessing Generative Models": the manifold of a
set of features is the union of balls around each, as wide as the distance to its k-th nearest neighbour. N, M rows
of D features.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

NEIGHBOURS = 3  # k of the published figures (pr50k3)
ROWS = 1024  # rows compared at once

Marks = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class Manifolds:
    """Which generated rows [N] lie in the manifold of the real ones, and which real rows [M] in theirs."""

    generated_inside: Marks
    real_covered: Marks

    @property
    def precision(self) -> float:
        return float(self.generated_inside.mean())

    @property
    def recall(self) -> float:
        return float(self.real_covered.mean())


def compare_manifolds(
    generated_ND: NDArray[np.floating],
    real_MD: NDArray[np.floating],
    *,
    neighbours: int = NEIGHBOURS,
    device: str | torch.device = "cpu",
) -> Manifolds:
    """Compare the manifolds of two sets of features, in float32.

    Raises ValueError for no more rows than neighbours.
    """
    if min(len(generated_ND), len(real_MD)) <= neighbours:
        raise ValueError(
            f"{len(generated_ND)} and {len(real_MD)} rows of features: more than {neighbours} are needed"
        )
    centre = real_MD.mean(axis=0, dtype=np.float64)  # distances stay as they are and lose fewer digits
    generated, real = (
        torch.from_numpy((x - centre).astype(np.float32)).to(device) for x in (generated_ND, real_MD)
    )
    return Manifolds(
        generated_inside=_inside(generated, real, _radii(real, neighbours)),
        real_covered=_inside(real, generated, _radii(generated, neighbours)),
    )


def _radii(x_ND: Tensor, neighbours: int) -> Tensor:
    """The distance of each row to its k-th nearest neighbour, [N]; itself is the nearest of all."""
    parts = [torch.cdist(rows, x_ND).kthvalue(neighbours + 1, dim=1).values for rows in _blocks(x_ND)]
    return torch.cat(parts)


def _inside(probes_ND: Tensor, x_MD: Tensor, radii_M: Tensor) -> Marks:
    """Tell which probes lie in the ball of any row, [N]."""
    found = [(torch.cdist(rows, x_MD) <= radii_M).any(dim=1) for rows in _blocks(probes_ND)]
    marks: Marks = torch.cat(found).cpu().numpy()
    return marks


def _blocks(x_ND: Tensor) -> list[Tensor]:
    return [x_ND[first : first + ROWS] for first in range(0, len(x_ND), ROWS)]
