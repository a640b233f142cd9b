"""Run a training: settings, data, step, what happens on the way. The same for every trainer."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor

from distill.devices import resolve_device
from distill.files import atomic_write
from distill.progress import Progress, plural
from distill.training import processes
from distill.training.advice import advice, full_disk
from distill.training.boards import check_log
from distill.training.loop import Event, Run, train
from distill.training.page import NAME as PAGE
from distill.training.page import Page, write_page
from distill.training.position import RunPosition, kimg_text
from distill.training.request import TrainRequest
from distill.training.resume import check_place, open_run
from distill.training.trainer import Trainer, TrainingPlan, TrainingResult, TrainingStep, Watch

Note = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, eq=False)
class Training:
    """A training that can begin: everything fits and is open; nothing is written yet."""

    trainer: Trainer[Any, Any, Any]
    plan: TrainingPlan[Any, Any]
    step: TrainingStep

    def shared(self) -> dict[str, Any]:
        """What a resumed run must share, by name."""
        plan = self.plan
        return {
            **plan.settings.shared(),
            **plan.data.shared(),
            **self.step.shared(),
            "trainer": self.trainer.name,
            "seed": plan.seed,
            "precision": plan.precision,
        }

    def facts(self) -> dict[str, object]:
        """The plan in words and numbers."""
        plan = self.plan
        facts: dict[str, object] = {
            **({"data": str(plan.request.data)} if plan.request.data else {}),
            **plan.data.facts(),
            "preset": plan.preset,
            **{f"{name}_parameters": count for name, count in self.step.networks().items()},
            "kimg": plan.samples / 1000,
            "updates": -(-plan.samples // plan.settings.batch),
        }
        settings = plan.settings.model_dump(mode="json")
        for name, value in (settings | dict(self.step.shared())).items():
            facts.setdefault(name, _shown(value))
        return facts | {
            "seed": plan.seed,
            "device": plan.device,
            "precision": plan.precision,
            "out": str(plan.out),
        }  # fmt: skip


def _shown(value: object) -> object:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {inner}" for key, inner in value.items())
    return "-" if value is None else value


@contextmanager
def open_training(
    trainer: Trainer[Any, Any, Any], request: TrainRequest, *, device: str, note: Note = lambda line: None
) -> Iterator[Training]:
    """Make every choice, open the data and build the networks; write nothing. Raises DistillError for bad input.

    `note` hears of pictures that are left out.
    """
    check_place(request.out, trainer=trainer.name)
    name = trainer.preset(request)
    check_log(request.log)
    settings = trainer.settle(trainer.presets[name], request.changes)
    precision = trainer.precision(request, device)
    data = trainer.open_data(request, settings, device, note)
    with (
        closing(data),
        advice(trainer.less_memory(settings), compiled=bool(getattr(settings, "compiled", False))),
    ):
        plan = TrainingPlan(
            request=request,
            preset=name,
            settings=settings,
            data=data,
            device=device,
            precision=precision,
            samples=trainer.samples(settings, data.rows),
        )
        torch.backends.cudnn.benchmark = True  # all batches have one shape
        yield Training(trainer=trainer, plan=plan, step=trainer.make_step(plan))


def run_training(
    trainer: Trainer[Any, Any, Any],
    request: TrainRequest,
    *,
    device: str = "auto",
    stop: threading.Event | None = None,
    quiet: bool = False,
) -> TrainingResult:
    """Train as asked; return where the weights are and how good. Checkpoints make the same call with resume go on.

    Raises DistillError for bad input, Interrupted when `stop` is set, Diverged, and DiskFull.
    """
    main = processes.rank() == 0
    with (
        full_disk(trainer.name, request.out),
        open_training(
            trainer, request, device=resolve_device(device), note=_printed(quiet or not main)
        ) as training,
    ):
        events = RunEvents(training)
        run = make_run(training, events)
        position, note = open_run(run, resume=request.resume)
        with Progress(run.samples, noun="image", done=position.samples, quiet=quiet or not main) as progress:
            progress.note(opening_line(training, position))
            if events.watch.caution:
                progress.note(events.watch.caution)
            if note:
                progress.note(f"{note}; going on from the checkpoint before")
            if main:
                events.begin(position)
            processes.wait_for_all()
            end = train(run, position, stop=stop or threading.Event(), progress=progress)
        if main:
            events.write_page(end, running=False)
        result = events.watch.result()
    return replace(result, page=request.out / PAGE, kimg=end.samples / 1000, planned_kimg=run.samples / 1000)


def _printed(quiet: bool) -> Note:
    progress = Progress(0, quiet=quiet)
    return progress.note


def opening_line(training: Training, position: RunPosition) -> str:
    plan = training.plan
    going_on = f", from {kimg_text(position.samples)} kimg on" if position.samples else ""
    rows = plural(plan.data.rows, training.trainer.noun(plan))
    told = ", ".join([training.trainer.title(plan), rows, *training.trainer.opening(plan, training.step)])
    how = f"for {kimg_text(plan.samples)} kimg by {plan.device} in {plan.precision}"
    return f"{plan.preset}: {told}, {how} into {plan.out}{going_on}"


def make_run(training: Training, events: RunEvents) -> Run[Any]:
    plan, request = training.plan, training.plan.request
    default = training.trainer.cadence(plan.settings, plan.data.rows)

    def every(kimg: float | None, samples: int) -> int:
        return max(round(1000 * kimg), 1) if kimg else samples

    save = every(request.save_kimg, default.save)
    return Run(
        folder=plan.out,
        step=training.step,
        draw=pinned(plan.data.draw) if plan.device.startswith("cuda") else plan.data.draw,
        batch=plan.settings.batch,
        samples=plan.samples,
        settings=training.shared(),
        seed=plan.seed,
        tick=every(request.tick_kimg, default.tick),
        save=save,
        events=[
            Event(every=every(request.score_kimg, default.score), act=events.score, when_stopped=False),
            Event(every=save, act=events.save),
            Event(every=every(request.snapshot_kimg, default.show), act=events.show),
        ],
        seconds=60 * request.minutes if request.minutes else math.inf,
        log=request.log,
    )


def pinned(draw: Callable[[RunPosition], Any]) -> Callable[[RunPosition], Any]:
    """Draw batches into memory that a GPU copies from while it computes."""

    def pin(batch: Any) -> Any:
        if isinstance(batch, Tensor):
            return batch.pin_memory()
        if isinstance(batch, tuple):
            return tuple(map(pin, batch))
        if is_dataclass(batch) and not isinstance(batch, type):
            return replace(batch, **{part.name: pin(getattr(batch, part.name)) for part in fields(batch)})
        return batch

    return lambda position: pin(draw(position))


class RunEvents:
    """What happens on the way, around the model's own `Watch`: scores, weights, pictures and the page."""

    def __init__(self, training: Training) -> None:
        self.training, self.out = training, training.plan.out
        self.watch: Watch = training.trainer.make_watch(training.plan, training.step)
        trainer, plan = training.trainer, training.plan
        self.page = Page(
            title=trainer.title(plan),
            facts=training.facts(),
            legend=self.watch.legend,
            caution=self.watch.caution,
        )

    def begin(self, position: RunPosition) -> None:
        self.watch.begin(position)
        self.page = replace(self.page, reals=self.watch.reals)
        self.write_page(position, running=True)

    def score(self, position: RunPosition) -> Mapping[str, float]:
        return self.watch.score(position)

    def save(self, position: RunPosition) -> None:
        self.watch.save(position)

    def show(self, position: RunPosition) -> None:
        name = f"samples-{position.samples:09d}.png"
        self.watch.keep(position)
        atomic_write(self.out / name, self.watch.picture(position))
        self.page = replace(self.page, picture=name)
        self.write_page(position, running=True)

    def write_page(self, position: RunPosition, *, running: bool) -> None:
        write_page(self.out, self.page, self.watch.table(), running=running)
