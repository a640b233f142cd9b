"""A run of the main job: plan, lock the folder, make the missing shards, close the data set.

The disk is the truth: a shard that is there and valid is never made again, so the same command resumes.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Self

from distill.devices import resolve_device
from distill.errors import DistillError, Incomplete, Interrupted
from distill.files import made_folder
from distill.generation.advice import Tally, few_accepted
from distill.generation.attempt import Outcome, fatal_error
from distill.generation.conditions import Conditions, choose_conditions, difference_note, read_conditions
from distill.generation.dispatch import run_tasks
from distill.generation.embed import sweep_kept
from distill.generation.pipeline import CANDIDATES_PER_ROW
from distill.generation.placement import Placement, place_on_devices, with_access
from distill.generation.plan import SEEN_S, ShardPlan, check_space, claim_folder, plan_job, reports_of
from distill.generation.request import GenerateRequest, RecipeFiles, folder_of, recipe_of
from distill.generation.worker import Made, ShardTask, make_shard
from distill.lock import FolderLock
from distill.progress import Progress
from distill.shards.card import write_card
from distill.shards.folder import (
    CONDITIONS_FILE,
    GOAL_FILE,
    MANIFEST_FILE,
    RECIPE_FILE,
    ShardReport,
    read_report,
    shard_indices,
    sweep,
    write_goal,
    write_manifest,
)
from distill.shards.inspect.look import renew_look
from distill.timing import StageClock


@dataclass(frozen=True, kw_only=True)
class RunCallbacks:
    """Callbacks for progress: candidates since the last call, steps of a search, seconds by stage, notes."""

    count: Callable[[Tally], None] = lambda tally: None
    step: Callable[[int, int], None] = lambda step, most: None
    spent: Callable[[Mapping[str, float]], None] = lambda seconds: None
    note: Callable[[str], None] = lambda line: None

    @classmethod
    def shown(cls, progress: Progress, clock: StageClock | None = None) -> Self:
        """Show accepted rows, what became of the candidates so far, and notes; time goes to the clock."""
        so_far = Tally()

        def count(now: Tally) -> None:
            nonlocal so_far
            so_far += now
            progress.beside(so_far.text())
            progress.advance(now.accepted)

        def step(done: int, most: int) -> None:
            judged = f"{so_far.text()}, " if so_far.tried else ""
            progress.beside(f"{judged}step {done} of at most {most}")
            progress.advance(0)

        return cls(count=count, step=step, spent=(clock or StageClock()).add, note=progress.note)


@dataclass(frozen=True, kw_only=True)
class GenerationRun:
    """A request that has been checked: what is to be made, where, under which conditions, and by whom."""

    plan: ShardPlan
    files: RecipeFiles
    placement: Placement
    conditions: Conditions
    begun: Conditions | None = None  # under which the data set was begun
    note: str = ""  # what a user should know before it starts
    max_candidates: int | None = None


def prepare(request: GenerateRequest) -> GenerationRun:
    """Check a request against teacher, folder and devices; write nothing. Raises DistillError for bad input."""
    recipe, files = recipe_of(request)
    plan = plan_job(recipe, request.n, folder_of(request, recipe), request.shards)
    check_cap(request.max_candidates, plan)
    placement = place_on_devices(
        cluster=request.cluster,
        workers=request.workers,
        device=request.device,
        tasks=len(plan.todo),
        jobs=request.jobs,
    )
    placement = with_access(placement, tls=request.tls, dashboard=request.dashboard)
    there = read_conditions(plan.folder) if plan.begun else None
    conditions = choose_conditions(
        request.conditions,
        there,
        device=resolve_device("auto") if placement.device == "auto" else placement.device,
        resolution=recipe.largest_drawn,
        searches=recipe.edit.search is not None,
        elsewhere=not placement.here,
    )
    return GenerationRun(
        plan=plan,
        files=files,
        placement=placement,
        conditions=conditions,
        begun=there,
        note=difference_note(there, conditions),
        max_candidates=request.max_candidates,
    )


def check_cap(max_candidates: int | None, plan: ShardPlan) -> None:
    """Refuse a cap that no shard could be filled under."""
    if max_candidates is not None and max_candidates < (rows := max(plan.rows)):
        raise DistillError(
            f"--max-candidates {max_candidates} is fewer than the {rows} rows of a shard: give at least as many,"
            " or a smaller --shard-size"
        )


def run_job(
    run: GenerationRun, *, stop: threading.Event | None = None, callbacks: RunCallbacks | None = None
) -> list[ShardReport]:
    """Make what the plan lacks and write manifest and card; return the reports of all shards.

    Of a part that leaves shards to other places there is neither.

    Raises `Interrupted` when `stop` was set, `Incomplete` when shards failed, `DiskFull`, and `DistillError` for
    an error that concerns every shard. In each case what is complete stays, and the same call goes on from there.
    """
    plan, stop, callbacks = run.plan, stop or threading.Event(), callbacks or RunCallbacks()
    check_space(plan)
    with made_folder(plan.folder), FolderLock(plan.folder, info={"n": plan.n}), claimed_folder(run):
        failed = make_missing(run, stop=stop, callbacks=callbacks)
        if failed:
            raise Incomplete(failure_line(failed, plan))
        if stop.is_set():
            raise Interrupted(interrupted_line(plan))
        reports = reports_of(plan, 0 if run.placement.here else SEEN_S)
        if plan.is_part:
            return reports
        close_data_set(plan, reports)
        if plan.todo:
            renew_look(plan.folder)
        return reports


@contextmanager
def claimed_folder(run: GenerationRun) -> Iterator[None]:
    """Put the recipe into the folder, and what is left of earlier runs in order; leave no recipe without a shard."""
    folder = run.plan.folder
    claim_folder(run.plan, run.begun or run.conditions)
    sweep(folder)
    sweep_kept(folder, run.plan.done)
    if run.plan.todo:
        write_goal(folder, run.plan.n)
        (folder / MANIFEST_FILE).unlink(missing_ok=True)
    try:
        yield
    finally:
        if folder.is_dir() and not shard_indices(folder):
            (folder / RECIPE_FILE).unlink(missing_ok=True)
            (folder / CONDITIONS_FILE).unlink(missing_ok=True)
            (folder / GOAL_FILE).unlink(missing_ok=True)


def make_missing(run: GenerationRun, *, stop: threading.Event, callbacks: RunCallbacks) -> dict[str, str]:
    """Run every missing shard; return key -> reason of those that failed."""
    failed: dict[str, str] = {}
    with closing(outcomes(run, stop=stop, callbacks=callbacks)) as coming:
        for outcome in coming:
            if outcome.error is None:
                callbacks.spent(outcome.value.seconds if outcome.value else {})
                continue
            if outcome.trace and os.environ.get("DISTILL_DEBUG") == "1":
                callbacks.note(outcome.trace)
            if outcome.fatal:
                raise fatal_error(outcome)
            failed[outcome.key] = outcome.error
            callbacks.note(f"{outcome.key} failed: {outcome.error}")
    return failed


def outcomes(
    run: GenerationRun, *, stop: threading.Event, callbacks: RunCallbacks
) -> Generator[Outcome, None, None]:
    """Run the tasks here or on a cluster, counting rows as they come."""
    tasks = [(f"shard-{index:05d}", task_of(run, index)) for index in run.plan.todo]
    at_once = run.placement.cluster == "none"  # then rows are counted batch by batch
    for outcome in run_tasks(
        make_shard,
        tasks,
        placement=run.placement,
        stop=stop,
        here=lambda task: make_counted(run, task, stop=stop, callbacks=callbacks),
        on_start=callbacks.note,
    ):
        if outcome.value and not at_once:
            report = outcome.value.report
            callbacks.count(Tally(accepted=report.rows, tried=report.tried, dropped=Counter(report.dropped)))
        yield outcome


def make_counted(
    run: GenerationRun, task: ShardTask, *, stop: threading.Event, callbacks: RunCallbacks
) -> Made:
    """Make a shard in this process, counting batch by batch and leaving between batches when told to."""
    seen, search = Tally(), run.plan.recipe.edit.search

    def on_progress(tally: Tally) -> None:
        nonlocal seen
        callbacks.count(tally - seen)
        seen = tally
        if stop.is_set() and tally.accepted < task.rows:
            raise Interrupted("stopped between two batches")

    def on_step(step: int) -> None:
        callbacks.step(step, search.steps if search else 0)
        if stop.is_set():
            raise Interrupted("stopped between two steps of a search")

    try:
        return make_shard(task, on_progress=on_progress, on_step=on_step)
    except Interrupted:
        if seen.accepted * CANDIDATES_PER_ROW < seen.tried:  # it would be given up
            callbacks.note(few_accepted(seen, task.index, run.plan.recipe))
        raise


def task_of(run: GenerationRun, index: int) -> ShardTask:
    return ShardTask(
        recipe_json=run.plan.recipe.to_json(),
        index=index,
        rows=run.plan.rows[index],
        folder=str(run.plan.folder.resolve()),
        source=run.files.generator,
        device=run.placement.device,
        second=run.files.second,
        directions=run.files.directions,
        scorer=run.files.scorer,
        regions=run.files.regions,
        shares=run.files.shares,
        precision=run.conditions.precision,
        batch_size=run.conditions.batch_size,
        compiled=run.conditions.compiled,
        max_candidates=run.max_candidates,
        threads=run.placement.threads,
    )


def close_data_set(plan: ShardPlan, reports: Sequence[ShardReport]) -> None:
    """Write manifest and card of shards that are all on disk."""
    recipe = plan.recipe
    sweep(plan.folder)  # again: a worker of a driver that was killed may have lived on for a moment
    sweep_kept(plan.folder)
    fields = recipe.model_dump(mode="json")
    write_card(plan.folder, recipe=fields, digest=recipe.digest, n=plan.n, reports=reports)
    write_manifest(plan.folder, recipe=fields, digest=recipe.digest, n=plan.n, reports=reports)


def failure_line(failed: dict[str, str], plan: ShardPlan) -> str:
    key, reason = next(iter(failed.items()))
    rest = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
    return (
        f"{len(failed)} of {len(plan.rows)} shards failed, all others are done: {key}{rest}: {reason};"
        " the same command tries them again"
    )


def interrupted_line(plan: ShardPlan) -> str:
    done = sum(read_report(plan.folder, index) is not None for index in range(len(plan.rows)))
    return f"interrupted: {done} of {len(plan.rows)} shards are done; the same command resumes"
