"""The one training loop: it draws batches, calls the step, counts, logs, saves and stops. It knows no model."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor

from distill.errors import DistillError, Interrupted
from distill.progress import Progress
from distill.training import processes
from distill.training.boards import open_boards
from distill.training.checkpoint import INDEX, save_checkpoint
from distill.training.position import RunPosition, kimg_text
from distill.training.stats import LossMeans, StatsFile

Batch = TypeVar("Batch", contravariant=True)
Drawn = TypeVar("Drawn")
ASK_EVERY = 8  # updates between two agreements of several processes on whether to stop


class Step(Protocol[Batch]):
    """What a model brings: an update, and everything that the next update depends on."""

    def update(self, batch: Batch, position: RunPosition) -> Mapping[str, Tensor | float]: ...
    def state(self) -> dict[str, Any]: ...
    def load_state(self, state: Mapping[str, Any]) -> None: ...


class Diverged(DistillError):
    """Losses that are not finite. Exit code 1."""

    exit_code = 1


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that the main process does every `every` images, and at the end; it may return numbers.

    `when_stopped` False leaves it out where a user or a batch system waits for the run to end.
    """

    every: int
    act: Callable[[RunPosition], Mapping[str, float] | None]
    when_stopped: bool = True


@dataclass(frozen=True, kw_only=True)
class Run(Generic[Drawn]):
    """What to train and how long. `batch` counts the images of one update over all processes."""

    folder: Path
    step: Step[Drawn]
    draw: Callable[[RunPosition], Drawn]  # this process's part of the batch at a position; pure
    batch: int
    samples: int  # until this many images were seen
    settings: Mapping[str, Any]  # plain values that a resumed run must share
    seed: int = 0
    tick: int = 1000  # images between two lines of stats
    save: int = 10_000  # images between two checkpoints
    events: Sequence[Event] = ()
    seconds: float = math.inf  # stop after this long, as if asked to
    log: str | None = None  # beside stats.jsonl, see `boards`


class _Lap:
    """Time and images since the last line of stats."""

    def __init__(self, samples: int) -> None:
        self.started = self.last = time.monotonic()
        self.samples = samples

    def take(self, samples: int) -> dict[str, float]:
        now = time.monotonic()
        lap, images = max(now - self.last, 1e-9), samples - self.samples
        self.last, self.samples = now, samples
        return {"seconds": round(lap, 3), "images_per_second": round(images / lap, 2)}


def train(
    run: Run[Drawn], position: RunPosition, *, stop: threading.Event, progress: Progress
) -> RunPosition:
    """Train from `position` until `run.samples` images were seen; save, and return where the run ended.

    Raises Interrupted when `stop` is set, after saving, and Diverged for losses that are not finite, without.
    """
    means, lap = LossMeans(), _Lap(position.samples)
    stats = _open_stats(run, position, progress) if processes.rank() == 0 else None
    with ThreadPoolExecutor(1) as ahead, closing(stats) if stats else nullcontext():
        batch: Future[Drawn] = ahead.submit(run.draw, position)
        while position.samples < run.samples:
            ready, after = batch.result(), position.next(run.batch)
            batch = ahead.submit(run.draw, after)
            means.add(run.step.update(ready, position))
            position = after
            progress.advance(run.batch)
            out_of_time = time.monotonic() - lap.started > run.seconds
            stopping = _agree(stop.is_set() or out_of_time, position)
            done = stopping or position.samples >= run.samples
            hurry = stopping and stop.is_set()  # agreed on: else one process would wait for others at a score
            _after_update(run, position, means, stats, lap, progress, done=done, hurry=hurry)
            if stopping:
                break
    if stop.is_set() and position.samples < run.samples:
        raise Interrupted(
            f"stopped at {kimg_text(position.samples)} kimg; the same command with --resume goes on from there"
        )
    return position


def _open_stats(run: Run[Drawn], position: RunPosition, progress: Progress) -> StatsFile:
    boards, note = open_boards(run.folder, samples=position.samples, log=run.log, settings=run.settings)
    stats = StatsFile(run.folder, samples=position.samples, boards=boards)
    for line in (note, stats.note):
        if line:
            progress.note(line)
    return stats


def latest(values: Mapping[str, float]) -> str:
    """The numbers of a run that are shown beside its progress."""
    names = (
        "loss_g",
        "loss_d",
        "ada_p",
        "l1",
        *(name for name in values if name.startswith(("frechet", "kernel"))),
    )
    return " ".join(f"{name} {values[name]:.3g}" for name in names if name in values)


def _after_update(
    run: Run[Drawn],
    position: RunPosition,
    means: LossMeans,
    stats: StatsFile | None,
    lap: _Lap,
    progress: Progress,
    *,
    done: bool,
    hurry: bool,
) -> None:
    """Log, act and save where it is time to."""
    before = position.samples - run.batch
    events = [
        event
        for event in run.events
        if (passed(before, position.samples, event.every) or done) and (event.when_stopped or not hurry)
    ]
    save = passed(before, position.samples, run.save) or done
    if not (done or events or save or passed(before, position.samples, run.tick)):
        return
    values = means.take()
    _check_finite(values, position, run.folder)
    if stats is not None:
        values |= lap.take(position.samples)
        for event in events:
            values |= event.act(position) or {}
        stats.write(position.samples, values)
        progress.beside(latest(values))
        if save:
            _save(run, position)
    if save or events:
        processes.wait_for_all()


def passed(before: int, after: int, every: int) -> bool:
    """Tell whether a multiple of `every` lies in (before, after]."""
    return after // every > before // every


def _agree(wish: bool, position: RunPosition) -> bool:
    """Stop all processes at the same update."""
    if processes.world_size() == 1:
        return wish
    if position.updates % ASK_EVERY:
        return False
    device = "cuda" if torch.cuda.is_available() and torch.distributed.get_backend() == "nccl" else "cpu"
    return bool(processes.sum_over_processes(torch.tensor([float(wish)], device=device)).item() > 0)


def _check_finite(values: Mapping[str, float], position: RunPosition, folder: Path) -> None:
    bad = [name for name, value in values.items() if not math.isfinite(value)]
    if bad:
        kept = (folder / INDEX).is_file()
        go_on = (
            f"go on from the last checkpoint in {folder}"
            if kept
            else "there is no checkpoint yet: start again"
        )
        raise Diverged(
            f"training diverged before {kimg_text(position.samples)} kimg ({', '.join(bad)} not finite); {go_on},"
            " with a smaller learning rate (StyleGAN2: or larger gamma)"
        )


def _save(run: Run[Drawn], position: RunPosition) -> None:
    content = {
        "settings": dict(run.settings),
        "position": {"seed": position.seed, "updates": position.updates, "samples": position.samples},
        "step": run.step.state(),
    }
    save_checkpoint(run.folder, content, samples=position.samples)
