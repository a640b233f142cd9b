"""The tasks of `distill generate`: the one place that looks into the package `pipelines`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import distill
from distill.errors import DistillError

if TYPE_CHECKING:
    from distill.generation.recipe import TaskRecipe


def task_recipe(name: str) -> TaskRecipe:
    """Return the recipe of a task. Raises DistillError for an unknown one, and where ours are hidden."""
    check_pipelines()
    import pipelines

    if name not in pipelines.RECIPES:
        raise DistillError(f"unknown task {name!r}; the tasks are {', '.join(pipelines.RECIPES)}")
    return pipelines.RECIPES[name]


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
