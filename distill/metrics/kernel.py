"""The kernel distance between two sets of features: KID, where they are Inception's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BLOCK = 1024  # rows compared at once
SUBSETS, MOST = 100, 1000  # of the published KID: this many draws of at most this many rows of each side


def kernel_distance(a_ND: Floats, b_MD: Floats) -> float:
    """Return the squared maximum mean discrepancy with the kernel (x y / D + 1)^3, 0 on average for equal sources.

    Binkowski et al. 2018, the unbiased estimate over all pairs: its mean does not depend on the number of
    images, as that of a Fréchet distance does, and it can come out slightly below 0. Raises ValueError for fewer
    than two rows on a side.
    """
    N, M = len(a_ND), len(b_MD)
    if min(N, M) < 2:
        raise ValueError(f"{N} and {M} rows of features: at least two on each side are needed")
    within_a, within_b = (_within(x) for x in (a_ND, b_MD))
    return float(within_a + within_b - 2 * _sum(a_ND, b_MD) / (N * M))


def subset_distances(
    generated_ND: NDArray[np.floating],
    real_MD: NDArray[np.floating],
    *,
    seed: int,
    subsets: int = SUBSETS,
    most: int = MOST,
) -> Floats:
    """Return the kernel distance of each of `subsets` draws from both sides, [subsets]; KID is their mean.

    As NVIDIA's program draws them: rows without repetition, the generated ones first. Raises ValueError for fewer
    than two rows on a side.
    """
    random = np.random.RandomState(seed)
    count = min(len(generated_ND), len(real_MD), most)

    def some(rows: NDArray[np.floating]) -> Floats:
        return rows[random.choice(len(rows), count, replace=False)].astype(np.float64)

    return np.array([kernel_distance(some(generated_ND), some(real_MD)) for _ in range(subsets)])


def _within(x_ND: Floats) -> float:
    """Average the kernel over all pairs of different rows."""
    N, D = x_ND.shape
    own = _kernel((x_ND**2).sum(axis=1), D).sum()
    return float((_sum(x_ND, x_ND) - own) / (N * (N - 1)))


def _sum(a_ND: Floats, b_MD: Floats) -> float:
    """Add up the kernel over all pairs, block by block."""
    blocks = (a_ND[first : first + BLOCK] for first in range(0, len(a_ND), BLOCK))
    return float(sum(_kernel(block @ b_MD.T, a_ND.shape[1]).sum() for block in blocks))


def _kernel(products: Floats, D: int) -> Floats:
    values: Floats = (products / D + 1) ** 3
    return values
