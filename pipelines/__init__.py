"""Choices, no logic: one frozen recipe per task."""

from __future__ import annotations

from pipelines import ageing, gender_swap, morph, rejuvenation, style_mix

RECIPES = {
    recipe.task: recipe
    for recipe in (
        style_mix.RECIPE,
        gender_swap.RECIPE,
        ageing.RECIPE,
        rejuvenation.RECIPE,
        morph.RECIPE,
    )
}
