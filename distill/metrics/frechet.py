"""The Fréchet distance between two sets of features, each taken for a normal distribution.

Heusel et al. 2017: |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)). With Inception's features and 50,000 images it is
called FID; a score is named after its features, since two kinds of features cannot be compared. A small set
raises the score by an amount that depends on its size: compare scores of the same counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean [D] and covariance [D, D] of features [N, D]."""

    mean: Floats
    covariance: Floats
    count: int


def moments(features_ND: NDArray[np.floating], *, unbiased: bool = True) -> Moments:
    """Take mean and covariance: divided by N - 1 as pytorch-fid does, or, not `unbiased`, by N as NVIDIA's program.

    Raises ValueError for fewer than two samples.
    """
    if features_ND.ndim != 2 or len(features_ND) < 2:
        raise ValueError(f"features of shape {list(features_ND.shape)}: at least two rows are needed")
    x = features_ND.astype(np.float64)
    mean = x.mean(axis=0)
    centred = x - mean
    return Moments(mean, centred.T @ centred / (len(x) - int(unbiased)), len(x))


def frechet_distance(a: Moments, b: Moments) -> float:
    """Return the distance, 0 for equal moments.

    tr (C1 C2)^(1/2) is the sum of the roots of the eigenvalues of C1^(1/2) C2 C1^(1/2), which is symmetric: no
    complex numbers, and no trouble with singular covariances.
    """
    values, vectors = np.linalg.eigh(a.covariance)
    root = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    product = root @ b.covariance @ root
    overlap = np.sqrt(np.linalg.eigvalsh((product + product.T) / 2).clip(min=0)).sum()
    distance = ((a.mean - b.mean) ** 2).sum() + np.trace(a.covariance) + np.trace(b.covariance) - 2 * overlap
    return max(float(distance), 0.0)


def score_name(features: str) -> str:
    """Name the score of some features: `frechet_pixels8`; `frechet_inception` is FID, of few images."""
    return f"frechet_{features}"
