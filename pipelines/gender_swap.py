"""The same face with the other apparent gender.

Viazovetskyi et al. 2020: five images of a face along a direction, of which the pair is kept whose ends a classifier
tells apart with the highest certainty. Either end can be the source, so the student learns both ways at once.
"""

from __future__ import annotations

from distill.generation.edits.along_direction import AlongDirection
from distill.generation.faces import FaceSearch
from distill.generation.filters.face import FaceFilter
from distill.generation.recipe import TaskRecipe
from distill.generation.selections.pair import Opposite

RECIPE = TaskRecipe(
    task="gender-swap",
    inputs=("source",),
    target="target",
    edit=AlongDirection(attribute="gender", strength=3.0),
    truncation_psi=0.7,
    noise="const",
    select=Opposite(attribute="gender", min_confidence=0.9),
    faces=FaceSearch(min_confidence=0.5, detect_size=192),
    filters=(FaceFilter(max_framing_error=0.15),),
    align="gate",
)
