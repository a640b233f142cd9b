"""The same face with the other apparent gender.

Viazovetskyi et al. 2020: five images of a face along a direction, of which the pair is kept whose ends a classifier
tells apart with the highest certainty. Either end can be the source, so the student learns both ways at once.
"""

from __future__ import annotations

from distill.generation.edit_settings import DirectionChoice
from distill.generation.filters.settings import FaceFilter, OppositeFilter
from distill.generation.recipe import TaskRecipe

RECIPE = TaskRecipe(
    task="gender-swap",
    inputs=("source",),
    target="target",
    edit=DirectionChoice(attribute="gender", delta=3.0),
    truncation_psi=0.7,
    noise="const",
    filters=(
        OppositeFilter(attribute="gender", min_confidence=0.9),
        FaceFilter(min_confidence=0.5, max_framing_error=0.15, detect_size=192),
    ),
    align="gate",
)
