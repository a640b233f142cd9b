"""The same face some decades older.

Viazovetskyi et al. 2020: five images of a face along a direction; the two that lie furthest apart in apparent age are
kept, if they do so by enough years. The younger one goes in. The network that tells the age is rough: what counts is
the difference.
"""

from __future__ import annotations

from distill.generation.edit_settings import DirectionChoice
from distill.generation.filters.settings import ApartFilter, FaceFilter
from distill.generation.recipe import TaskRecipe

RECIPE = TaskRecipe(
    task="ageing",
    inputs=("source",),
    target="target",
    edit=DirectionChoice(attribute="age", delta=3.0),
    truncation_psi=0.7,
    noise="const",
    filters=(
        ApartFilter(attribute="age", min_gap=20.0, source="lower"),
        FaceFilter(min_confidence=0.5, max_framing_error=0.15, detect_size=192),
    ),
    align="gate",
)
