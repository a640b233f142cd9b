"""Mix two faces: the content up to a layer of w+, the style from there on.

Shapes: N candidates, P parents, L w+ layers, D latent width.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, Self

import torch
from pydantic import Field
from torch import Tensor

from distill.errors import DistillError
from distill.generation.edits.base import Edit, Numbers
from distill.generation.edits.rings import AnyParents, FreshParents
from distill.pixels import to_device
from distill.schema import Frozen
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
            f"crossover {spec!r} is not one of half, fine, an index such as 5, or a range such as 4-8"
        )
    if not 1 <= low <= high < num_ws:
        hint = "fine starts at 64 px, this network ends below" if spec == "fine" else f"use 1 to {num_ws - 1}"
        raise DistillError(f"crossover {spec!r} is outside this network of {num_ws} w+ layers: {hint}")
    return low, high
