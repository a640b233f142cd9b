"""The same face some decades younger: the pairs of `ageing`, the older one going in."""

from __future__ import annotations

from distill.generation.edit_settings import DirectionChoice
from distill.generation.filters.settings import ApartFilter, FaceFilter
from distill.generation.recipe import TaskRecipe

RECIPE = TaskRecipe(
    task="rejuvenation",
    inputs=("source",),
    target="target",
    edit=DirectionChoice(attribute="age", delta=3.0),
    truncation_psi=0.7,
    noise="const",
    filters=(
        ApartFilter(attribute="age", min_gap=20.0, source="higher"),
        FaceFilter(min_confidence=0.5, max_framing_error=0.15, detect_size=192),
    ),
    align="gate",
)
