"""What `distill generate` is asked to make: the task's choices, the user's, and what they come to with a teacher."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from distill.attributes.face_api import NAME as FACE_API
from distill.attributes.open import BUILTIN, open_scorer
from distill.attributes.protocol import Kind
from distill.directions.file import read_direction, shipped_directions
from distill.errors import DistillError
from distill.files import user_path
from distill.generation.attribute_choices import asked_attributes, direction_names, least_changes
from distill.generation.batch_queue import JobSettings
from distill.generation.cluster_settings import TlsFiles
from distill.generation.conditions import ChosenConditions
from distill.generation.edits.rings import PAIRINGS as OF_TWO_FACES
from distill.generation.one_attribute import with_attribute
from distill.generation.pairing import PAIRINGS, second_name, with_second_generator
from distill.generation.recipe import Recipe, TaskRecipe
from distill.generation.region_choices import with_region
from distill.generation.selections import AnySelection
from distill.generation.selections.measured import MeasuredChanges
from distill.progress import command_text
from distill.stylegan2.facts import Teacher, teacher_facts
from distill.weights.registry import domain_of, entry_of

# Choices that only some tasks have: by its edit, or by how it selects pairs.
ALONG = ("direction", "directions")
OF_EDIT = {"crossover": ("style-mix",), "direction": ALONG, "strength": ALONG, "scorer": ALONG}
OF_EDIT |= {"attributes": ("directions",), "min_change": ("directions",)}
OF_EDIT |= dict.fromkeys(("part", "regions", "shares", "min_inside_change"), ("region-swap",))
OF_EDIT |= {"steps": ("second-generator", "region-swap")}
OF_SELECTION = {"min_confidence": "opposite", "years": "apart", "min_gap": "apart"}
TWO_FACES = ("style-mix", "morph", "region-swap")
OF_EDIT |= {"pairing": ("second-generator", *TWO_FACES)}
OF_SECOND = ("second_generator", "space", "min_ssim")  # of a task with a second generator
OF_ONE_FACE = ("max_identity_distance", "max_outside_change")  # first input and target show the same person


@dataclass(frozen=True, kw_only=True)
class TaskChoices:
    """What a user changes in the recipe of a task; None leaves it as it is. Units and ranges: see `TaskRecipe`."""

    seed: int | None = None
    crossover: str | None = None
    truncation_psi: float | None = None
    truncation_cutoff: int | None = None
    noise: str | None = None
    align: str | None = None
    resolution: int | None = None
    codec: str | None = None
    latents: str | None = None
    shard_size: int | None = None
    attributes: str | None = None  # of one student for many edits, such as "gender,age"
    strength: float | None = None  # of the outermost images
    attribute: str | None = None  # of a task that leaves it to the user
    direction: str | None = None  # NAME or FILE; of several attributes "age=FILE,gender=FILE"
    min_change: str | None = None  # of several attributes, such as "age=6,gender=0.3"
    scorer: str | None = None  # "builtin" or FILE
    min_confidence: float | None = None
    years: float | None = None
    min_gap: float | None = None  # in units of the score
    max_identity_distance: float | None = None
    max_outside_change: float | None = None
    second_generator: str | None = None  # NAME, FILE or URL
    pairing: str | None = None  # of two generators shared or embed; of two faces fresh or ring
    space: str | None = None  # of an embedding: w or w+
    steps: int | None = None  # of an embedding, at most, or of looking for the shares of a pair
    min_ssim: float | None = None
    part: str | None = None  # of a face, such as hair
    regions: str | None = None  # FILE: where the part is
    shares: str | None = None  # FILE of distill region, for all pairs
    min_inside_change: float | None = None


@dataclass(frozen=True, kw_only=True)
class GenerateRequest:
    """A data set to make: `n` accepted rows of a task from a generator, and how the run may go about it.

    `out` None: data/TASK-GENERATOR-seedSEED, see `folder_of`. `shards` (first, last): these alone. `cluster`: none,
    local, tcp:// or tls://HOST:PORT, a scheduler's .json file, a batch system whose `jobs` are the workers, or None
    for a process per visible GPU, else per core. `tls`: of that scheduler, where it has certificates. `dashboard`:
    Dask's page, for this machine alone.
    """

    task: TaskRecipe
    n: int
    generator: str = "portraits"
    out: Path | None = None
    shards: tuple[int, int] | None = None
    choices: TaskChoices = field(default_factory=TaskChoices)
    conditions: ChosenConditions = field(default_factory=ChosenConditions)
    max_candidates: int | None = None
    workers: int | None = None
    cluster: str | None = None
    jobs: JobSettings = field(default_factory=JobSettings)
    tls: TlsFiles | None = None
    dashboard: bool = False
    device: str = "auto"


@dataclass(frozen=True, kw_only=True)
class RecipeFiles:
    """What workers need beside the recipe: names, addresses and files from the root; empty where there is none."""

    generator: str
    second: str = ""
    directions: tuple[str, ...] = ()
    scorer: str = ""
    regions: str = ""
    shares: str = ""


def recipe_of(request: GenerateRequest) -> tuple[Recipe, RecipeFiles]:
    """Join the task's choices, the user's and the teacher's facts. Raises DistillError where they do not fit."""
    base, choices = with_attribute(request), request.choices
    check_applies(base, choices)
    base = with_region(base, choices, request.generator)
    teacher = teacher_facts(request.generator)
    draws_faces = domain_of(request.generator) in ("face", "unknown")
    if choices.align == "none" or not draws_faces:
        base = base.without_faces()
    regions, shares = (located(file) if file else "" for file in (choices.regions, choices.shares))
    files = RecipeFiles(generator=weights_of(request.generator), regions=regions, shares=shares)
    directions, models = [], dict[str, str]()
    if second := second_name(base, choices):
        files = replace(files, second=weights_of(second))
        base = with_second_generator(base, choices, first=request.generator, second=second)
    elif choices.pairing is not None:
        base = base.revised(pairing={"name": choices.pairing})
    if base.edit.name == "directions":
        base = base.revised(attributes=asked_attributes(choices, request.generator))
    names = {*type(base).model_fields, "crossover", "strength"}
    base = base.revised(**{key: value for key, value in asdict(choices).items() if key in names})
    if base.edit.moves:
        moves = named_directions(base, request)
        directions = [read_direction(name, generator=request.generator) for name in moves]
        scorer = BUILTIN if choices.scorer is None else choices.scorer
        base, models = with_scorer(base, scorer, request, draws_faces=draws_faces)
        files = replace(files, directions=tuple(map(located, moves)), scorer=located_scorer(scorer))
    recipe = with_bounds(base, choices)
    return recipe.bind(teacher, directions=directions, **models | models_of(recipe)), files


def weights_of(source: str) -> str:
    """Return a generator by what every worker knows it by: its name, its address, or its file from the root."""
    return source if entry_of(source) else located(source)


def located(source: str) -> str:
    """Return the path of a file from the root, since a worker may run elsewhere; other text as it is."""
    path = user_path(source)
    return str(path.absolute()) if path.is_file() else source


def located_scorer(source: str) -> str:
    """Return a scorer by what every worker knows it by: "builtin", "face-api=FILE" or FILE, from the root."""
    name, equals, file = source.partition("=")
    if name in (BUILTIN, FACE_API):
        return f"{name}={located(file)}" if equals else name
    return located(source)


def folder_of(request: GenerateRequest, recipe: Recipe) -> Path:
    """Return `out`, or a name of its own below data/; files of one name are told apart by their sha256."""
    if request.out is not None:
        return request.out
    names = [folder_word(request.generator, recipe.generator)]
    if request.choices.attribute is not None:
        names.insert(0, request.choices.attribute)
    if recipe.edit.name == "directions":
        names = [*recipe.edit.moves, *names]
    if recipe.edit.name == "region-swap":
        names.insert(0, recipe.edit.part)
        names += ["shares"] if request.choices.shares else []
    if recipe.edit.ring:
        names.append("ring")
    if recipe.edit.second is not None:
        names.append(folder_word(second_name(request.task, request.choices), recipe.edit.second))
    return Path("data") / f"{recipe.task}-{'-'.join(names)}-seed{recipe.seed}"


def folder_word(source: str, facts: Teacher) -> str:
    """Name a generator in the name of a folder."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(source).stem).strip("-.") or "generator"
    return name if entry_of(source) else f"{name}-{facts.sha256[:8]}"


def check_applies(base: TaskRecipe, choices: TaskChoices) -> None:
    """Refuse a choice that the task has no use for."""
    selection = base.select.name if base.select else None
    idle = [key for key, edits in OF_EDIT.items() if base.edit.name not in edits]
    idle += [key for key, name in OF_SELECTION.items() if name != selection]
    idle += () if base.select is None or "age" in base.select.scored else ("years",)
    idle += ("min_gap",) if choices.years is not None else ()
    idle += OF_SECOND if base.edit.name != "second-generator" else ()
    idle += OF_ONE_FACE if base.edit.name in ("morph", "second-generator") else ()
    known = PAIRINGS if base.edit.name == "second-generator" else OF_TWO_FACES
    if choices.pairing is not None and "pairing" not in idle and choices.pairing not in known:
        raise DistillError(
            f"--pairing {choices.pairing}: the pairings of the task {base.task} are {' and '.join(known)}"
        )
    for key in (item.name for item in fields(choices) if item.name in idle):
        if (value := getattr(choices, key)) is not None:
            flag = key.replace("_", "-")
            raise DistillError(f"--{flag} {value} has no meaning for the task {base.task}: leave it out")


def named_directions(base: TaskRecipe, request: GenerateRequest) -> tuple[str, ...]:
    """Return the file or name of the direction of each attribute that an edit moves.

    Raises DistillError where none is given and none comes with the generator.
    """
    if base.edit.name == "directions":
        return direction_names(base.edit.moves, request.choices, request.generator)
    attribute, source = base.edit.moves[0], request.generator
    given = request.choices.direction
    name = f"{source}-{attribute}" if given is None else given
    if given is None and name not in shipped_directions():
        fit = command_text("distill", "directions", "fit", "--generator", source, "--attribute", attribute)
        raise DistillError(
            f"no direction for {attribute!r} comes with the generator {source!r}: make one by"
            f" `{fit} --out FILE` and give it as --direction FILE"
        )
    return (name,)


def with_scorer(
    base: TaskRecipe, source: str, request: GenerateRequest, *, draws_faces: bool
) -> tuple[TaskRecipe, dict[str, str]]:
    """Put scorer and bounds into what selects the pair; give the sha256 of the scorer."""
    selection = base.select
    if selection is None:
        raise DistillError(f"the task {base.task} moves along a direction and has no `select` for its pairs")
    scorer = open_scorer(source, base.edit.moves)
    if scorer.needs_face and not draws_faces:
        raise DistillError(
            f"the scorer {source!r} looks at faces, and {request.generator} draws none: name another by --scorer"
        )
    kinds = {name: scorer.kinds[name] for name in base.edit.moves}
    if selection.name == "opposite" and "probability" not in kinds.values():
        raise DistillError(
            f"the scorer {source!r} gives {selection.attribute!r} as a {kinds[selection.attribute]}: the task"
            f" {base.task} needs the probability of a class"
        )
    revised = base.reselected(
        scorer=source.rpartition("/")[2],
        find_faces=scorer.needs_face,
        **selection_settings(selection, kinds, request.choices),
    )
    return revised, {"scorer_sha256": scorer.sha256}


def selection_settings(
    selection: AnySelection, kinds: Mapping[str, Kind], choices: TaskChoices
) -> dict[str, Any]:
    """What the user and the kinds of the attributes' scores come to; None leaves a setting as it is."""
    if not isinstance(selection, MeasuredChanges):
        gap = choices.min_gap if choices.years is None else choices.years
        return {"min_confidence": choices.min_confidence, "min_gap": gap}
    least = least_changes(kinds, choices)
    return {"attributes": tuple(kinds), "kinds": tuple(kinds.values()), "min_changes": least}


def with_bounds(base: TaskRecipe, choices: TaskChoices) -> TaskRecipe:
    """Add the filters that the user bounds; the dearer one last."""
    if base.edit.name == "region-swap":
        least, most = choices.min_inside_change, choices.max_outside_change
        base = base.refiltered("region", min_inside=least, max_outside=most)
    elif choices.max_outside_change is not None:
        base = base.refiltered("outside", max_change=choices.max_outside_change)
    if choices.max_identity_distance is not None:
        base = base.refiltered("identity", max_distance=choices.max_identity_distance)
    return base


def models_of(recipe: TaskRecipe) -> dict[str, str]:
    """The sha256 of each model that selection and filters of a recipe look with."""
    models: dict[str, str] = {}
    if recipe.looks_for_faces:
        from distill.faces.detection import FaceDetector

        models["landmarks_sha256"] = FaceDetector().landmarks_sha256
    if any(item.name == "identity" for item in recipe.filters):
        from distill.faces.identity import descriptor_sha256

        models["descriptor_sha256"] = descriptor_sha256()
    return models
