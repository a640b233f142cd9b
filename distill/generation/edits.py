"""Edits in w+: a class each, with its settings in a recipe and what it does to the w+ of a candidate's parents.

Shapes: N candidates, P parents, L w+ layers, D latent width.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

import torch
from pydantic import Field, PrivateAttr, field_validator
from torch import Tensor

from distill.errors import DistillError
from distill.generation.along_several import AlongSeveral, check_is, check_moves
from distill.generation.edit import Edit, Numbers
from distill.generation.region_swap import RegionSwap
from distill.generation.rings import AnyParents, FreshParents
from distill.generation.second_generator import SecondGenerator
from distill.pixels import to_device
from distill.schema import Frozen, validated
from distill.stylegan2.sampling import CONTENT, sample_integers

if TYPE_CHECKING:
    from distill.directions.file import Direction
    from distill.stylegan2.facts import Teacher


class Crossover(Frozen):
    """Lowest and highest crossover, both included; where they differ it is drawn per candidate."""

    lo: int = Field(ge=1)
    hi: int = Field(ge=1)


class StyleMix(Edit):
    """Take the content's w+ below a crossover and the style's from there on (Karras et al. 2019, section 3.1)."""

    name: Literal["style-mix"] = "style-mix"
    crossover: str | Crossover = "half"  # see parse_crossover; numbers once a teacher is known
    pairing: AnyParents = FreshParents()

    roles: ClassVar = ("content", "style", "mixed")
    parents: ClassVar = {"content": CONTENT, "style": 2}
    latents: ClassVar = ("content", "style")

    @property
    def together(self) -> tuple[str, ...]:
        return ("content", "mixed")

    @property
    def ring(self) -> int | None:
        return self.pairing.length

    @property
    def shared_layers(self) -> int:
        """Layers that content and mixed have in common whatever crossover is drawn."""
        return self._bounds.lo

    @property
    def _bounds(self) -> Crossover:
        if isinstance(self.crossover, str):
            raise DistillError(
                f"crossover {self.crossover!r} is not a number: bind the recipe to a teacher first"
            )
        return self.crossover

    def settled(self, teacher: Teacher, directions: Sequence[Direction]) -> Self:
        if isinstance(self.crossover, Crossover):
            return self
        low, high = parse_crossover(self.crossover, teacher.num_ws)
        return self.model_copy(update={"crossover": Crossover(lo=low, hi=high)})

    def sample(self, seed: int, shard: int, candidates: Sequence[int]) -> dict[str, Numbers]:
        return {"crossover": sample_integers(seed, 3, shard, candidates, self._bounds.lo, self._bounds.hi)}

    def apply(self, parents_NPLD: Tensor, params: Mapping[str, Numbers]) -> dict[str, Tensor]:
        content, style = parents_NPLD.unbind(dim=1)
        layers_L = torch.arange(content.shape[1], device=content.device)
        crossover_N = to_device(torch.from_numpy(params["crossover"]), content.device)
        from_content_NL = layers_L[None] < crossover_N[:, None]
        mixed = torch.where(from_content_NL[:, :, None], content, style)
        return {"content": content, "style": style, "mixed": mixed}


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


class Morph(Edit):
    """Draw the face between two: the mean of their w+ (Viazovetskyi et al. 2020)."""

    name: Literal["morph"] = "morph"
    pairing: AnyParents = FreshParents()

    roles: ClassVar = ("first", "second", "morph")
    parents: ClassVar = {"first": 6, "second": 7}
    latents: ClassVar = ("first", "second")

    @property
    def ring(self) -> int | None:
        return self.pairing.length

    def apply(self, parents_NPLD: Tensor, params: Mapping[str, Numbers]) -> dict[str, Tensor]:
        first, second = parents_NPLD.unbind(dim=1)
        return {"first": first, "second": second, "morph": (first + second) / 2}


# The table of edits: a recipe names one of them.
AnyEdit = Annotated[
    StyleMix | AlongDirection | AlongSeveral | Morph | SecondGenerator | RegionSwap,
    Field(discriminator="name"),
]


def parse_crossover(spec: str, num_ws: int) -> tuple[int, int]:
    """Read `half`, `fine`, an index or `LO-HI` as the lowest and highest crossover of a network.

    `half` is the middle of the w+ layers (9 of 18: "the first half", Viazovetskyi et al. 2020). `fine` is the
    first layer at 64 px, counting two w a resolution from 4 px upwards (8; Karras et al. 2019). At least one
    layer stays with each parent, so an index lies in 1 ... num_ws - 1.

    Raises `DistillError` for a spec that does not parse or lies outside the network.
    """
    known = {"half": num_ws // 2, "fine": 8}
    match = re.fullmatch(r"(\d{1,4})(?:-(\d{1,4}))?", spec.strip())
    if spec in known:
        low = high = known[spec]
    elif match:
        low = int(match[1])
        high = int(match[2] or match[1])
    else:
        raise DistillError(
            f"crossover {spec!r} is not one of half, fine, an index such as 5, a range such as 4-8"
        )
    if not 1 <= low <= high < num_ws:
        hint = "fine starts at 64 px, this network ends below" if spec == "fine" else f"use 1 to {num_ws - 1}"
        raise DistillError(f"crossover {spec!r} is outside this network of {num_ws} w+ layers: {hint}")
    return low, high
