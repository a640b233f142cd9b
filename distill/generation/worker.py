"""What a worker does: one shard, from a task of plain values to a file on disk."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from distill.attributes.open import open_scorer
from distill.attributes.protocol import AttributeScorer
from distill.devices import Format, be_reproducible, keep_freed_memory, usable_cores
from distill.directions.file import read_direction
from distill.errors import DistillError
from distill.generation.conditions import conditions_on
from distill.generation.edits.region_swap import RegionSwap
from distill.generation.embed import KeptBatches, LatentSearch, OnStep, open_space, search_key
from distill.generation.move_region import RegionMover, open_mover
from distill.generation.pipeline import generate_shard
from distill.generation.recipe import Recipe
from distill.generation.stages import OnProgress
from distill.shards.folder import ShardReport, read_report, shard_is_valid
from distill.shards.layout import ShardContent
from distill.shards.write import commit_shard
from distill.stylegan2.compiling import compiler_advice, keep_compiled
from distill.stylegan2.facts import Teacher
from distill.stylegan2.generator import Generator
from distill.stylegan2.load import load_generator
from distill.timing import StageClock
from distill.weights.registry import cache_folder


@dataclass(frozen=True, kw_only=True)
class ShardTask:
    """One shard to make, as plain values that travel to a worker."""

    recipe_json: str
    index: int
    rows: int
    folder: str
    source: str  # of the generator
    device: str
    second: str = ""  # the second generator of an edit that has one
    directions: tuple[str, ...] = ()  # their files or names, and
    scorer: str = ""  # who scores the images: both for attribute edits alone
    regions: str = ""  # files of an edit that moves a part: where it is,
    shares: str = ""  # and the shares of the style channels, where they are given
    precision: Format = "fp32"
    batch_size: int = 16
    compiled: bool = False
    max_candidates: int | None = None
    threads: int = 1  # of the process that makes it; 0: as many as it has cores


@dataclass(frozen=True, kw_only=True)
class Made:
    """What comes back from a worker: the report, which is part of the data set, and seconds by stage."""

    report: ShardReport
    seconds: dict[str, float]


def make_shard(
    task: ShardTask, *, on_progress: OnProgress | None = None, on_step: OnStep | None = None
) -> Made:
    """Make one shard and put it on disk, unless it is there already. Runs in a worker or in the driver."""
    recipe, folder = Recipe.from_json(task.recipe_json), Path(task.folder)
    if shard_is_valid(folder, task.index, digest=recipe.digest, rows=task.rows):
        report = read_report(folder, task.index)
        if report:
            return Made(report=report, seconds={})
    clock = StageClock()
    kept = kept_batches(task, recipe, folder)
    content = draw_shard(task, recipe, clock=clock, kept=kept, on_progress=on_progress, on_step=on_step)
    with clock.stage("write"):
        report = commit_shard(folder, content)
    kept.clear()
    return Made(report=report, seconds=clock.seconds)


def kept_batches(task: ShardTask, recipe: Recipe, folder: Path) -> KeptBatches:
    """Name where what is found for a shard is kept until it is done."""
    key = search_key(recipe, task.precision, task.batch_size, task.compiled)
    return KeptBatches(folder=folder, index=task.index, key=key)


def draw_shard(
    task: ShardTask,
    recipe: Recipe,
    *,
    clock: StageClock,
    kept: KeptBatches | None = None,
    on_progress: OnProgress | None = None,
    on_step: OnStep | None = None,
) -> ShardContent:
    """Load what the task needs, and draw its shard. `kept`: where batches that take long are kept meanwhile."""
    be_reproducible()
    keep_freed_memory()
    teacher = teacher_of(task.source, task.device, task.precision, compiled=task.compiled)
    check_weights(teacher, task.source, recipe.generator)
    second = second_of(task, recipe)
    with compiler_advice(compiled=task.compiled, instead="begin another folder without --compile"):
        content = generate_shard(
            recipe,
            task.index,
            task.rows,
            teacher=teacher,
            second=second,
            search=search_of(second, recipe, kept, on_step),
            mover=mover_of(teacher, task, recipe, on_step),
            batch_size=task.batch_size,
            directions=[read_direction(file, generator=task.source) for file in task.directions],
            scorer=scorer_of(task.scorer, str(teacher.device), recipe) if task.scorer else None,
            max_candidates=task.max_candidates,
            on_progress=on_progress,
            threads=task.threads or usable_cores(),
            clock=clock,
        )
    drawn = conditions_on(str(teacher.device), task.precision, task.batch_size, compiled=task.compiled)
    return replace(content, conditions_json=drawn.to_json())


def second_of(task: ShardTask, recipe: Recipe) -> Generator | None:
    """Load the second generator of an edit that has one."""
    if recipe.edit.second is None:
        return None
    second = teacher_of(task.second, task.device, task.precision, compiled=task.compiled)
    check_weights(second, task.second, recipe.edit.second)
    return second


def search_of(
    second: Generator | None, recipe: Recipe, kept: KeptBatches | None, on_step: OnStep | None
) -> LatentSearch | None:
    """Make ready to look through the second generator, where the edit asks for it."""
    if second is None or recipe.edit.embedding is None:
        return None
    space = space_of(second, recipe.edit.embedding)
    return LatentSearch(space=space, kept=kept, on_step=on_step or (lambda step: None))


def mover_of(
    teacher: Generator, task: ShardTask, recipe: Recipe, on_step: OnStep | None
) -> RegionMover | None:
    """Make ready to move a part of a face, where the edit is about one."""
    if not isinstance(recipe.edit, RegionSwap):
        return None
    mover = cached_mover(teacher, recipe.edit, task.regions, task.shares)
    return replace(mover, on_step=on_step or (lambda step: None))


cached_mover = lru_cache(maxsize=1)(open_mover)
space_of = lru_cache(maxsize=1)(open_space)


def check_weights(generator: Generator, source: str, wanted: Teacher) -> None:
    """Raise DistillError where the weights here are not those that the recipe names."""
    if generator.sha256 != wanted.sha256:
        raise DistillError(
            f"{source} has sha256 {generator.sha256[:12]}… here, the recipe names {wanted.sha256[:12]}…;"
            " give every worker the same weights"
        )


def scorer_of(source: str, device: str, recipe: Recipe) -> AttributeScorer:
    """Open the scorer of a recipe. Raises DistillError where it is not the one that made the other shards."""
    if recipe.select is None:
        raise DistillError(f"the scorer {source!r} has nothing to do: the recipe selects no pairs")
    scorer, wanted = cached_scorer(source, recipe.select.scored, device), recipe.select.scorer_sha256
    if (found := scorer.sha256) != wanted:
        raise DistillError(
            f"the scorer {source!r} has sha256 {found[:12]}… here, the recipe names {wanted[:12]}…;"
            " give every worker the same file"
        )
    return scorer


cached_scorer = lru_cache(maxsize=1)(open_scorer)


@lru_cache(maxsize=2)
def teacher_of(source: str, device: str, precision: Format, *, compiled: bool = False) -> Generator:
    """Load a generator once per process; a data set has two at most."""
    if compiled:
        keep_compiled(cache_folder("compiled"))
    return load_generator(source, device=device, precision=precision, compiled=compiled)
