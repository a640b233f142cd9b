"""A run of the main job: lock the folder, make the missing shards, close the data set.

The disk is the truth: a shard that is there and valid is never made again, so the same command resumes.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass

from distill.devices import Precision
from distill.errors import DistillError, Incomplete, Interrupted
from distill.generation.drawing import drawing_thread
from distill.generation.local import Leave, run_inline
from distill.generation.outcome import Outcome
from distill.generation.plan import Plan, check_folder, check_space, claim_folder
from distill.generation.recipe import Recipe
from distill.generation.worker import Made, ShardTask, make_shard
from distill.shards.card import write_card
from distill.shards.folder import (
    MANIFEST_FILE,
    RECIPE_FILE,
    ShardReport,
    read_report,
    shard_indices,
    shard_is_valid,
    sweep,
    write_manifest,
)
from distill.shards.lock import FolderLock
from distill.shards.place import made_folder


@dataclass(frozen=True, kw_only=True)
class Watch:
    """Whoever looks on is told: of more rows accepted and tried, of more seconds by stage, and in words."""

    count: Callable[[int, int], None] = lambda accepted, tried: None
    spent: Callable[[Mapping[str, float]], None] = lambda seconds: None
    note: Callable[[str], None] = lambda line: None


@dataclass(frozen=True, kw_only=True)
class Run:
    """How a plan is carried out: nothing here changes more than the roundings of the result."""

    source: str
    device: str = "cpu"
    direction: str = ""
    scorer: str = ""
    cluster: str = "none"
    workers: int = 1
    devices: tuple[str, ...] = ()
    precision: Precision = "fp32"
    batch_size: int = 16
    compiled: bool = False
    max_candidates: int | None = None
    threads: int = 1  # of each process


def run_job(plan: Plan, run: Run, *, stop: threading.Event, watch: Watch) -> list[ShardReport]:
    """Make what the plan lacks and write manifest and card; return the reports of all shards.

    Raises `Interrupted` when `stop` was set, `Incomplete` when shards failed, `DiskFull`, and `DistillError` for
    an error that concerns every shard. In each case what is complete stays, and the same call goes on from there.
    """
    check_space(plan)
    with made_folder(plan.folder), FolderLock(plan.folder, info={"n": plan.n}):
        check_folder(plan.folder, plan.recipe)  # again: another driver may have come first
        with claimed_folder(plan) as recipe:
            failed = make_missing(plan, recipe, run, stop=stop, watch=watch)
            if failed:
                raise Incomplete(failure_line(failed, plan))
            if stop.is_set():
                raise Interrupted(interrupted_line(plan))
            return close_data_set(plan, recipe)


@contextmanager
def claimed_folder(plan: Plan) -> Iterator[Recipe]:
    """Put the recipe into the folder, and what is left of earlier runs in order; leave no recipe without a shard."""
    recipe = claim_folder(plan)
    sweep(plan.folder)
    if plan.todo:
        (plan.folder / MANIFEST_FILE).unlink(missing_ok=True)
    try:
        yield recipe
    finally:
        if not shard_indices(plan.folder):
            (plan.folder / RECIPE_FILE).unlink(missing_ok=True)


def make_missing(
    plan: Plan, recipe: Recipe, run: Run, *, stop: threading.Event, watch: Watch
) -> dict[str, str]:
    """Run every missing shard; return key -> reason of those that failed."""
    failed: dict[str, str] = {}
    with closing(outcomes(plan, recipe, run, stop=stop, watch=watch)) as coming:
        for outcome in coming:
            if outcome.error is None:
                watch.spent(outcome.value.seconds if outcome.value else {})
                continue
            if outcome.trace and os.environ.get("DISTILL_DEBUG") == "1":
                watch.note(outcome.trace)
            if outcome.fatal:
                raise fatal_error(outcome)
            failed[outcome.key] = outcome.error
            watch.note(f"{outcome.key} failed: {outcome.error}")
    return failed


def outcomes(
    plan: Plan, recipe: Recipe, run: Run, *, stop: threading.Event, watch: Watch
) -> Generator[Outcome, None, None]:
    """Run the tasks here or on a cluster, counting rows as they come."""
    tasks = [(f"shard-{index:05d}", task_of(plan, recipe, run, index)) for index in plan.todo]
    if not tasks:
        return
    if run.cluster == "none":
        yield from run_inline(
            lambda task, leave: make_counted(task, leave, watch=watch),
            tasks,
            stop=stop,
            at_once=tasks_at_once(run, len(tasks)),
            interrupt=drawing_thread().interrupt,
        )
        return
    from distill.generation.cluster import run_on_cluster  # dask takes a second to import

    for outcome in run_on_cluster(
        make_shard,
        tasks,
        cluster=run.cluster,
        workers=run.workers,
        devices=run.devices,
        stop=stop,
        at_once=tasks_at_once(run, len(tasks)),
        on_start=None if run.cluster == "local" else watch.note,
    ):
        if outcome.value:
            watch.count(outcome.value.report.rows, outcome.value.report.tried)
        yield outcome


def tasks_at_once(run: Run, tasks: int) -> int:
    """How many tasks a process takes: two, where one can be written while the other is drawn.

    Not in CPU workers, whose cores are all at work. Local GPUs share out few tasks one by one, or the first to be
    ready would take those of the next. Workers elsewhere never take more than they have threads.
    """
    match run.cluster:
        case "none":
            beside = run.threads > 1
        case "local":
            beside = 0 < len(run.devices) < tasks
        case _:
            beside = True
    return 2 if beside else 1


def make_counted(task: ShardTask, leave: Leave, *, watch: Watch) -> Made:
    """Make a shard in this process, counting batch by batch and leaving between batches when told to."""
    seen = [0, 0]

    def on_progress(accepted: int, tried: int) -> None:
        watch.count(accepted - seen[0], tried - seen[1])
        seen[:] = accepted, tried
        if leave() and accepted < task.rows:
            raise Interrupted("stopped between two batches")

    return make_shard(task, on_progress=on_progress)


def task_of(plan: Plan, recipe: Recipe, run: Run, index: int) -> ShardTask:
    return ShardTask(
        recipe_json=recipe.to_json(),
        index=index,
        rows=plan.rows[index],
        folder=str(plan.folder.resolve()),
        source=run.source,
        device=run.device,
        direction=run.direction,
        scorer=run.scorer,
        precision=run.precision,
        batch_size=run.batch_size,
        compiled=run.compiled,
        max_candidates=run.max_candidates,
        threads=run.threads,
    )


def close_data_set(plan: Plan, recipe: Recipe) -> list[ShardReport]:
    """Write manifest and card once every shard is on disk."""
    reports: list[ShardReport] = []
    for index, rows in enumerate(plan.rows):
        report = read_report(plan.folder, index)
        if report is None or not shard_is_valid(plan.folder, index, digest=recipe.digest, rows=rows):
            raise Incomplete(
                f"{plan.folder}: shard {index} was made but is not to be seen here; all workers must write to this"
                " folder. Run the same command again"
            )
        reports.append(report)
    sweep(plan.folder)  # again: a worker of a driver that was killed may have lived on for a moment
    fields = recipe.model_dump(mode="json")
    write_card(plan.folder, recipe=fields, digest=recipe.digest, n=plan.n, reports=reports)
    write_manifest(plan.folder, recipe=fields, digest=recipe.digest, n=plan.n, reports=reports)
    return reports


def fatal_error(outcome: Outcome) -> DistillError:
    """Rebuild an error that ends the run, with its own exit code."""
    error = DistillError(outcome.error)
    error.exit_code = outcome.exit_code
    return error


def failure_line(failed: dict[str, str], plan: Plan) -> str:
    key, reason = next(iter(failed.items()))
    rest = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
    return (
        f"{len(failed)} of {len(plan.rows)} shards failed, all others are done: {key}{rest}: {reason};"
        " the same command tries them again"
    )


def interrupted_line(plan: Plan) -> str:
    done = sum(read_report(plan.folder, index) is not None for index in range(len(plan.rows)))
    return f"interrupted: {done} of {len(plan.rows)} shards are done; the same command resumes"
