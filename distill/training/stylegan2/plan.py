"""The choices of a teacher's training, resolved from a request; nothing is written here."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from distill.devices import Format, resolve_training_precision
from distill.errors import DistillError
from distill.stylegan2.discriminator import Discriminator
from distill.stylegan2.networks import GeneratorNetwork
from distill.stylegan2.projected import ProjectedHeads
from distill.training import processes
from distill.training.images import Images, open_images
from distill.training.pictures import Numbers, hold_out
from distill.training.stylegan2.presets import PRESETS, StyleGAN2Preset, with_projected_critic
from distill.training.stylegan2.request import TrainStyleGAN2Request
from distill.training.stylegan2.transfer import Start, for_transfer, read_start

MAX_HELD_OUT = 1000
CHOICES = ("batch", "lr", "gamma", "path_weight", "noise", "ada_kimg", "average_kimg", "head_start_kimg")


@dataclass(frozen=True, kw_only=True, eq=False)
class TeacherPlan:
    """All choices of a run, resolved; nothing is written yet."""

    name: str  # of the preset
    preset: StyleGAN2Preset
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
        with torch.device("meta"):
            critic = (
                ProjectedHeads(self.resolution, self.preset.group)
                if self.preset.critic == "projected"
                else Discriminator(self.preset.channels(self.resolution), group=self.preset.group)
            )
        return {"discriminator_parameters": sum(p.numel() for p in critic.parameters())}


def make_plan(request: TrainStyleGAN2Request, *, device: str, note: Callable[[str], None]) -> TeacherPlan:
    """Open the data and resolve the choices. Raises DistillError for what does not fit together."""
    precision = resolve_training_precision(request.precision, device)
    preset = choose(request, precision)
    images = open_images(request.data, resolution=request.resolution, skipped=note)
    preset.channels(images.resolution)
    held = request.held_out
    if held is None:
        held = 0 if request.features == "none" else min(len(images) // 10, MAX_HELD_OUT)
    train_on, held_out = hold_out(len(images), held, request.seed)
    return TeacherPlan(
        name=request.preset,
        preset=preset,
        images=images,
        data=request.data.name,
        train_on=train_on,
        held_out=held_out,
        mirror=request.mirror,
        seed=request.seed,
        device=device,
        precision=precision,
        samples=math.ceil(request.kimg * 1000),
        out=request.out,
        start=read_start(request.init, preset, images.resolution) if request.init else None,
    )


def choose(request: TrainStyleGAN2Request, precision: str) -> StyleGAN2Preset:
    """Apply the user's choices to the preset."""
    preset = PRESETS[request.preset]
    if request.critic == "projected":
        preset = with_projected_critic(preset)
    if request.init:
        preset = for_transfer(preset)
    asked: dict[str, Any] = {
        name: getattr(request, name) for name in CHOICES if getattr(request, name) is not None
    }
    preset = replace(preset, **asked)
    if request.augment is not None:
        preset = replace(preset, **augmentation(request.augment))
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
