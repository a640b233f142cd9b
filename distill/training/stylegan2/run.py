"""Train a teacher as planned: data, step, and what happens on the way."""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
import torch

from distill import __version__
from distill.devices import DTYPES
from distill.metrics.features import Features, load_features
from distill.metrics.frechet import Moments, frechet_distance, moments, score_name
from distill.networks.efficientnet_lite import NAME as LITE0
from distill.progress import Progress
from distill.training import processes
from distill.training.loop import Event, Run, open_run, train
from distill.training.pictures import Pictures, grid, save_png
from distill.training.position import RunPosition
from distill.training.sampler import Sampler
from distill.training.stylegan2.export import as_images, pictures, save_generator, set_centre
from distill.training.stylegan2.plan import TeacherPlan
from distill.training.stylegan2.request import TrainStyleGAN2Request
from distill.training.stylegan2.step import StyleGAN2Step
from distill.training.stylegan2.transfer import begin_from

GRID = 8  # pictures a side
GRID_PSI = 0.7


def run_plan(
    plan: TeacherPlan, request: TrainStyleGAN2Request, *, stop: threading.Event, quiet: bool = False
) -> dict[str, Any]:
    """Train; return where the run ended and its latest scores. Raises Interrupted when `stop` is set."""
    step = make_step(plan)
    watcher = TeacherWatcher(plan, step, request)
    run = make_run(plan, step, watcher, request)
    place, note = open_run(run, resume=request.resume)
    main = processes.rank() == 0
    if main:
        watcher.begin()
    processes.wait_for_all()
    with Progress(run.samples, noun="image", done=place.samples, quiet=quiet or not main) as progress:
        progress.note(opening_line(plan, place))
        if watcher.flattered:
            progress.note(
                "the critic and the score see the same features, so the score flatters: trust the pictures more"
            )
        if note:
            progress.note(f"{note}; going on from the checkpoint before")
        end = train(run, place, stop=stop, progress=progress)
    return {"generator": str(watcher.generator_path), "kimg": end.samples / 1000, **watcher.scores}


def make_step(plan: TeacherPlan) -> StyleGAN2Step:
    half = DTYPES[plan.precision]
    step = StyleGAN2Step(plan.preset, plan.resolution, seed=plan.seed, device=plan.device, half=half)
    if plan.start is not None:
        begin_from(step, plan.start)
    return step


def opening_line(plan: TeacherPlan, place: RunPosition) -> str:
    going_on = f", from {place.samples / 1000:.1f} kimg on" if place.samples else ""
    return (
        f"{plan.name} at {plan.resolution} px on {len(plan.train_on)} images ({len(plan.held_out)} held out)"
        f" for {plan.samples / 1000:g} kimg by {plan.device} in {plan.precision} into {plan.out}{going_on}"
    )


def make_run(
    plan: TeacherPlan, step: StyleGAN2Step, watcher: TeacherWatcher, request: TrainStyleGAN2Request
) -> Run[Any]:
    sampler = Sampler(plan.images.weights[plan.train_on], plan.seed, plan.mirror)
    data = Pictures(
        plan.images, plan.train_on, sampler, plan.preset.batch, processes.rank(), processes.world_size()
    )
    tick = round(1000 * (request.tick_kimg or 1))
    snapshot = round(1000 * (request.snapshot_kimg or 10))
    events = (
        [Event(every=round(1000 * (request.score_kimg or 50)), act=watcher.score)] if watcher.scored else []
    )
    return Run(
        folder=plan.out,
        step=step,
        draw=data.draw,
        batch=plan.preset.batch,
        samples=plan.samples,
        settings=plan.settings(),
        seed=plan.seed,
        tick=max(tick, 1),
        save=max(snapshot, 1),
        events=[*events, Event(every=max(snapshot, 1), act=watcher.show)],
        seconds=60 * request.minutes if request.minutes else math.inf,
    )


class TeacherWatcher:
    """Looks at the averaged generator on the way: grids, scores, and the generator file."""

    def __init__(self, plan: TeacherPlan, step: StyleGAN2Step, request: TrainStyleGAN2Request) -> None:
        self.plan, self.network, self.request = plan, step.average, request
        self.scored = request.features != "none" and len(plan.held_out) > 1
        self.generator_path = plan.out / "generator.safetensors"
        self.scores: dict[str, float] = {}
        self._features: Features | None = None
        self._real: Moments | None = None
        if self.scored:
            self._features = load_features(request.features, device=plan.device)

    @property
    def flattered(self) -> bool:
        """Tell whether the score is taken with the features that the critic judges by."""
        return self.plan.preset.critic == "projected" and (
            self._features is not None and self._features.name == LITE0
        )

    def begin(self) -> None:
        """Write the first real images as a grid."""
        numbers = self.plan.train_on[: GRID * GRID]
        save_png(self.plan.out / "reals.png", grid(self.plan.images.read(numbers), GRID))

    def show(self, place: RunPosition) -> None:
        """Write a grid of pictures at psi 0.7 and the generator with its facts."""
        set_centre(self.network)
        drawn = as_images(pictures(self.network, GRID * GRID, seed=self.plan.seed, psi=GRID_PSI))
        save_png(self.plan.out / f"fakes{place.samples // 1000:06d}.png", grid(drawn, GRID))
        save_generator(self.generator_path, self.network, self._facts(place), half=self.request.float16)

    def score(self, place: RunPosition) -> dict[str, float]:
        """Take the Fréchet distance between drawn (psi 1) and held-out images."""
        features = self._features
        if features is None:
            return {}
        if self._real is None:
            parts = np.array_split(self.plan.held_out, -(-len(self.plan.held_out) // 32))
            self._real = moments(features.of(torch.from_numpy(self.plan.images.read(part)) for part in parts))
        drawn = pictures(self.network, self.request.score_images, seed=self.plan.seed + 1)
        value = frechet_distance(self._real, moments(features.of(drawn)))
        self.scores = {score_name(features.name): value}
        return self.scores

    def _facts(self, place: RunPosition) -> dict[str, Any]:
        plan = self.plan
        score: dict[str, Any] = {name: round(value, 3) for name, value in self.scores.items()}
        if score:
            score["score_counts"] = f"{self.request.score_images} drawn, {len(plan.held_out)} held out"
        kept = ("critic", "lr", "batch", "noise", "gamma")
        chosen = {name: getattr(plan.preset, name) for name in kept}
        return {
            "kimg": place.samples / 1000,
            "preset": plan.name,
            "data": plan.data,
            "data_digest": plan.images.digest,
            "training_images": len(plan.train_on),
            "mirror": plan.mirror,
            "seed": plan.seed,
            "precision": plan.precision,
            "distill": __version__,
            **({"init": plan.start.name, "init_sha256": plan.start.sha256} if plan.start else {}),
            **chosen,
            **score,
        }
