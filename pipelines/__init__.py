"""Choices, no logic: one frozen recipe per task, each the RECIPE of a file of this folder."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from distill.generation.recipe import TaskRecipe

_FILES = sorted(module.name for module in iter_modules(__path__) if not module.ispkg)
_FOUND: list[TaskRecipe] = [import_module(f"{__name__}.{name}").RECIPE for name in _FILES]
RECIPES = {recipe.task: recipe for recipe in _FOUND}
