"""The face between two faces.

Viazovetskyi et al. 2020: the target is drawn from the mean of the two w. The student gets both faces (6 channels).
"""

from __future__ import annotations

from distill.generation.edit_settings import MorphSettings
from distill.generation.filters.settings import FaceFilter
from distill.generation.recipe import TaskRecipe

RECIPE = TaskRecipe(
    task="morph",
    inputs=("first", "second"),
    target="morph",
    edit=MorphSettings(),
    truncation_psi=0.7,
    noise="const",
    filters=(FaceFilter(min_confidence=0.5, max_framing_error=0.15, detect_size=144),),
    align="gate",
)
