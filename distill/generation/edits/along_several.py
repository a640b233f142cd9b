"""Move a face along one or two of several directions, and what every edit along directions checks.

Shapes: N candidates, P parents, K attributes, L w+ layers, D latent width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import Field, PrivateAttr
from torch import Tensor

from distill.errors import DistillError
from distill.generation.edits.base import Edit, Numbers
from distill.pixels import to_device
from distill.schema import Frozen, validated
from distill.shards.changes import asked_column
from distill.stylegan2.sampling import uniform

if TYPE_CHECKING:
    from distill.directions.file import Direction
    from distill.stylegan2.facts import Teacher

MOST_ATTRIBUTES = 32  # each has reasons of its own, and a shard knows 256
DRAWS = 10  # random stream of what is asked of a candidate


class NamedDirection(Frozen):
    """The direction of an attribute: its name, and the sha256 of its file."""

    attribute: str
    direction: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class AlongSeveral(Edit):
    """Move a face along one or two of the directions of `attributes`, each by a strength of its own.

    How many (1 to `at_once`), which of them, and each strength in ±`strength` are drawn evenly for each candidate.
    `source` is w and `target` w + Σ strength × direction. The parameter `strength_ATTRIBUTE` is what was asked of an
    attribute, 0 where nothing was. `directions`: one of each attribute, in their order, once they are known.
    """

    name: Literal["directions"] = "directions"
    attributes: tuple[str, ...] = Field(default=(), max_length=MOST_ATTRIBUTES)
    strength: float = Field(default=3.0, gt=0, le=100)
    at_once: int = Field(default=2, ge=1)
    directions: tuple[NamedDirection, ...] = ()

    roles: ClassVar = ("source", "target")
    parents: ClassVar = {"source": 9}
    latents: ClassVar = ("source", "target")

    _vectors: Tensor | None = PrivateAttr(default=None)  # [K, L, D]: what strength 1 adds to w+

    @property
    def moves(self) -> tuple[str, ...]:
        return self.attributes

    @property
    def together(self) -> tuple[str, ...]:
        return self.roles

    @property
    def vectors(self) -> Tensor:
        if self._vectors is None:
            raise DistillError(f"the directions of {', '.join(self.attributes)} have not been read")
        return self._vectors

    @property
    def shared_layers(self) -> int:
        """Layers before the first that any direction moves."""
        moved = self.vectors.abs().sum(dim=(0, 2)).nonzero()
        return int(moved[0]) if len(moved) else self.vectors.shape[1]

    def settled(self, teacher: Teacher, directions: Sequence[Direction]) -> Self:
        if not self.attributes:
            raise DistillError("an edit along several directions needs attributes; name them by --attributes")
        if len(directions) != len(self.attributes):
            raise DistillError(
                f"{len(self.attributes)} attributes need as many directions, not {len(directions)}"
            )
        for attribute, direction in zip(self.attributes, directions, strict=True):
            check_moves(direction, attribute, teacher)
        named = [
            {"attribute": direction.attribute, "direction": direction.name, "sha256": direction.sha256}
            for direction in directions
        ]
        return validated(type(self), {**self.model_dump(), "directions": tuple(named)})

    def ready(self, directions: Sequence[Direction]) -> Self:
        found = {direction.attribute: direction for direction in directions}
        for wanted in self.directions:
            check_is(found.get(wanted.attribute), wanted.direction, wanted.sha256)
        edit = self.model_copy()
        edit._vectors = torch.stack([found[wanted.attribute].vector for wanted in self.directions])
        return edit

    def sample(self, seed: int, shard: int, candidates: Sequence[int]) -> dict[str, Numbers]:
        """Draw the strength of each attribute, 0 where a candidate is not asked for it."""
        count = len(self.attributes)
        strengths_NK = np.zeros((len(candidates), count), dtype=np.float32)
        for i, candidate in enumerate(candidates):
            drawn = uniform(seed, DRAWS, shard, candidate, 1 + 2 * count)
            asked = 1 + int(drawn[0] * min(self.at_once, count))
            chosen = np.argsort(drawn[1 : 1 + count])[:asked]
            strengths_NK[i, chosen] = self.strength * (2 * drawn[1 + count :][chosen] - 1)
        return {asked_column(name): strengths_NK[:, k].copy() for k, name in enumerate(self.attributes)}

    def apply(self, parents_NPLD: Tensor, params: Mapping[str, Numbers]) -> dict[str, Tensor]:
        source = target = parents_NPLD[:, 0]
        for name, vector_LD in zip(self.attributes, to_device(self.vectors, source.device), strict=True):
            strength_N = to_device(torch.from_numpy(params[asked_column(name)]), source.device)
            target = target + strength_N[:, None, None] * vector_LD
        return {"source": source, "target": target}


def check_moves(direction: Direction, attribute: str, teacher: Teacher) -> None:
    """Raise DistillError where a direction is not of this generator, or moves another attribute."""
    direction.check_fits(num_ws=teacher.num_ws, w_dim=teacher.w_dim, generator_sha256=teacher.sha256)
    if direction.attribute != attribute:
        raise DistillError(
            f"direction {direction.name!r} moves {direction.attribute!r}, this task edits {attribute!r};"
            " name another with --direction"
        )


def check_is(direction: Direction | None, name: str, sha256: str) -> None:
    """Raise DistillError where a direction is not the file that the recipe names."""
    if direction is None or direction.sha256 != sha256:
        here = f"has sha256 {direction.sha256[:12]}…" if direction else "is missing"
        raise DistillError(
            f"the direction {name!r} {here} here, the recipe names {sha256[:12]}…;"
            " give every worker the same file"
        )
