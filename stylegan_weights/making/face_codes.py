"""Latents that spell photographs of faces: the strongest components of what they look like, ranked.

N photographs, K components, Z and D the widths of z and w, B a batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtri
from torch import Tensor

Floats = NDArray[np.float64]
SHARES = {"pixels": 1.0, "marks": 0.5}  # of the variance
SIDE = 32  # px of the pictures that components are made of
CENTRE_WEIGHT = 2.0  # how much more the middle of the face counts
CENTRE_SPREAD = 0.22  # and how far it reaches, of the side


@dataclass(frozen=True, eq=False)
class FaceCodes:
    """`scores` [N, K]: each component of each photograph as a number of a normal distribution."""

    scores: Floats

    def latents(self, numbers: NDArray[np.int64], z_dim: int, rng: np.random.Generator) -> Tensor:
        """Return latents [B, Z] of length √Z: the scores, and what is free drawn anew."""
        owned = self.scores[numbers]
        free = rng.standard_normal((len(numbers), z_dim - owned.shape[1]))
        left = np.maximum(z_dim - np.square(owned).sum(axis=1, keepdims=True), 1.0)
        z = np.concatenate([owned, free * np.sqrt(left / np.square(free).sum(axis=1, keepdims=True))], axis=1)
        return torch.from_numpy(z).float()

    def of_kinds(self, w_dim: int) -> Tensor:
        return torch.zeros(w_dim, dtype=torch.bool)


def face_codes(
    images: NDArray[np.uint8], marks: Floats, components: int, fit: NDArray[np.bool_]
) -> tuple[FaceCodes, Floats]:
    """Make codes of photographs [N, H, H, 3]; components and ranks are those of the photographs `fit` [N].

    Also returns the share [K] of the variance that each component tells.
    """
    n, side = len(images), images.shape[1]
    step = side // SIDE
    small = images.reshape(n, SIDE, step, SIDE, step, 3).mean(axis=(2, 4)) / 255
    at = (np.arange(SIDE) + 0.5) / SIDE - 0.5
    distance = at[:, None] ** 2 + at[None] ** 2
    weight = 1 + CENTRE_WEIGHT * np.exp(-distance / (2 * CENTRE_SPREAD**2))
    blocks = {
        "pixels": (small * weight[:, :, None]).reshape(n, -1),
        "marks": marks.reshape(n, -1).astype(np.float64),
    }
    table = np.concatenate(
        [
            (block - block[fit].mean(axis=0)) * np.sqrt(SHARES[name] / block[fit].var(axis=0).sum())
            for name, block in blocks.items()
        ],
        axis=1,
    )
    _, sizes, turn = np.linalg.svd(table[fit], full_matrices=False)
    found = table @ turn[:components].T
    scores = np.empty_like(found)
    count = int(fit.sum())
    for k in range(components):
        rank = np.searchsorted(np.sort(found[fit, k]), found[:, k]) + 0.5
        scores[:, k] = ndtri(np.clip(rank, 0.5, count - 0.5) / count)
    share: Floats = np.square(sizes) / np.square(sizes).sum()
    return FaceCodes(scores), share[:components]
