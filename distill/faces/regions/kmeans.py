"""Spherical k-means: clusters of directions, by their cosines. M vectors, D numbers each, K clusters."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from distill.stylegan2.sampling import REGION_CLUSTERS, uniform

Vectors = NDArray[np.float32]
STARTS, MOST_ROUNDS = 3, 50
EPS = 1e-12


def spherical_kmeans(vectors_MD: Vectors, count: int, *, seed: int) -> Vectors:
    """Return centres [K, D] of unit length for unit vectors [M, D]: the best of several starts (k-means++).

    Best is the largest mean cosine of a vector and its centre. A centre that lost all its vectors stays where it was.
    """
    fits = [_fit(vectors_MD, _start(vectors_MD, count, seed, start)) for start in range(STARTS)]
    return max(fits, key=lambda fit: fit[1])[0]


def unit(vectors: Vectors, axis: int = -1) -> Vectors:
    """Bring vectors to length 1; those of length 0 stay."""
    length = np.sqrt(np.square(vectors).sum(axis=axis, keepdims=True))
    return np.asarray(vectors / np.maximum(length, EPS), dtype=np.float32)


def _start(vectors_MD: Vectors, count: int, seed: int, start: int) -> Vectors:
    """Draw centres among the vectors, each with a chance that grows with 1 - cosine to the nearest one before it."""
    draws = uniform(seed, REGION_CLUSTERS, 0, start, count)
    chosen = [int(draws[0] * len(vectors_MD))]
    left_M = np.full(len(vectors_MD), 2.0)
    for draw in draws[1:]:
        left_M = np.minimum(left_M, np.clip(1 - vectors_MD @ vectors_MD[chosen[-1]], 0, 2))
        sums_M = np.cumsum(left_M)
        chosen.append(min(int(np.searchsorted(sums_M, draw * sums_M[-1], "right")), len(vectors_MD) - 1))
    return vectors_MD[chosen]


def _fit(vectors_MD: Vectors, centres_KD: Vectors) -> tuple[Vectors, float]:
    """Move centres to the means of their vectors until none changes its centre."""
    nearest_M = np.full(len(vectors_MD), -1)
    for _ in range(MOST_ROUNDS):
        cosines_MK = vectors_MD @ centres_KD.T
        before_M, nearest_M = nearest_M, cosines_MK.argmax(axis=1)
        if np.array_equal(before_M, nearest_M):
            break
        members_MK = nearest_M[:, None] == np.arange(len(centres_KD))
        means_KD = unit(members_MK.T.astype(np.float32) @ vectors_MD)
        centres_KD = np.where(members_MK.any(axis=0)[:, None], means_KD, centres_KD)
    return centres_KD, float((vectors_MD @ centres_KD.T).max(axis=1).mean())
