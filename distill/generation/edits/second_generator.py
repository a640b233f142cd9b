"""A face and its drawing by a second generator: the edit of face-to-drawing, and the two ways to pair them.

`shared`: both generators draw the same w, as a child does that was fine-tuned from the first, or a blend of the two.
`embed`: any second generator, such as one of anime characters; each face is looked for in its latent space.

Shapes: N candidates, P parents, L w+ layers, D latent width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field
from torch import Tensor

from distill.errors import DistillError
from distill.generation.edits.base import Edit, Numbers
from distill.schema import Frozen
from distill.stylegan2.facts import Teacher

if TYPE_CHECKING:
    from distill.directions.file import Direction


class SharedW(Frozen):
    """The second generator draws the w+ of the first: it has the same layers and was made from it."""

    name: Literal["shared"] = "shared"


class Embedded(Frozen):
    """The face is embedded into the second generator: the w or w+ of which it draws what comes nearest to the face.

    At most `steps` of Adam (1,000: the report this project grew from), fewer for a face whose distance stalls:
    see `stylegan2.projection.project`. `features` name the perceptual distance, `features_sha256` their weights.
    """

    name: Literal["embed"] = "embed"
    space: Literal["w", "w+"] = "w+"
    steps: int = Field(default=1000, ge=1, le=10_000)
    stalled: float = Field(default=0.01, ge=0, lt=1)
    features: str = "efficientnet_lite0"
    features_sha256: str = ""


# The table of pairings: an edit by a second generator names one of them.
AnyPairing = Annotated[SharedW | Embedded, Field(discriminator="name")]


class SecondGenerator(Edit):
    """Draw a face by the generator, and its counterpart, such as a drawing, by a second one.

    `second_generator` is a registry name or file until the recipe is bound. `second_draws` is the role of its image;
    the other role is the face.
    """

    name: Literal["second-generator"] = "second-generator"
    second_generator: str | Teacher
    second_draws: Literal["source", "target"] = "target"
    pairing: AnyPairing = Embedded()

    roles: ClassVar = ("source", "target")
    parents: ClassVar = {"face": 8}

    @property
    def latents(self) -> tuple[str, ...]:
        """Of a shared w+ one copy is stored."""
        return self.roles if self.embedding else ("source",)

    @property
    def second(self) -> Teacher | None:
        return self.second_generator if isinstance(self.second_generator, Teacher) else None

    @property
    def embedding(self) -> Embedded | None:
        return self.pairing if isinstance(self.pairing, Embedded) else None

    @property
    def second_role(self) -> str | None:
        return self.second_draws

    @property
    def face(self) -> str:
        """The role that the first generator draws."""
        return next(role for role in self.roles if role != self.second_draws)

    def settled(self, teacher: Teacher, directions: Sequence[Direction]) -> Self:
        if self.second is None:
            raise DistillError(
                f"the second generator {self.second_generator!r} has not been read: name it with --second-generator"
            )
        if self.second.sha256 == teacher.sha256:
            raise DistillError(
                f"the second generator {self.second.name!r} is the generator itself: name another one with"
                " --second-generator"
            )
        if isinstance(self.pairing, SharedW):
            check_shared(teacher, self.second)
        return self

    def apply(self, parents_NPLD: Tensor, params: Mapping[str, Numbers]) -> dict[str, Tensor]:
        """Return the w+ of both roles; of an embedded one it is not known before the face is drawn."""
        face = parents_NPLD[:, 0]
        return {self.face: face} | ({} if self.embedding else {self.second_draws: face})


def check_shared(first: Teacher, second: Teacher) -> None:
    """Raise DistillError where two generators cannot draw the same w+."""
    mine, theirs = (
        f"{facts.resolution} px, {facts.num_ws} w+ layers of {facts.w_dim}" for facts in (first, second)
    )
    if mine != theirs:
        raise DistillError(
            f"generators that share their w must be alike: {first.name!r} has {mine}, {second.name!r} {theirs};"
            " take a child or blend of the first, or --pairing embed"
        )
