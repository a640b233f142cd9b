"""Read what is missing, here or on workers. The disk is the truth: the same call goes on where one stopped."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing
from typing import Any, Self

from distill.errors import Incomplete, Interrupted
from distill.evaluation.generator_metrics.parts import PartDone, PartTask, make_part
from distill.evaluation.generator_metrics.plan import MetricsRun
from distill.generation.attempt import Outcome, fatal_error
from distill.generation.dispatch import run_tasks
from distill.progress import Progress
from distill.timing import clock

TRIAL = 2  # batches that an estimate times, after one that opens everything

Count = Callable[[str, int], None]  # hears of rows that were read, and what they are


def read_missing(
    run: MetricsRun, *, stop: threading.Event, count: Count, note: Callable[[str], None]
) -> None:
    """Read every part that is not there.

    Raises Interrupted when `stop` was set, Incomplete when parts failed, DiskFull, and DistillError for an error
    that concerns every part. What is complete stays.
    """
    tasks, failed = run.tasks(), dict[str, str]()
    done = 0
    with closing(_outcomes(run, tasks, stop, count, note)) as coming:
        for outcome in coming:
            if outcome.error is None:
                done += 1
            elif outcome.fatal:
                raise fatal_error(outcome)
            else:
                failed[outcome.key] = outcome.error
                note(f"{outcome.key} failed: {outcome.error}")
                if outcome.trace and os.environ.get("DISTILL_DEBUG") == "1":
                    note(outcome.trace)
    if failed:
        key, reason = next(iter(failed.items()))
        raise Incomplete(
            f"{len(failed)} of {len(tasks)} parts failed, all others are done: {key}: {reason}; the same command"
            " tries them again"
        )
    if done < len(tasks):
        raise Interrupted(f"interrupted: {done} of {len(tasks)} parts were read; the same command resumes")


def _outcomes(
    run: MetricsRun, tasks: list[PartTask], stop: threading.Event, count: Count, note: Callable[[str], None]
) -> Generator[Outcome, None, None]:
    """Run the tasks, counting rows as they come: batch by batch in this process, else part by part."""

    def here(task: PartTask) -> PartDone:
        def after(rows: int) -> None:
            count(task.source.label, rows)
            if stop.is_set():
                raise Interrupted("stopped between two batches")

        return make_part(task, after=after)

    at_once = run.placement.cluster == "none"
    named = [(task.key, task) for task in tasks]
    for outcome in run_tasks(make_part, named, placement=run.placement, stop=stop, here=here, on_start=note):
        if outcome.value and not at_once:
            count(outcome.value.label, outcome.value.rows)
        yield outcome


class StageBars:
    """A bar for each kind of rows, one after the other, with the time that is left of it."""

    def __init__(self, run: MetricsRun, *, quiet: bool) -> None:
        tasks = run.tasks()
        self.quiet, self.bar, self.label = quiet, Progress(0, quiet=True), ""
        self.total = {wanted.source.label: wanted.rows for wanted in run.wanted}
        self.left = dict.fromkeys(self.total, 0)
        for task in tasks:
            self.left[task.source.label] += len(task.rows)

    def count(self, label: str, rows: int) -> None:
        """Move on; a late part of an earlier kind is not shown."""
        names = list(self.total)
        if label != self.label and (not self.label or names.index(label) > names.index(self.label)):
            self.close()
            self.label = label
            total = self.total[label]
            self.bar = Progress(
                total,
                noun=label.split()[0].removesuffix("s"),
                done=total - self.left[label],
                quiet=self.quiet,
                keep=False,
            )
            self.bar.beside(f"{label}, stage {names.index(label) + 1} of {len(names)}")
        if label == self.label:
            self.bar.advance(rows)

    def note(self, line: str) -> None:
        self.bar.note(line)

    def close(self) -> None:
        self.bar.bar.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *reason: object) -> None:
        self.close()


def plan_facts(run: MetricsRun) -> dict[str, Any]:
    """Say what would be done, and about how long it takes by a few batches of each kind."""
    tasks = run.tasks()
    rows = sum(wanted.rows for wanted in run.wanted)
    left = sum(len(task.rows) for task in tasks)
    kinds = [f"{wanted.rows:,} {wanted.source.label}" for wanted in run.wanted]
    readers = sorted({output.reader.name for wanted in run.wanted for output in wanted.outputs})
    return {
        "to_read": ", ".join(kinds),
        "there_already": f"{rows - left:,} of {rows:,}",
        "by": ", ".join(readers),
        "side": f"{run.generator.resolution} px",
        "notes": "; ".join(run.readers.notes) or "none",
        "workers": run.placement.describe(),
        "time": f"about {clock(estimate_seconds(run))}",
        "out": str(run.out),
    }


def estimate_seconds(run: MetricsRun) -> float:
    """Time a few batches of every kind here, and return about how long the rest takes on all workers."""
    seconds = 0.0
    tasks = run.tasks()
    for wanted in run.wanted:
        mine = [task for task in tasks if task.source == wanted.source]
        if not mine:
            continue
        seen = 0

        def after(rows: int) -> None:
            nonlocal seen
            seen += rows

        source, device = wanted.source, run.device if run.placement.here else "cpu"
        batch = source.settings.get("batch", 1)
        source.read(wanted.outputs, range(min(batch, wanted.rows)), device, after)
        began, seen = time.perf_counter(), 0
        source.read(wanted.outputs, range(min(TRIAL * batch, wanted.rows)), device, after)
        each = (time.perf_counter() - began) / max(seen, 1)
        seconds += each * sum(len(task.rows) for task in mine)
    return seconds / max(run.placement.workers, 1)
