"""One face with one or two of several attributes changed, by any amount: pairs for one student of many edits.

Source is w, target w + strength × direction, each strength drawn evenly between its ends; the change is what a scorer
measures in the two images. Which attributes is the user's choice (`--attributes gender,age`).
"""

from __future__ import annotations

from distill.generation.edits.along_several import AlongSeveral
from distill.generation.faces import FaceSearch
from distill.generation.filters.face import FaceFilter
from distill.generation.filters.identity import IdentityFilter
from distill.generation.recipe import TaskRecipe
from distill.generation.selections.measured import MeasuredChanges

RECIPE = TaskRecipe(
    task="attributes",
    inputs=("source",),
    target="target",
    edit=AlongSeveral(strength=3.0),
    truncation_psi=0.7,
    noise="const",
    select=MeasuredChanges(),
    faces=FaceSearch(min_confidence=0.5, detect_size=192),
    filters=(FaceFilter(max_framing_error=0.15), IdentityFilter(max_distance=0.75)),
    align="gate",
)
