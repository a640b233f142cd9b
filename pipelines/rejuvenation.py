"""The same face some decades younger: the pairs of `ageing`, the older one going in."""

from __future__ import annotations

from distill.generation.edits.along_direction import AlongDirection
from distill.generation.faces import FaceSearch
from distill.generation.filters.face import FaceFilter
from distill.generation.recipe import TaskRecipe
from distill.generation.selections.pair import Apart

RECIPE = TaskRecipe(
    task="rejuvenation",
    inputs=("source",),
    target="target",
    edit=AlongDirection(attribute="age", strength=3.0),
    truncation_psi=0.7,
    noise="const",
    select=Apart(attribute="age", min_gap=20.0, source="higher"),
    faces=FaceSearch(min_confidence=0.5, detect_size=192),
    filters=(FaceFilter(max_framing_error=0.15),),
    align="gate",
)
