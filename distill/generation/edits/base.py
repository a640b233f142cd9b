"""What all edits have.

Shapes: N candidates, P parents, L w+ layers, D latent width.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Protocol, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from distill.schema import Frozen

if TYPE_CHECKING:
    from distill.directions.file import Direction
    from distill.generation.edits.second_generator import Embedded
    from distill.stylegan2.facts import Teacher

Numbers: TypeAlias = NDArray[np.int64] | NDArray[np.float32]  # one per candidate


class Search(Protocol):
    """What an edit looks for in a number of steps, at most, before it can draw the last of its pictures."""

    @property
    def steps(self) -> int: ...


class Edit(Frozen):
    """What all edits have: a name, settings, and the way from the w+ of the parents to the w+ of each picture.

    `roles`: of the images of a row, the target last. `parents`: the latents that are drawn, each with the number of
    its random stream; the numbers of one edit differ, and are never changed afterwards. `latents`: the roles whose
    w+ is stored. `reasons`: why it drops candidates -> what to do. Pictures carry the names of their roles, but where
    a pair is selected of several.
    """

    roles: ClassVar[tuple[str, ...]]
    parents: ClassVar[Mapping[str, int]]
    reasons: ClassVar[Mapping[str, str]] = MappingProxyType({})

    @property
    def latents(self) -> tuple[str, ...]:
        return ()

    @property
    def together(self) -> tuple[str, ...]:
        """Pictures whose first `shared_layers` w are the same: these layers are drawn once for all of them."""
        return ()

    @property
    def shared_layers(self) -> int:
        return 0

    @property
    def ring(self) -> int | None:
        """How many candidates share as many faces, each the first parent of one and the second of another.

        None where every candidate has parents of its own.
        """
        return None

    @property
    def moves(self) -> tuple[str, ...]:
        """The attributes whose directions it moves faces along: their files, in this order, are read for it."""
        return ()

    @property
    def second(self) -> Teacher | None:
        """The second generator of edits that have one: it draws the `second_role`."""
        return None

    @property
    def embedding(self) -> Embedded | None:
        """How the image of the second generator is looked for; None where its w is known."""
        return None

    @property
    def second_role(self) -> str | None:
        return None

    @property
    def search(self) -> Search | None:
        """What takes steps; None where every picture is drawn at once."""
        return self.embedding

    @property
    def find_faces(self) -> bool:
        """Whether it needs the faces in what its parents draw."""
        return False

    def settled(self, teacher: Teacher, directions: Sequence[Direction]) -> Self:
        """Return the edit with every choice as a number that fits the teacher: what a bound recipe holds."""
        return self

    def ready(self, directions: Sequence[Direction]) -> Self:
        """Return the edit with what it needs beside its settings."""
        return self

    def sample(self, seed: int, shard: int, candidates: Sequence[int]) -> dict[str, Numbers]:
        """Draw what else the edit needs, by name."""
        return {}

    @abstractmethod
    def apply(self, parents_NPLD: Tensor, params: Mapping[str, Numbers]) -> dict[str, Tensor]:
        """Return the w+ [N, L, D] of each picture, from those of the parents and what was drawn."""
