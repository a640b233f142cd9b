"""How long a run would take, by a few candidates that are drawn and judged here as a worker would."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, replace

from distill.errors import TooStrict
from distill.generation.advice import Tally
from distill.generation.edits.base import Search
from distill.generation.job import GenerationRun, task_of
from distill.generation.worker import draw_shard
from distill.shards.layout import MAX_ROWS
from distill.timing import StageClock, clock

CPU_BATCH = 4  # candidates: few, so that a slow machine answers soon
LEAST, MOST = 1, 4  # batches under the clock, after a first one that loads models
SECONDS = 2.0  # under the clock that are enough
WARM_UP_STEPS, PROBE_STEPS = 3, 10  # of a search, before the clock and under it
PROBE_BATCHES = 16  # at most, to reach PROBE_STEPS
ASSUMED = (
    0.5  # share of candidates that is accepted, where none were tried (0.4 in the report behind this project)
)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """About how many seconds are left (None: not known), and how that was found, or why it is not known."""

    seconds: float | None
    how: str

    def text(self) -> str:
        known = "not known" if self.seconds is None else f"about {clock(self.seconds)}"
        return f"{known}: {self.how}"


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Candidates that were tried under the clock."""

    accepted: int
    tried: int
    seconds: float


class _Enough(Exception):
    """Ends a trial: nothing is wrong."""


def estimate(run: GenerationRun) -> Estimate:
    """Tell about how long the rows that are not there yet take; nothing is written."""
    plan, placement = run.plan, run.placement
    if not plan.todo:
        return Estimate(seconds=0.0, how="nothing is left to draw")
    if not placement.here:
        return Estimate(seconds=None, how=f"that depends on {placement.describe()}")
    if run.conditions.compiled:
        return Estimate(seconds=None, how="compiling comes first, which takes minutes")
    if search := plan.recipe.edit.search:
        return estimate_search(run, search)
    trial = try_some(run)
    if not trial.accepted:
        return Estimate(seconds=None, how=f"none of the first {trial.tried} candidates was accepted")
    seconds = (plan.n - plan.rows_done) * trial.seconds / trial.accepted / max(placement.workers, 1)
    return Estimate(
        seconds=round(seconds, 1), how=f"{trial.accepted} of {trial.tried} candidates tried now were accepted"
    )


def estimate_search(run: GenerationRun, search: Search) -> Estimate:
    """Tell how long a search takes at most, by a few steps of a batch."""
    plan = run.plan
    task = task_of(run, plan.todo[0])
    task = replace(task, rows=MAX_ROWS, max_candidates=PROBE_BATCHES * task.batch_size)
    at: list[float] = []  # time after each step

    def on_step(step: int) -> None:
        at.append(time.perf_counter())
        if len(at) > WARM_UP_STEPS + PROBE_STEPS:
            raise _Enough

    with suppress(_Enough, TooStrict):
        draw_shard(task, plan.recipe, clock=StageClock(), on_step=on_step)
    steps = len(at) - 1 - WARM_UP_STEPS
    if steps < 1:
        return Estimate(seconds=None, how=f"none of the first {task.max_candidates} candidates could be used")
    each = (at[-1] - at[WARM_UP_STEPS]) / steps * search.steps / task.batch_size
    tried, rows = (sum(getattr(report, key) for report in plan.done.values()) for key in ("tried", "rows"))
    share, known = (rows / tried, "were accepted so far") if tried else (ASSUMED, "are taken to be accepted")
    seconds = (plan.n - plan.rows_done) / share * each / max(run.placement.workers, 1)
    return Estimate(
        seconds=round(seconds, 1),
        how=f"at most {each:.1f} s a candidate, by {steps} steps tried now; {share:.0%} of them {known}",
    )


def try_some(run: GenerationRun) -> Trial:
    """Draw and judge a few batches of the first shard that is missing."""
    task = task_of(run, run.plan.todo[0])
    size = task.batch_size if task.device.startswith("cuda") else min(task.batch_size, CPU_BATCH)
    at: list[tuple[float, int, int]] = []  # time, accepted and tried after each batch

    def on_progress(tally: Tally) -> None:
        at.append((time.perf_counter(), tally.accepted, tally.tried))
        batches, spent = len(at) - 1, at[-1][0] - at[0][0]
        if batches >= MOST or (batches >= LEAST and spent > SECONDS):
            raise _Enough

    task = replace(task, rows=MAX_ROWS, batch_size=size, max_candidates=None)
    with suppress(_Enough):
        draw_shard(task, run.plan.recipe, clock=StageClock(), on_progress=on_progress)
    (began, accepted, tried), last = at[0], at[-1]
    return Trial(accepted=last[1] - accepted, tried=last[2] - tried, seconds=last[0] - began)
