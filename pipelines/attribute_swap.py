"""The same face with one attribute changed: any that has a direction and a scorer (`--attribute smile`).

Viazovetskyi et al. 2020, as in gender-swap and ageing, which are two of its cases: five images of a face along the
direction. Of an attribute that is scored by a probability the pair is kept whose ends are told apart with the highest
certainty; of a value the one that lies furthest apart, and its lower end goes in.
"""

from __future__ import annotations

from distill.generation.edits.along_direction import AlongDirection
from distill.generation.faces import FaceSearch
from distill.generation.filters.face import FaceFilter
from distill.generation.recipe import TaskRecipe

RECIPE = TaskRecipe(
    task="attribute-swap",
    inputs=("source",),
    target="target",
    edit=AlongDirection(attribute="", strength=3.0),  # --attribute names it
    truncation_psi=0.7,
    noise="const",
    faces=FaceSearch(min_confidence=0.5, detect_size=192),
    filters=(FaceFilter(max_framing_error=0.15),),
    align="gate",
)
