"""The face between two faces.

Viazovetskyi et al. 2020: the target is drawn from the mean of the two w. The student gets both faces (6 channels).
"""

from __future__ import annotations

from distill.generation.edits.morph import Morph
from distill.generation.faces import FaceSearch
from distill.generation.filters.face import FaceFilter
from distill.generation.recipe import TaskRecipe

RECIPE = TaskRecipe(
    task="morph",
    inputs=("first", "second"),
    target="morph",
    edit=Morph(),
    truncation_psi=0.7,
    noise="const",
    faces=FaceSearch(min_confidence=0.5, detect_size=144),
    filters=(FaceFilter(max_framing_error=0.15),),
    align="gate",
)
