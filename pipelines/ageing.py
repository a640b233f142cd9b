"""The same face some decades older.

Viazovetskyi et al. 2020: five images of a face along a direction; the two that lie furthest apart in apparent age are
kept, if they do so by enough years. The younger one goes in. The network that tells the age is rough: what counts is
the difference.
"""

from __future__ import annotations

from distill.generation.edits.along_direction import AlongDirection
from distill.generation.faces import FaceSearch
from distill.generation.filters.face import FaceFilter
from distill.generation.recipe import TaskRecipe
from distill.generation.selections.pair import Apart

RECIPE = TaskRecipe(
    task="ageing",
    inputs=("source",),
    target="target",
    edit=AlongDirection(attribute="age", strength=3.0),
    truncation_psi=0.7,
    noise="const",
    select=Apart(attribute="age", min_gap=20.0, source="lower"),
    faces=FaceSearch(min_confidence=0.5, detect_size=192),
    filters=(FaceFilter(max_framing_error=0.15),),
    align="gate",
)
