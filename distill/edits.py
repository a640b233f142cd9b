"""Edits in w+: from the parents of a candidate to the w+ of each role."""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch
from torch import Tensor

from distill.errors import DistillError


@dataclass(frozen=True, kw_only=True)
class StyleMix:
    """Take the content's w+ below a crossover and the style's from there on (Karras et al. 2019, section 3.1).

    `low` and `high` bound the crossover, both included; where they differ it is drawn per candidate.
    """

    low: int
    high: int

    parents = ("content", "style")
    roles = ("content", "style", "mixed")

    @property
    def shared_layers(self) -> int:
        """Layers that content and mixed have in common whatever crossover is drawn."""
        return self.low

    def apply(self, parents_NPLD: Tensor, crossover_N: Tensor) -> dict[str, Tensor]:
        """w+ of the parents [N, 2, L, D] and a crossover each [N] -> w+ [N, L, D] per role."""
        content, style = parents_NPLD.unbind(dim=1)
        layers_L = torch.arange(content.shape[1], device=content.device)
        from_content_NL = layers_L[None] < crossover_N[:, None].to(content.device)
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
            f"crossover {spec!r} is none of half, fine, an index such as 5, a range such as 4-8"
        )
    if not 1 <= low <= high < num_ws:
        hint = "fine starts at 64 px, this network ends below" if spec == "fine" else f"use 1 to {num_ws - 1}"
        raise DistillError(f"crossover {spec!r} is outside this network of {num_ws} w+ layers: {hint}")
    return low, high
