"""How the parents of an edit of two faces come together: fresh latents for every triplet, or rings of them.

Shapes: N candidates of a canonical batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from distill.schema import Frozen

if TYPE_CHECKING:
    from distill.generation.edits.base import Edit

PAIRINGS = ("fresh", "ring")
RING_LENGTH = 16


class FreshParents(Frozen):
    """Every triplet has two faces of its own (Viazovetskyi et al. 2020)."""

    name: Literal["fresh"] = "fresh"

    length: ClassVar[int | None] = None


class RingOfParents(Frozen):
    """`length` candidates share as many faces: each is the first parent of one and the second of the one before it.

    The last candidate of a ring takes the first one's face. A triplet costs one new face instead of two.
    """

    name: Literal["ring"] = "ring"
    length: int = Field(default=RING_LENGTH, ge=2, le=1024)


# The table of pairings: an edit of two faces names one of them. A recipe of fresh parents says nothing about it.
AnyParents = Annotated[
    FreshParents | RingOfParents,
    Field(discriminator="name", exclude_if=lambda pairing: pairing == FreshParents()),
]


@dataclass(frozen=True, kw_only=True)
class LentPicture:
    """In a ring of `length`, the picture `second` of each candidate is the picture `first` of its neighbour."""

    first: str
    second: str
    length: int

    def source(self, picture: str, i: int) -> tuple[str, int]:
        """Return the picture and the candidate, by its place in the batch, that a picture was drawn as."""
        if picture != self.second:
            return picture, i
        return self.first, i // self.length * self.length + (i + 1) % self.length


def lent_picture(edit: Edit) -> LentPicture | None:
    """Return what an edit's rings lend; None for an edit whose candidates have parents of their own."""
    if edit.ring is None:
        return None
    first, second = edit.parents
    return LentPicture(first=first, second=second, length=edit.ring)


def ring_batch(batch_size: int, length: int) -> int:
    """Return how many candidates go through the stages together: whole rings, at least `batch_size` candidates."""
    return -(-batch_size // length) * length


def of_neighbours(tensor: Tensor, length: int) -> Tensor:
    """Return what each candidate's neighbour has of a tensor [N, ...] of whole rings."""
    rings = tensor.reshape(-1, length, *tensor.shape[1:])
    return rings.roll(-1, dims=1).reshape(tensor.shape)


def ring_numbers(shard: int, candidates: Sequence[int], length: int) -> NDArray[np.int64]:
    """Number the rings of a data set: those of one shard follow each other, and no two shards share one."""
    return (np.int64(shard) << 32) + np.asarray(candidates, dtype=np.int64) // length
