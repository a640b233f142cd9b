"""Choices, no logic: one frozen recipe per task."""

from __future__ import annotations

from pipelines import style_mix

RECIPES = {recipe.task: recipe for recipe in (style_mix.RECIPE,)}
