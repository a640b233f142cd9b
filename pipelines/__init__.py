"""Choices, no logic: one frozen recipe per task, each the RECIPE of a file of this folder."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from distill.errors import DistillError
from distill.generation.recipe import TaskRecipe


def recipe_in(name: str) -> TaskRecipe:
    """Return the RECIPE of a file of this folder. Raises DistillError for a file that has none."""
    try:
        recipe = getattr(import_module(f"{__name__}.{name}"), "RECIPE", None)
    except Exception as error:
        raise DistillError(f"{__path__[0]}/{name}.py: {type(error).__name__}: {error}") from error
    if not isinstance(recipe, TaskRecipe):
        raise DistillError(
            f"{__path__[0]}/{name}.py: no RECIPE in it, and each file there is a task; move it elsewhere"
        )
    return recipe


_FILES = sorted(module.name for module in iter_modules(__path__) if not module.ispkg)
RECIPES = {recipe.task: recipe for recipe in map(recipe_in, _FILES)}
