"""Move a face along one direction of w+, several pictures of each.

Shapes: N candidates, P parents, L w+ layers, D latent width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, PrivateAttr, field_validator
from torch import Tensor

from distill.errors import DistillError
from distill.generation.edits.along_several import check_is, check_moves
from distill.generation.edits.base import Edit, Numbers
from distill.pixels import to_device
from distill.schema import validated
from distill.stylegan2.sampling import sample_integers

if TYPE_CHECKING:
    from distill.directions.file import Direction
    from distill.stylegan2.facts import Teacher


class AlongDirection(Edit):
    """Move a face along a direction that changes an attribute, several pictures of each (Viazovetskyi et al. 2020).

    Pictures are drawn at each of `fractions` of `strength`; which two of them become source and target is decided by
    the recipe's `select`, for which `source_end` is drawn: 0 where the source is the end of the lower score.
    `direction` and `sha256` name the file of the direction once it is known.
    """

    name: Literal["direction"] = "direction"
    attribute: str
    strength: float = Field(default=3.0, gt=0, le=100)  # of the outermost pictures
    fractions: tuple[float, ...] = Field(default=(-1.0, -0.5, 0.0, 0.5, 1.0), min_length=2, max_length=32)
    direction: str = ""
    sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")

    roles: ClassVar = ("source", "target")
    parents: ClassVar = {"source": 4}
    latents: ClassVar = ("source", "target")

    _vector: Tensor | None = PrivateAttr(default=None)  # what strength 1 adds to w+

    @field_validator("fractions")
    @classmethod
    def _rising(cls, fractions: tuple[float, ...]) -> tuple[float, ...]:
        if any(after <= before for before, after in pairwise(fractions)):
            raise ValueError("fractions must rise")
        return fractions

    @property
    def moves(self) -> tuple[str, ...]:
        return (self.attribute,)

    @property
    def strengths(self) -> dict[str, float]:
        """Picture -> how far along the direction it lies."""
        return {f"strength{k}": fraction * self.strength for k, fraction in enumerate(self.fractions)}

    @property
    def together(self) -> tuple[str, ...]:
        return tuple(self.strengths)

    @property
    def vector(self) -> Tensor:
        if self._vector is None:
            raise DistillError(f"the direction {self.direction!r} has not been read")
        return self._vector

    @property
    def shared_layers(self) -> int:
        """Layers before the first that the direction moves."""
        moved = self.vector.abs().sum(dim=1).nonzero()
        return int(moved[0]) if len(moved) else len(self.vector)

    def settled(self, teacher: Teacher, directions: Sequence[Direction]) -> Self:
        if not directions:
            raise DistillError(f"an edit of {self.attribute!r} needs a direction; name one with --direction")
        direction = directions[0]
        check_moves(direction, self.attribute, teacher)
        fields = {**self.model_dump(), "direction": direction.name, "sha256": direction.sha256}
        return validated(type(self), fields)

    def ready(self, directions: Sequence[Direction]) -> Self:
        check_is(next(iter(directions), None), self.direction, self.sha256)
        edit = self.model_copy()
        edit._vector = directions[0].vector
        return edit

    def sample(self, seed: int, shard: int, candidates: Sequence[int]) -> dict[str, Numbers]:
        return {"source_end": sample_integers(seed, 5, shard, candidates, 0, 1)}

    def apply(self, parents_NPLD: Tensor, params: Mapping[str, Numbers]) -> dict[str, Tensor]:
        source, vector = parents_NPLD[:, 0], to_device(self.vector, parents_NPLD.device)
        return {picture: source + strength * vector for picture, strength in self.strengths.items()}
