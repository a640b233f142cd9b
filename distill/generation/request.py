"""From the options of `distill generate` to its recipe, and to the files that the recipe knows by sha256."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from distill.attributes.open import BUILTIN, open_scorer
from distill.directions.file import Direction, read_direction, shipped_directions
from distill.errors import DistillError
from distill.generation.edit_settings import DirectionChoice
from distill.generation.filters.settings import PairFilter
from distill.generation.recipe import Recipe, TaskRecipe
from distill.stylegan2.facts import teacher_facts
from distill.weights.registry import domain_of
from pipelines import RECIPES

# Options that only some tasks have: by the edit of the task, or by a filter in its recipe.
OF_EDIT = {"crossover": "style-mix", "direction": "direction", "delta": "direction", "scorer": "direction"}
OF_FILTER = {"min_confidence": "opposite", "years": "apart"}
OF_ONE_FACE = ("max_identity_distance", "max_outside_change")  # first input and target show the same person
FLAGS = {"delta": "--strength"}


@dataclass(frozen=True, kw_only=True)
class Means:
    """What workers need beside the recipe: where direction and scorer are; "" where there is none."""

    direction: str = ""
    scorer: str = ""


def recipe_of(options: dict[str, Any]) -> tuple[Recipe, Means]:
    """Join the task's choices, the user's and the teacher's facts. Raises DistillError where they do not fit."""
    if options["task"] not in RECIPES:
        raise DistillError(f"unknown task {options['task']!r}; the tasks are {', '.join(RECIPES)}")
    base = RECIPES[options["task"]]
    check_applies(base, options)
    teacher = teacher_facts(options["source"])
    draws_faces = domain_of(options["source"]) in ("face", "unknown")
    if options["align"] == "none" or not draws_faces:
        base = base.without_faces()
    names = {*type(base).model_fields, "crossover", "delta"} - {"task"}
    base = base.revised(**{key: options[key] for key in names & options.keys()})
    means, direction, models = Means(), None, dict[str, str]()
    if isinstance(edit := base.edit, DirectionChoice):
        direction = direction_of(edit.attribute, options)
        scorer = options["scorer"] or BUILTIN
        base, models = with_scorer(base, scorer, options, draws_faces=draws_faces)
        means = Means(direction=named_direction(edit.attribute, options), scorer=scorer)
    recipe = with_bounds(base, options)
    bound = recipe.bind(teacher, direction=direction, **models | models_of(recipe))
    return bound, means


def check_applies(base: TaskRecipe, options: dict[str, Any]) -> None:
    """Refuse an option that the task has no use for."""
    filters = [item.name for item in base.filters]
    idle = [key for key, edit in OF_EDIT.items() if base.edit.name != edit]
    idle += [key for key, name in OF_FILTER.items() if name not in filters]
    idle += OF_ONE_FACE if base.edit.name == "morph" else ()
    for key in idle:
        if options[key] is not None:
            flag = FLAGS.get(key, f"--{key.replace('_', '-')}")
            raise DistillError(f"{flag} {options[key]} has no meaning for the task {base.task}: leave it out")


def named_direction(attribute: str, options: dict[str, Any]) -> str:
    """The file or name that the user gives, else the name of the generator's own direction for this attribute."""
    given: str | None = options["direction"]
    return given or f"{options['source']}-{attribute}"


def direction_of(attribute: str, options: dict[str, Any]) -> Direction:
    """Read the direction of an edit. Raises DistillError where none is given and none comes with the generator."""
    source, name = options["source"], named_direction(attribute, options)
    if options["direction"] is None and name not in shipped_directions():
        raise DistillError(
            f"no direction for {attribute!r} comes with the generator {source!r}: make one by"
            f" `distill directions fit --generator {source} --attribute {attribute} --out FILE` and give it as"
            " --direction FILE"
        )
    return read_direction(name, generator=source)


def with_scorer(
    base: TaskRecipe, source: str, options: dict[str, Any], *, draws_faces: bool
) -> tuple[TaskRecipe, dict[str, str]]:
    """Put scorer and bounds into the filter that chooses the pair; give the sha256 of the scorer."""
    chooser = base.filters[0]
    if not isinstance(chooser, PairFilter):
        raise DistillError(
            f"the task {base.task} moves along a direction and has no filter that chooses a pair"
        )
    scorer = open_scorer(source, chooser.attribute)
    if scorer.needs_face and not draws_faces:
        raise DistillError(
            f"the scorer {source!r} looks at faces, and {options['source']} draws none: name another by --scorer"
        )
    settings = {"min_confidence": options["min_confidence"], "min_gap": options["years"]}
    kind = scorer.kinds[chooser.attribute]
    if chooser.name == "opposite" and kind != "probability":
        raise DistillError(
            f"the scorer {source!r} gives {chooser.attribute!r} as a {kind}: the task"
            f" {base.task} needs the probability of a class"
        )
    revised = base.refiltered(
        chooser.name, scorer=source.rpartition("/")[2], find_faces=scorer.needs_face, **settings
    )
    return revised, {"scorer_sha256": scorer.sha256}


def with_bounds(base: TaskRecipe, options: dict[str, Any]) -> TaskRecipe:
    """Add the filters that the user bounds; the dearer one last."""
    if options["max_outside_change"] is not None:
        base = base.refiltered("outside", max_change=options["max_outside_change"])
    if options["max_identity_distance"] is not None:
        base = base.refiltered("identity", max_distance=options["max_identity_distance"])
    return base


def models_of(recipe: TaskRecipe) -> dict[str, str]:
    """The sha256 of each model that the filters of a recipe look with."""
    models: dict[str, str] = {}
    if any(item.name == "face" or getattr(item, "find_faces", False) for item in recipe.filters):
        from distill.faces.detection import FaceDetector

        models["landmarks_sha256"] = FaceDetector().landmarks_sha256
    if any(item.name == "identity" for item in recipe.filters):
        from distill.faces.identity import descriptor_sha256

        models["descriptor_sha256"] = descriptor_sha256()
    return models
