"""Edits in w+: from the parents of a candidate to the w+ of each of its pictures.

Shapes: N candidates, P parents, L w+ layers, D latent width.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distill.errors import DistillError
from distill.pixels import to_device
from distill.stylegan2.sampling import sample_integers

Numbers = NDArray[np.int64]  # one per candidate


class Edit(Protocol):
    """A way to make several pictures from the latents of a candidate's parents."""

    @property
    def parents(self) -> tuple[str, ...]:
        """Names of the latents that are drawn."""

    @property
    def families(self) -> tuple[tuple[str, ...], ...]:
        """All pictures; those of one family have their first `shared_layers` w in common."""

    @property
    def shared_layers(self) -> int: ...

    @property
    def latents(self) -> tuple[str, ...]:
        """The pictures whose w+ may be stored."""

    def sample(self, seed: int, shard: int, candidates: Sequence[int]) -> dict[str, Numbers]:
        """Draw what else the edit needs, by name."""

    def apply(self, parents_NPLD: Tensor, params: Mapping[str, Numbers]) -> dict[str, Tensor]:
        """w+ of the parents and what was drawn -> w+ [N, L, D] per picture."""


@dataclass(frozen=True, kw_only=True)
class StyleMix:
    """Take the content's w+ below a crossover and the style's from there on (Karras et al. 2019, section 3.1).

    `low` and `high` bound the crossover, both included; where they differ it is drawn per candidate.
    """

    low: int
    high: int

    parents = ("content", "style")
    families = (("content", "mixed"), ("style",))
    latents = ("content", "style")

    @property
    def shared_layers(self) -> int:
        """Layers that content and mixed have in common whatever crossover is drawn."""
        return self.low

    def sample(self, seed: int, shard: int, candidates: Sequence[int]) -> dict[str, Numbers]:
        return {"crossover": sample_integers(seed, "crossover", shard, candidates, self.low, self.high)}

    def apply(self, parents_NPLD: Tensor, params: Mapping[str, Numbers]) -> dict[str, Tensor]:
        content, style = parents_NPLD.unbind(dim=1)
        layers_L = torch.arange(content.shape[1], device=content.device)
        crossover_N = to_device(torch.from_numpy(params["crossover"]), content.device)
        from_content_NL = layers_L[None] < crossover_N[:, None]
        mixed = torch.where(from_content_NL[:, :, None], content, style)
        return {"content": content, "style": style, "mixed": mixed}


@dataclass(frozen=True, kw_only=True, eq=False)
class DirectionEdit:
    """Move the source along a direction, a picture for each of several strengths (Viazovetskyi et al. 2020).

    `vector` [L, D] is what strength 1 adds to w+. Which two pictures become source and target is decided when they
    have been scored; `source_end` is drawn for that: 0 where the source is the end of the lower score.
    """

    vector: Tensor
    strengths: tuple[float, ...]

    parents = ("source",)

    @property
    def families(self) -> tuple[tuple[str, ...], ...]:
        return (self.latents,)

    @property
    def latents(self) -> tuple[str, ...]:
        return tuple(f"step{k}" for k in range(len(self.strengths)))

    @property
    def shared_layers(self) -> int:
        """Layers before the first that the direction moves."""
        moved = self.vector.abs().sum(dim=1).nonzero()
        return int(moved[0]) if len(moved) else len(self.vector)

    def sample(self, seed: int, shard: int, candidates: Sequence[int]) -> dict[str, Numbers]:
        return {"source_end": sample_integers(seed, "source-end", shard, candidates, 0, 1)}

    def apply(self, parents_NPLD: Tensor, params: Mapping[str, Numbers]) -> dict[str, Tensor]:
        source, vector = parents_NPLD[:, 0], to_device(self.vector, parents_NPLD.device)
        return {
            name: source + strength * vector
            for name, strength in zip(self.latents, self.strengths, strict=True)
        }


@dataclass(frozen=True)
class Morph:
    """Draw the face between two: the mean of their w+ (Viazovetskyi et al. 2020)."""

    parents = ("first", "second")
    families = (("first",), ("second",), ("morph",))
    latents = ("first", "second")
    shared_layers = 0

    def sample(self, seed: int, shard: int, candidates: Sequence[int]) -> dict[str, Numbers]:
        return {}

    def apply(self, parents_NPLD: Tensor, params: Mapping[str, Numbers]) -> dict[str, Tensor]:
        first, second = parents_NPLD.unbind(dim=1)
        return {"first": first, "second": second, "morph": (first + second) / 2}


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
            f"crossover {spec!r} is none of half, fine, an index such as 5, a range such as 4-8"
        )
    if not 1 <= low <= high < num_ws:
        hint = "fine starts at 64 px, this network ends below" if spec == "fine" else f"use 1 to {num_ws - 1}"
        raise DistillError(f"crossover {spec!r} is outside this network of {num_ws} w+ layers: {hint}")
    return low, high
