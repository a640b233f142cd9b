"""Run a student's training as planned: data, step, and what happens on the way."""

from __future__ import annotations

import math
import os
import threading
from contextlib import closing
from typing import Any

import numpy as np
import torch

from distill.devices import DTYPES
from distill.metrics.features import load_features
from distill.networks.perceptual import load_perceptual
from distill.progress import Progress
from distill.training import processes
from distill.training.loop import Event, Run, open_run, train
from distill.training.pix2pix.advice import advice
from distill.training.pix2pix.data import GIB, TripletReader, Triplets
from distill.training.pix2pix.page import NAME as PAGE
from distill.training.pix2pix.page import Page
from distill.training.pix2pix.plan import StudentPlan
from distill.training.pix2pix.request import TrainPix2PixRequest
from distill.training.pix2pix.step import Pix2PixHDStep
from distill.training.pix2pix.watch import LAST, Jury, StudentWatcher, spread
from distill.training.position import RunPosition
from distill.training.sampler import Sampler

LEAST = 1000  # triplets


def run_plan(
    plan: StudentPlan, request: TrainPix2PixRequest, *, stop: threading.Event, quiet: bool = False
) -> dict[str, Any]:
    """Train; return where the run ended and its scores. Raises Interrupted when `stop` is set."""
    main = processes.rank() == 0
    memory = int(request.cache_gib * GIB) // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    with (
        closing(TripletReader(plan.dataset, memory=memory)) as reader,
        advice(
            plan.preset.batch,
            request.accumulate,
            norm=plan.architecture.norm,
            compiled=request.compiled,
        ),
    ):
        step = make_step(plan, request)
        watcher = make_watcher(plan, step, reader, request)
        run = make_run(plan, step, reader, watcher, request)
        place, note = open_run(run, resume=request.resume)
        with Progress(run.samples, noun="image", done=place.samples, quiet=quiet or not main) as progress:
            progress.note(opening_line(plan, place))
            if note:
                progress.note(f"{note}; going on from the checkpoint before")
            if main:
                progress.note(f"scoring the baselines on {len(watcher.jury.rows)} held-out {plan.noun}s")
                watcher.begin(place)
            processes.wait_for_all()
            end = train(run, place, stop=stop, progress=progress)
        if main:
            watcher.finish(end)
    return {
        "student": str(plan.out / LAST),
        "page": str(plan.out / PAGE),
        "kimg": end.samples / 1000,
        "scores": watcher.summary(),
    }


def make_step(plan: StudentPlan, request: TrainPix2PixRequest) -> Pix2PixHDStep:
    torch.backends.cudnn.benchmark = True  # all batches have one shape
    features = load_perceptual(plan.perceptual, vgg19_file=request.vgg19, device=plan.device)
    step = Pix2PixHDStep(
        plan.preset,
        plan.architecture,
        features,
        plan.schedule,
        seed=plan.seed,
        device=plan.device,
        half=DTYPES[plan.precision],
        accumulate=request.accumulate,
        lean=request.lean,
        compiled=request.compiled,
    )
    if plan.init is not None:
        step.begin_from(plan.init.network().state_dict())
    return step


def opening_line(plan: StudentPlan, place: RunPosition) -> str:
    *inputs, target = plan.dataset.roles
    going_on = f", from {place.samples / 1000:.1f} kimg on" if place.samples else ""
    return (
        f"{plan.name}: {' + '.join(inputs)} to {target} at {plan.dataset.resolution} px on {len(plan.train_on)}"
        f" {plan.noun}s ({len(plan.held_out)} held out) for {plan.schedule.samples / 1000:g} kimg by {plan.device} in"
        f" {plan.precision}, perceptual features {plan.perceptual}, into {plan.out}{going_on}"
    )


def make_run(
    plan: StudentPlan,
    step: Pix2PixHDStep,
    reader: TripletReader,
    watcher: StudentWatcher,
    request: TrainPix2PixRequest,
) -> Run[torch.Tensor]:
    epoch, batch = len(plan.train_on), plan.preset.batch
    data = Triplets(
        reader=reader,
        rows=plan.train_on,
        sampler=Sampler(np.ones(epoch), plan.seed),
        batch=batch,
        rank=processes.rank(),
        world=processes.world_size(),
        pinned=plan.device.startswith("cuda"),
    )

    def images(kimg: float | None, default: int) -> int:
        return max(round(1000 * kimg), 1) if kimg else default

    # An epoch of a small data set is over in a second, and pictures and files take as long.
    save = images(request.save_kimg, max(epoch, LEAST))
    score = [Event(every=epoch, act=watcher.score, when_stopped=False)] if len(plan.held_out) else []
    return Run(
        folder=plan.out,
        step=step,
        draw=data.draw,
        batch=batch,
        samples=plan.schedule.samples,
        settings=plan.settings(),
        seed=plan.seed,
        tick=images(request.tick_kimg, min(epoch, LEAST)),
        save=save,
        events=[
            *score,
            Event(every=save, act=watcher.save),
            Event(every=images(request.snapshot_kimg, max(min(epoch, 5 * LEAST), LEAST)), act=watcher.show),
        ],
        seconds=60 * request.minutes if request.minutes else math.inf,
    )


def make_watcher(
    plan: StudentPlan, step: Pix2PixHDStep, reader: TripletReader, request: TrainPix2PixRequest
) -> StudentWatcher:
    features = None
    if request.features != "none" and len(plan.held_out):
        features = load_features(request.features, device=plan.device)
    jury = Jury(
        rows=spread(plan.held_out, request.score_images),
        perceptual=step.features,
        features=features,
        batch=plan.preset.batch,
    )
    *inputs, target = plan.dataset.roles
    page = Page(title=f"{' + '.join(inputs)} → {target}", noun=plan.noun, facts=plan.facts())
    shown = plan.held_out if len(plan.held_out) else plan.train_on
    return StudentWatcher(plan.out, step, reader, jury, facts=plan.student_facts(), page=page, shown=shown)
