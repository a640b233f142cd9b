"""The one attribute of a task that leaves it to the user, and how its pairs are chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from distill.attributes.open import BUILTIN, open_scorer
from distill.errors import DistillError
from distill.generation.attribute_choices import own_attributes
from distill.generation.edits.along_direction import AlongDirection
from distill.generation.recipe import TaskRecipe
from distill.generation.selections.pair import Apart, Opposite

if TYPE_CHECKING:
    from distill.generation.request import GenerateRequest, TaskChoices

GAPS = {"age": 20.0, "yaw": 15.0}  # years, degrees: what the ends of most faces differ by at strength 3


def with_attribute(request: GenerateRequest) -> TaskRecipe:
    """Return the task with the attribute that the user names, and pairs chosen by what its scorer gives.

    Of a probability they lie in opposite classes, of a value apart, the lower end as the source. Other tasks have
    their attribute already and come back as they are. Raises DistillError for an attribute that the scorer does not
    give, where none is named or no gap of a value is known, and where one is named for another task.
    """
    base, attribute = request.task, request.choices.attribute
    edit = base.edit
    if not isinstance(edit, AlongDirection) or edit.attribute:
        if attribute is not None:
            raise DistillError(
                f"--attribute {attribute} has no meaning for the task {base.task}: leave it out"
            )
        return base
    if not attribute:
        own = own_attributes(request.generator)
        there = (
            f"{request.generator} has directions of {', '.join(own)}" if own else "and a --direction of it"
        )
        raise DistillError(f"the task {base.task} needs --attribute NAME; {there}")
    scorer = open_scorer(request.choices.scorer or BUILTIN, attribute)
    if scorer.kinds[attribute] == "probability":
        select: Opposite | Apart = Opposite(attribute=attribute)
    else:
        select = Apart(attribute=attribute, source="lower", min_gap=gap_of(attribute, request.choices))
    return base.revised(
        edit=edit.model_copy(update={"attribute": attribute}).model_dump(), select=select.model_dump()
    )


def gap_of(attribute: str, choices: TaskChoices) -> float:
    """Return how far apart the ends of a value must lie. Raises DistillError where nobody says it."""
    gap = choices.min_gap or choices.years or GAPS.get(attribute)
    if gap is None:
        raise DistillError(
            f"{attribute} is a value: give --min-gap, in its unit, to say how far apart the ends of a pair must lie"
        )
    return gap
