"""Put a StyleGAN2 run together from a user's options: choices, data, step, and what happens on the way."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from distill import __version__
from distill.cli.signals import stop_on_signals
from distill.devices import DTYPES, Format, resolve_training_precision
from distill.errors import DistillError
from distill.metrics.features import Features, load_features
from distill.metrics.frechet import Moments, frechet_distance, moments, score_name
from distill.networks.efficientnet_lite import NAME as LITE0
from distill.progress import Progress
from distill.stylegan2.discriminator import Discriminator
from distill.stylegan2.networks import GeneratorNetwork
from distill.stylegan2.projected import ProjectedHeads
from distill.training import processes
from distill.training.images import Images, open_images
from distill.training.loop import Event, Run, open_run, train
from distill.training.pictures import Numbers, Pictures, grid, hold_out, save_png
from distill.training.place import Place
from distill.training.sampler import Sampler
from distill.training.stylegan2.export import as_images, pictures, save_generator, set_centre
from distill.training.stylegan2.label_step import LabelStep
from distill.training.stylegan2.presets import PRESETS, Preset, with_labels, with_projected_critic
from distill.training.stylegan2.spelling import Spelling, spell
from distill.training.stylegan2.step import StyleGAN2Step
from distill.training.stylegan2.transfer import Start, begin_from, for_transfer, read_start

MAX_HELD_OUT = 1000
GRID = 8  # pictures a side
GRID_PSI = 0.7
CHOICES = ("batch", "lr", "gamma", "path_weight", "noise", "ada_kimg", "average_kimg", "head_start_kimg",
           "blur_sigma", "blur_kimg")  # fmt: skip
# What means nothing where no critic judges and every latent belongs to a picture.
CRITICS_OWN = ("gamma", "path_weight", "ada_kimg", "head_start_kimg", "blur_sigma", "blur_kimg", "augment", "init",
               "mirror")  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """All choices of a run, resolved; nothing is written yet."""

    name: str  # of the preset
    preset: Preset
    images: Images
    data: str
    train_on: Numbers
    held_out: Numbers
    mirror: bool
    seed: int
    device: str
    precision: Format
    samples: int
    out: Path
    start: Start | None
    spelling: Spelling | None  # of the labels, where they take the critic's place

    @property
    def resolution(self) -> int:
        return self.images.resolution

    def settings(self) -> dict[str, Any]:
        """What a resumed run must share, by name."""
        return {
            **self.preset.settings(),
            "widths": [
                self.preset.channels(self.resolution)[size] for size in self.preset.channels(self.resolution)
            ],
            "preset": self.name,
            "resolution": self.resolution,
            "data_digest": self.images.digest,
            "held_out": len(self.held_out),
            "mirror": self.mirror,
            "seed": self.seed,
            "precision": self.precision,
            "init": self.start and self.start.sha256,
        }

    def facts(self) -> dict[str, Any]:
        """The plan in words and numbers."""
        with torch.device("meta"):
            generator = GeneratorNetwork(self.preset.shape(self.resolution))
        return {
            "data": self.data,
            "images": len(self.train_on),
            "held_out": len(self.held_out),
            "resolution": self.resolution,
            "preset": self.name,
            **({"init": self.start.source} if self.start else {}),
            "generator_parameters": sum(p.numel() for p in generator.parameters()),
            "critic": self.preset.critic,
            **self._critic_facts(),
            "kimg": self.samples / 1000,
            "batch": self.preset.batch,
            "updates": -(-self.samples // self.preset.batch),
            "device": self.device,
            "precision": self.precision,
            "out": str(self.out),
        }

    def _critic_facts(self) -> dict[str, Any]:
        if self.spelling is not None:
            return {"labels": ", ".join(self.spelling.names)}
        with torch.device("meta"):
            critic = (
                ProjectedHeads(self.resolution, self.preset.group)
                if self.preset.critic == "projected"
                else Discriminator(self.preset.channels(self.resolution), group=self.preset.group)
            )
        return {"discriminator_parameters": sum(p.numel() for p in critic.parameters())}


def make_plan(options: Mapping[str, Any], *, device: str, note: Callable[[str], None]) -> Plan:
    """Open the data and resolve the choices. Raises DistillError for what does not fit together."""
    precision = resolve_training_precision(options["precision"], device)
    preset = choose(options, precision)
    images = open_images(options["data"], resolution=options["resolution"], skipped=note)
    preset.channels(images.resolution)
    spelling = spell(images.labels, preset.latent, options["data"]) if preset.critic == "labels" else None
    held = options["held_out"]
    if held is None:
        held = 0 if options["features"] == "none" else min(len(images) // 10, MAX_HELD_OUT)
    train_on, held_out = hold_out(len(images), held, options["seed"])
    return Plan(
        name=options["preset"],
        preset=preset,
        images=images,
        data=Path(options["data"]).name,
        train_on=train_on,
        held_out=held_out,
        mirror=options["mirror"],
        seed=options["seed"],
        device=device,
        precision=precision,
        samples=math.ceil(options["kimg"] * 1000),
        out=options["out"],
        start=read_start(options["init"], preset, images.resolution) if options["init"] else None,
        spelling=spelling,
    )


def choose(options: Mapping[str, Any], precision: str) -> Preset:
    """Apply the user's choices to the preset."""
    preset = PRESETS[options["preset"]]
    if options["critic"] == "projected":
        preset = with_projected_critic(preset)
    if options["critic"] == "labels":
        idle = [name.replace("_", "-") for name in CRITICS_OWN if options[name] not in (None, False)]
        if idle:
            raise DistillError(f"--{idle[0]} means nothing with --critic labels: leave it out")
        preset = with_labels(preset)
    if options["init"]:
        preset = for_transfer(preset)
    asked: dict[str, Any] = {name: options[name] for name in CHOICES if options[name] is not None}
    preset = replace(preset, **asked)
    if options["augment"] is not None:
        preset = replace(preset, **augmentation(options["augment"]))
    if bool(preset.blur_sigma) != bool(preset.blur_kimg):
        given, missing = ("sigma", "kimg") if preset.blur_sigma else ("kimg", "sigma")
        raise DistillError(f"--blur-{given} does nothing without --blur-{missing}: give both or neither")
    if precision == "fp16":
        preset = replace(preset, conv_clamp=256.0)
    world = processes.world_size()
    share, rest = divmod(preset.batch, world)
    if rest or not share:
        raise DistillError(f"batch {preset.batch} cannot be split over {world} processes: choose a multiple")
    if share % min(preset.group, share):
        raise DistillError(
            f"{share} images of a batch in each process are no multiple of {preset.group}, the group of the"
            " minibatch deviation: choose another --batch"
        )
    return preset


def augmentation(text: str) -> dict[str, Any]:
    """Read --augment: a target, p=NUMBER, or none."""
    if text == "none":
        return {"ada_target": None, "ada_p": 0.0}
    fixed = text.startswith("p=")
    try:
        value = float(text.removeprefix("p="))
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise DistillError(f"--augment {text!r} is none of: a target from 0 to 1, p=NUMBER from 0 to 1, none")
    return {"ada_target": None, "ada_p": value} if fixed else {"ada_target": value}


def run_plan(plan: Plan, options: Mapping[str, Any]) -> dict[str, Any]:
    """Train; return where the run ended and its latest scores."""
    step = make_step(plan)
    watcher = Watcher(plan, step, options)
    run = make_run(plan, step, watcher, options)
    place, note = open_run(run, resume=options["resume"])
    main = processes.rank() == 0
    if main:
        watcher.begin()
    processes.wait_for_all()
    quiet = not main or options["as_json"]
    with (
        stop_on_signals() as stop,
        Progress(run.samples, noun="image", done=place.samples, quiet=quiet) as progress,
    ):
        progress.note(opening_line(plan, place))
        if watcher.flattered:
            progress.note(
                "the critic and the score see the same features, so the score flatters: trust the pictures more"
            )
        if note:
            progress.note(f"{note}; going on from the checkpoint before")
        end = train(run, place, stop=stop, progress=progress)
    return {"generator": str(watcher.generator_path), "kimg": end.samples / 1000, **watcher.scores}


def make_step(plan: Plan) -> StyleGAN2Step | LabelStep:
    half = DTYPES[plan.precision]
    if plan.spelling is not None:
        return LabelStep(
            plan.preset, plan.resolution, plan.spelling, seed=plan.seed, device=plan.device, half=half
        )
    step = StyleGAN2Step(plan.preset, plan.resolution, seed=plan.seed, device=plan.device, half=half)
    if plan.start is not None:
        begin_from(step, plan.start)
    return step


def opening_line(plan: Plan, place: Place) -> str:
    going_on = f", from {place.samples / 1000:.1f} kimg on" if place.samples else ""
    return (
        f"{plan.name} at {plan.resolution} px on {len(plan.train_on)} images ({len(plan.held_out)} held out)"
        f" for {plan.samples / 1000:g} kimg by {plan.device} in {plan.precision} into {plan.out}{going_on}"
    )


def make_run(
    plan: Plan, step: StyleGAN2Step | LabelStep, watcher: Watcher, options: Mapping[str, Any]
) -> Run[Any]:
    sampler = Sampler(plan.images.weights[plan.train_on], plan.seed, plan.mirror)
    data = Pictures(
        plan.images, plan.train_on, sampler, plan.preset.batch, processes.rank(), processes.world_size()
    )
    tick = round(1000 * (options["tick_kimg"] or 1))
    snapshot = round(1000 * (options["snapshot_kimg"] or 10))
    events = (
        [Event(every=round(1000 * (options["score_kimg"] or 50)), act=watcher.score)]
        if watcher.scored
        else []
    )
    return Run(
        folder=plan.out,
        step=step,
        draw=data.draw if plan.spelling is None else data.draw_numbered,
        batch=plan.preset.batch,
        samples=plan.samples,
        settings=plan.settings(),
        seed=plan.seed,
        tick=max(tick, 1),
        save=max(snapshot, 1),
        events=[*events, Event(every=max(snapshot, 1), act=watcher.show)],
        part_bytes=options["part_mib"] * 1024 * 1024,
        seconds=60 * options["minutes"] if options["minutes"] else math.inf,
    )


class Watcher:
    """Looks at the averaged generator on the way: grids, scores, and the generator file."""

    def __init__(self, plan: Plan, step: StyleGAN2Step | LabelStep, options: Mapping[str, Any]) -> None:
        self.plan, self.network, self.options = plan, step.average, options
        self.scored = options["features"] != "none" and len(plan.held_out) > 1
        self.generator_path = plan.out / "generator.safetensors"
        self.scores: dict[str, float] = {}
        self._features: Features | None = None
        self._real: Moments | None = None
        if self.scored:
            self._features = load_features(options["features"], device=plan.device)

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

    def show(self, place: Place) -> None:
        """Write a grid of pictures at psi 0.7 and the generator with its facts."""
        set_centre(self.network)
        drawn = as_images(pictures(self.network, GRID * GRID, seed=self.plan.seed, psi=GRID_PSI))
        save_png(self.plan.out / f"fakes{place.samples // 1000:06d}.png", grid(drawn, GRID))
        save_generator(self.generator_path, self.network, self._facts(place), half=self.options["float16"])

    def score(self, place: Place) -> dict[str, float]:
        """Take the Fréchet distance between drawn (psi 1) and held-out images."""
        features = self._features
        if features is None:
            return {}
        if self._real is None:
            parts = np.array_split(self.plan.held_out, -(-len(self.plan.held_out) // 32))
            self._real = moments(features.of(torch.from_numpy(self.plan.images.read(part)) for part in parts))
        drawn = pictures(self.network, self.options["score_images"], seed=self.plan.seed + 1)
        value = frechet_distance(self._real, moments(features.of(drawn)))
        self.scores = {score_name(features.name): value}
        return self.scores

    def _facts(self, place: Place) -> dict[str, Any]:
        plan = self.plan
        score: dict[str, Any] = {name: round(value, 3) for name, value in self.scores.items()}
        if score:
            score["score_counts"] = f"{self.options['score_images']} drawn, {len(plan.held_out)} held out"
        kept = ("critic", "lr", "batch", "noise", *(() if plan.spelling else ("gamma",)))
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
