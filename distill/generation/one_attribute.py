"""The one attribute of a task that leaves it to the user, and how its pairs are chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from distill.attributes.open import BUILTIN, open_scorer
from distill.errors import DistillError
from distill.generation.attribute_choices import own_attributes
from distill.generation.edits import AlongDirection
from distill.generation.recipe import TaskRecipe
from distill.generation.select import Apart, Opposite

if TYPE_CHECKING:
    from distill.generation.request import GenerateRequest


def with_attribute(request: GenerateRequest) -> TaskRecipe:
    """Return the task with the attribute that the user names, and pairs chosen by what its scorer gives.

    Of a probability they lie in opposite classes, of a value apart, the lower end as the source. Other tasks have
    their attribute already and come back as they are. Raises DistillError for an attribute that the scorer does not
    give, where none is named, and where one is named for another task.
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
    select = (
        Opposite(attribute=attribute)
        if scorer.kinds[attribute] == "probability"
        else Apart(attribute=attribute, source="lower")
    )
    return base.revised(
        edit=edit.model_copy(update={"attribute": attribute}).model_dump(), select=select.model_dump()
    )
