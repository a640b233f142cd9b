"""Draw the face between two.

Shapes: N candidates, P parents, L w+ layers, D latent width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from torch import Tensor

from distill.generation.edits.base import Edit, Numbers
from distill.generation.edits.rings import AnyParents, FreshParents


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
