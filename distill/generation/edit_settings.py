"""What a recipe says of its edit: a choice before the teacher is known, numbers and hashes after.

Each edit gives its data set fixed roles, and latents of some of them.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from distill.errors import DistillError
from distill.generation.edits import DirectionEdit, Edit, Morph, StyleMix, parse_crossover
from distill.schema import Frozen, validated

if TYPE_CHECKING:
    from distill.directions.file import Direction

STRENGTHS = (
    -1.0,
    -0.5,
    0.0,
    0.5,
    1.0,
)  # of the five candidates of Viazovetskyi et al. 2020, in units of delta


class StyleMixChoice(Frozen):
    name: Literal["style-mix"] = "style-mix"
    crossover: str = "half"


class DirectionChoice(Frozen):
    """Move a face along a direction that changes an attribute; `delta` is the strength of the outermost images."""

    name: Literal["direction"] = "direction"
    attribute: str
    delta: float = Field(default=3.0, gt=0, le=100)
    strengths: tuple[float, ...] = STRENGTHS


class Crossover(Frozen):
    """Lowest and highest crossover, both included."""

    lo: int = Field(ge=1)
    hi: int = Field(ge=1)


class StyleMixSettings(Frozen):
    name: Literal["style-mix"] = "style-mix"
    crossover: Crossover

    roles: ClassVar[tuple[str, ...]] = ("content", "style", "mixed")
    latents: ClassVar[tuple[str, ...]] = ("content", "style")


class DirectionSettings(Frozen):
    """A direction by name and sha256 of its file; images are drawn at each of `strengths` times `delta`."""

    name: Literal["direction"] = "direction"
    direction: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    attribute: str
    delta: float = Field(gt=0, le=100)
    strengths: tuple[float, ...] = Field(min_length=2, max_length=32)

    roles: ClassVar[tuple[str, ...]] = ("source", "target")
    latents: ClassVar[tuple[str, ...]] = ("source", "target")

    @field_validator("strengths")
    @classmethod
    def _rising(cls, strengths: tuple[float, ...]) -> tuple[float, ...]:
        if any(after <= before for before, after in pairwise(strengths)):
            raise ValueError("strengths must rise")
        return strengths


class MorphSettings(Frozen):
    name: Literal["morph"] = "morph"

    roles: ClassVar[tuple[str, ...]] = ("first", "second", "morph")
    latents: ClassVar[tuple[str, ...]] = ("first", "second")


EditChoice = Annotated[StyleMixChoice | DirectionChoice | MorphSettings, Field(discriminator="name")]
EditSettings = Annotated[StyleMixSettings | DirectionSettings | MorphSettings, Field(discriminator="name")]


def settle_edit(
    choice: StyleMixChoice | DirectionChoice | MorphSettings, *, num_ws: int, direction: Direction | None
) -> StyleMixSettings | DirectionSettings | MorphSettings:
    """Resolve the choice of an edit for a network of `num_ws` layers.

    Raises `DistillError` for a crossover outside the network, and for a direction of another attribute.
    """
    match choice:
        case StyleMixChoice():
            low, high = parse_crossover(choice.crossover, num_ws)
            return StyleMixSettings(crossover=Crossover(lo=low, hi=high))
        case DirectionChoice():
            return _settle_direction(choice, direction)
        case MorphSettings():
            return choice


def _settle_direction(choice: DirectionChoice, direction: Direction | None) -> DirectionSettings:
    if direction is None:
        raise DistillError(f"an edit of {choice.attribute!r} needs a direction; name one with --direction")
    if direction.attribute != choice.attribute:
        raise DistillError(
            f"direction {direction.name!r} moves {direction.attribute!r}, this task edits {choice.attribute!r};"
            " name another with --direction"
        )
    fields = {
        **choice.model_dump(),
        "direction": direction.name,
        "sha256": direction.sha256,
    }
    return validated(DirectionSettings, fields)


def make_edit(
    settings: StyleMixSettings | DirectionSettings | MorphSettings, direction: Direction | None = None
) -> Edit:
    """Make the edit that a recipe names. Raises DistillError where `direction` is not the one that it names."""
    match settings:
        case StyleMixSettings(crossover=crossover):
            return StyleMix(low=crossover.lo, high=crossover.hi)
        case MorphSettings():
            return Morph()
        case DirectionSettings():
            if direction is None or direction.sha256 != settings.sha256:
                here = f"has sha256 {direction.sha256[:12]}…" if direction else "is missing"
                raise DistillError(
                    f"the direction {settings.direction!r} {here} here, the recipe names {settings.sha256[:12]}…;"
                    " give every worker the same file"
                )
            strengths = tuple(strength * settings.delta for strength in settings.strengths)
            return DirectionEdit(vector=direction.vector, strengths=strengths)
