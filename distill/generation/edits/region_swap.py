"""A part of one face onto another: the edit of region-swap, and where its shares of the style channels come from.

`optimised`: those of each pair are looked for. `given`: one file of shares serves all pairs.

Shapes: N candidates, P parents, L w+ layers, D latent width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field
from torch import Tensor

from distill.errors import DistillError
from distill.faces.regions.parts import PARTS
from distill.generation.edits.base import Edit, Numbers
from distill.generation.edits.rings import AnyParents, FreshParents
from distill.schema import Frozen
from distill.stylegan2.interpolation.settings import InterpolationSettings

if TYPE_CHECKING:
    from distill.directions.file import Direction
    from distill.stylegan2.facts import Teacher

Sha256 = Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]
# Of Adam. A pair has as far to go whatever the steps, so the rate grows as they get fewer. Mean change inside the
# region and outside, of 8 pairs of hair at 64 px: 0.082 and 0.010 in 50 steps, 0.083 and 0.011 in 30, 0.084 and 0.012
# in 20.
STEPS, WAY = 20, 7.5  # WAY: rate times steps, as of the 50 that `distill region` takes
PERSON, REFERENCE, RESULT = ROLES = ("person", "reference", "result")


class SharesOfPair(Frozen):
    """Shares are looked for pair by pair (Lewis et al. 2021): see `stylegan2.interpolation.optimise`.

    `features` name the perceptual distance, `features_sha256` their weights.
    """

    name: Literal["optimised"] = "optimised"
    settings: InterpolationSettings = InterpolationSettings(steps=STEPS, rate=WAY / STEPS)
    features: str = "efficientnet_lite0"
    features_sha256: Sha256 = ""

    @property
    def steps(self) -> int:
        return self.settings.steps


class SharesOfFile(Frozen):
    """All pairs take the shares of one file, which `distill region` wrote."""

    name: Literal["given"] = "given"
    sha256: Sha256


# The table of ways to the shares: an edit that moves a part names one of them.
AnyShares = Annotated[SharesOfPair | SharesOfFile, Field(discriminator="name")]


class RegionSwap(Edit):
    """Draw the person with a `part` of the reference: each style channel goes its share of the way to the reference.

    `regions_sha256` names what says where the part is; `by_landmarks`: it needs the landmarks of a face. The result
    has no w+: it is drawn once masks and shares are known.
    """

    name: Literal["region-swap"] = "region-swap"
    part: str = ""  # --part names it
    by_landmarks: bool = False
    regions_sha256: Sha256 = ""
    shares: AnyShares = SharesOfPair()
    pairing: AnyParents = FreshParents()

    roles: ClassVar = ROLES
    parents: ClassVar = {PERSON: 11, REFERENCE: 12}
    latents: ClassVar = (PERSON, REFERENCE)
    reasons: ClassVar = {
        "part.no-face": "take a smaller --truncation-psi, or --regions that need no landmarks",
        "part.missing": "take another --part, a smaller --truncation-psi, or better --regions",
    }

    @property
    def ring(self) -> int | None:
        return self.pairing.length

    @property
    def search(self) -> SharesOfPair | None:
        return self.shares if isinstance(self.shares, SharesOfPair) else None

    @property
    def find_faces(self) -> bool:
        return self.by_landmarks

    def settled(self, teacher: Teacher, directions: Sequence[Direction]) -> Self:
        if not self.part:
            raise DistillError(f"an edit of a part needs --part: {', '.join(PARTS)}")
        if not self.regions_sha256:
            raise DistillError(f"the regions that say where the part {self.part!r} is have not been read")
        return self

    def apply(self, parents_NPLD: Tensor, params: Mapping[str, Numbers]) -> dict[str, Tensor]:
        """Return the w+ of person and reference."""
        person, reference = parents_NPLD.unbind(dim=1)
        return {PERSON: person, REFERENCE: reference}
