"""The tasks: the one place that looks into the package `pipelines`."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import distill
from distill.errors import DistillError

if TYPE_CHECKING:
    from distill.generation.recipe import TaskRecipe


def task_recipe(name: str) -> TaskRecipe:
    """Return the recipe of a task. Raises DistillError for an unknown one, and where ours are hidden."""
    recipes = all_recipes()
    if name not in recipes:
        raise DistillError(f"unknown task {name!r}; the tasks are {', '.join(recipes)}")
    return recipes[name]


def all_recipes() -> Mapping[str, TaskRecipe]:
    """Return the recipe of each task by name. Raises DistillError where ours are hidden, or a file has none."""
    check_pipelines()
    import pipelines

    return pipelines.RECIPES


def check_pipelines() -> None:
    """Refuse another package of the name `pipelines` that hides ours, without running any of it."""
    ours = Path(distill.__file__).parents[1] / "pipelines" / "__init__.py"
    spec = find_spec("pipelines")
    found = Path(spec.origin) if spec and spec.origin else None
    if found is None or found.resolve() != ours.resolve():
        raise DistillError(
            f"the package 'pipelines' of distill is hidden by {found or 'another'}: run the command `distill` in"
            " place of `python -m distill`, or from another folder"
        )
