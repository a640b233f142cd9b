"""Latents that spell labels: which z belongs to a labelled picture.

Each label owns one number of z. The normal distribution is cut into as many intervals as the label has values, each
with the share that the value has among the pictures; the interval that the number lies in is the value. So z drawn
from a normal distribution spells values as they occur in the data (labels taken as independent), and the numbers that
no label owns stay free.

N pictures, L labels with K values each, V the sum of all K, B a batch, Z the width of z.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distill.errors import DistillError

LEAST_SHARE = 1e-3  # of the pictures, for a value
MOST_VALUES = 64  # of a label; more is a name or a measure, no kind


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelCodes:
    """What z spells: `names` of the L labels, the `sizes` K of each, and for each picture its `values` [N, L]."""

    names: Sequence[str]
    sizes: Sequence[int]
    values: NDArray[np.int64]

    @cached_property
    def edges(self) -> list[Tensor]:
        """For each label the borders of its intervals [K + 1], the outer ones infinite."""
        found = []
        for place, size in enumerate(self.sizes):
            counts = np.bincount(self.values[:, place], minlength=size)
            below = torch.from_numpy(np.concatenate([[0], np.cumsum(counts)]) / len(self.values))
            found.append(torch.special.ndtri(below))
        return found

    def read(self, z_BZ: Tensor) -> Tensor:
        """Return the values [B, L] that latents spell. A mapping network sees z at length √Z, so this does too."""
        z = (z_BZ * z_BZ.square().mean(dim=1, keepdim=True).rsqrt()).double()
        columns = [
            torch.bucketize(z[:, place].contiguous(), edges[1:-1]) for place, edges in enumerate(self.edges)
        ]
        return torch.stack(columns, dim=1)

    def latents(self, numbers: NDArray[np.int64], z_dim: int, random: torch.Generator) -> Tensor:
        """Draw latents [B, Z] of length √Z that spell the labels of these pictures [B]."""
        z = torch.randn(len(numbers), z_dim, generator=random)
        values = torch.from_numpy(self.values[numbers])
        for place, edges in enumerate(self.edges):
            low, high = (torch.special.ndtr(edges)[values[:, place] + side] for side in (0, 1))
            rank = torch.rand(len(numbers), generator=random, dtype=torch.float64)
            z[:, place] = torch.special.ndtri((low + rank * (high - low)).clamp(1e-6, 1 - 1e-6)).float()
        owned, free = z[:, : len(self.sizes)], z[:, len(self.sizes) :]
        left = (z_dim - owned.square().sum(dim=1, keepdim=True)).clamp(min=0.0)
        return torch.cat([owned, free * (left / free.square().sum(dim=1, keepdim=True)).sqrt()], dim=1)


def codes_of(labels: Mapping[str, NDArray[Any]], z_dim: int, source: str) -> LabelCodes:
    """Make the codes of labels [N] by name, texts or whole numbers; constants and measures are left out.

    Raises DistillError where no label is left, one has a value on fewer than one picture in a thousand, or they are
    too many for the network.
    """
    kinds = {
        name: np.unique(column, return_inverse=True) for name, column in labels.items() if is_kind(column)
    }
    kinds = {name: pair for name, pair in kinds.items() if 2 <= len(pair[0]) <= MOST_VALUES}
    if not kinds:
        raise DistillError(
            f"{source} has no labels to draw by: texts or whole numbers of 2 to {MOST_VALUES} values are needed, as"
            " distill render-avatars and prepare-images --labels store them"
        )
    for name, (values, numbers) in kinds.items():
        counts = np.bincount(numbers)
        if counts.min() < LEAST_SHARE * len(numbers):
            raise DistillError(
                f"{source}: {name} is {str(values[counts.argmin()])!r} on {counts.min()} of {len(numbers)} pictures,"
                " too rare to draw by: leave those pictures or that label out"
            )
    sizes = [len(values) for values, _ in kinds.values()]
    needed = max(sum(sizes), 2 * sum(size - 1 for size in sizes), 2 * len(sizes))
    if needed > z_dim:
        raise DistillError(
            f"{source}: {len(sizes)} labels with {sum(sizes)} values need latents {needed} wide, this preset's are"
            f" {z_dim}: choose a wider one, or fewer labels"
        )
    columns = np.stack([numbers.reshape(-1) for _, numbers in kinds.values()], axis=1)
    return LabelCodes(names=list(kinds), sizes=sizes, values=columns.astype(np.int64))


def is_kind(column: NDArray[Any]) -> bool:
    """Tell whether a label names kinds (texts, whole numbers) and does not measure."""
    return column.dtype.kind in "iuUS"
