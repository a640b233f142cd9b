"""The choices of a student's training, resolved from a user's request; nothing is written here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from distill.attributes.judge import selection
from distill.devices import Format, resolve_training_precision
from distill.errors import DistillError
from distill.networks.perceptual import default_perceptual
from distill.networks.pix2pixhd import Architecture, MultiscaleDiscriminator, Norm
from distill.networks.pix2pixhd_files import GeneratorFile, read_generator
from distill.networks.student import StudentFacts
from distill.shards.dataset import TripletDataset, recipe_roles
from distill.shards.split import split_rows
from distill.shards.summary import sample_word
from distill.training import processes
from distill.training.pix2pix.augment import check_kinds
from distill.training.pix2pix.presets import PRESETS, Pix2PixPreset
from distill.training.pix2pix.request import TrainPix2PixRequest
from distill.training.pix2pix.schedule import Schedule

SHAPE = ("ngf", "downsamplings", "blocks", "enhancers", "norm")
CHOICES = (
    *SHAPE,
    *("ndf", "batch", "lr", "warm_up_epochs", "constant_epochs", "decay_epochs", "feature_matching"),
)
SEED_SIDE = 256  # px; smaller images are for the demo preset unless another one is asked for

Rows = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class StudentPlan:
    """All choices of a run, resolved; nothing is written yet."""

    name: str  # of the preset
    preset: Pix2PixPreset
    architecture: Architecture
    dataset: TripletDataset
    train_on: Rows
    held_out: Rows
    val_fraction: float
    perceptual: str
    init: GeneratorFile | None
    seed: int
    device: str
    precision: Format
    out: Path

    @property
    def schedule(self) -> Schedule:
        preset, epoch = self.preset, len(self.train_on)
        warm_up, constant, decay = (
            round(epochs * epoch)
            for epochs in (preset.warm_up_epochs, preset.constant_epochs, preset.decay_epochs)
        )
        return Schedule(lr=preset.lr, warm_up=warm_up, constant=constant, decay=decay)

    @property
    def noun(self) -> str:
        return sample_word(self.dataset.roles)

    def settings(self) -> dict[str, Any]:
        """What a resumed run must share, by name. The schedule is not in it: it may be extended."""
        architecture = {key: getattr(self.architecture, key) for key in SHAPE}
        return {
            **self.preset.settings(),
            **architecture,
            "input_channels": self.architecture.inputs,
            "roles": list(self.dataset.roles),
            "resolution": self.dataset.resolution,
            "data_digest": self.dataset.digest,
            "rows": len(self.train_on),
            "val_fraction": self.val_fraction,
            "perceptual_features": self.perceptual,
            "seed": self.seed,
            "precision": self.precision,
        }

    def facts(self) -> dict[str, Any]:
        """The plan in words and numbers."""
        a, preset = self.architecture, self.preset
        with torch.device("meta"):
            generator = a.build()
            judge = MultiscaleDiscriminator(
                a.inputs + a.outputs, ndf=preset.ndf, layers=preset.d_layers, scales=preset.d_scales
            )
        *inputs, target = self.dataset.roles
        return {
            "data": str(self.dataset.folder),
            "inputs": ", ".join(inputs),
            "target": target,
            f"{self.noun}s": len(self.train_on),
            "held_out": len(self.held_out),
            "resolution": self.dataset.resolution,
            "preset": self.name,
            **({"init": str(self.init.path)} if self.init else {}),
            "input_channels": a.inputs,
            "generator_parameters": sum(p.numel() for p in generator.parameters()),
            "discriminator_parameters": sum(p.numel() for p in judge.parameters()),
            "epochs": f"{preset.constant_epochs:g} + {preset.decay_epochs:g}"
            + (f", the first {preset.warm_up_epochs:g} of pixels alone" if preset.warm_up_epochs else ""),
            "kimg": self.schedule.samples / 1000,
            "batch": preset.batch,
            "updates": -(-self.schedule.samples // preset.batch),
            "perceptual": self.perceptual,
            "augment": ", ".join(preset.augment) or "none",
            "device": self.device,
            "precision": self.precision,
            "out": str(self.out),
        }

    def student_facts(self) -> StudentFacts:
        recipe = self.dataset.recipe
        *inputs, target = self.dataset.roles
        generator = recipe.get("generator")
        teacher = generator.get("name") if isinstance(generator, Mapping) else None
        return StudentFacts(
            task=recipe.get("task"),
            inputs=tuple(inputs),
            target=target,
            resolution=self.dataset.resolution,
            data_digest=self.dataset.digest,
            selected_by=selection(recipe),
            generator=teacher,
            val_fraction=self.val_fraction,
            seed=self.seed,
            preset=self.name,
            perceptual=self.perceptual,
        )


def make_plan(request: TrainPix2PixRequest, *, device: str) -> StudentPlan:
    """Open the data and resolve the choices. Raises DistillError for what does not fit together."""
    dataset = open_data(request)
    name = request.preset or ("seed" if dataset.resolution >= SEED_SIDE else "demo")
    preset = choose(request, PRESETS[name])
    check_shares(preset.batch, request.accumulate)
    inputs = len(dataset.roles) - 1
    init = read_init(request.init, request, inputs) if request.init else None
    architecture = init.architecture if init else preset.architecture(inputs)
    check_norm(architecture.norm, device)
    dataset = at_resolution(dataset, request.resolution, preset)
    architecture.check_sides(dataset.resolution, dataset.resolution)
    train_on, held_out = split_rows(dataset, fraction=request.val_fraction, seed=request.seed)
    return StudentPlan(
        name=name,
        preset=preset,
        architecture=architecture,
        dataset=dataset,
        train_on=train_on,
        held_out=held_out,
        val_fraction=request.val_fraction,
        perceptual=request.perceptual or default_perceptual(),
        init=init,
        seed=request.seed,
        device=device,
        precision=resolve_training_precision(request.precision, device),
        out=request.out,
    )


def read_init(init: Path, request: TrainPix2PixRequest, inputs: int) -> GeneratorFile:
    """Read the generator to start from. Raises DistillError where it takes other inputs, naming both numbers."""
    named = next((name for name in SHAPE if getattr(request, name) is not None), None)
    if named:
        raise DistillError(f"--init brings its own architecture: leave out --{named}")
    return read_generator(init, input_channels=3 * inputs)


def open_data(request: TrainPix2PixRequest) -> TripletDataset:
    """Open the data set with the roles that are asked for."""
    roles = None
    if request.inputs or request.target:
        *inputs, target = recipe_roles(TripletDataset(request.data).recipe)
        if request.inputs:
            inputs = [role.strip() for role in request.inputs.split(",")]
        roles = (*inputs, request.target or target)
    dataset = TripletDataset(request.data, roles=roles)
    if len(set(dataset.roles)) < len(dataset.roles) or len(dataset.roles) < 2:
        raise DistillError(f"inputs and target are {', '.join(dataset.roles)}: each role must be named once")
    return dataset


def at_resolution(dataset: TripletDataset, asked: int | None, preset: Pix2PixPreset) -> TripletDataset:
    """Reduce to the side asked for, else to the preset's where it divides a larger one."""
    stored = dataset.resolution
    wanted = asked or min(stored, preset.resolution)
    return TripletDataset(dataset.folder, roles=dataset.roles, resolution=wanted)


def choose(request: TrainPix2PixRequest, preset: Pix2PixPreset) -> Pix2PixPreset:
    """Apply the user's choices to the preset."""
    asked: dict[str, Any] = {
        name: getattr(request, name) for name in CHOICES if getattr(request, name) is not None
    }
    for name, option in (("perceptual", "perceptual_weight"), ("l1", "l1_weight")):
        if getattr(request, option) is not None:
            asked[name] = getattr(request, option)
    if request.augment is not None:
        kinds = [kind.strip() for kind in request.augment.split(",")]
        kinds = [] if kinds == ["none"] else kinds
        check_kinds(kinds)
        asked["augment"] = tuple(kinds)
    preset = replace(preset, **asked)
    if not preset.constant_epochs + preset.decay_epochs:
        raise DistillError("0 epochs: give --constant-epochs or --decay-epochs above 0")
    total = preset.constant_epochs + preset.decay_epochs
    if preset.warm_up_epochs > total:
        raise DistillError(
            f"{preset.warm_up_epochs:g} epochs of pixels alone are more than the {total:g} of the whole run: give"
            " --warm-up-epochs a smaller number, or 0"
        )
    if preset.warm_up_epochs and not preset.l1:
        raise DistillError(
            f"{preset.warm_up_epochs:g} epochs of pixels alone need a weight of the distance of pixels: give"
            " --l1-weight above 0 (pix2pix: 100), or --warm-up-epochs 0"
        )
    return preset


def check_shares(batch: int, accumulate: int) -> None:
    """Make sure that each process, and each part of what it takes, gets equally many."""
    world = processes.world_size()
    if batch % (world * accumulate):
        parts = f"{world} processes in {accumulate} parts each" if world > 1 else f"{accumulate} equal parts"
        raise DistillError(
            f"batch {batch} cannot be split over {parts}: choose another --batch or --accumulate"
        )


def check_norm(norm: Norm, device: str) -> None:
    """Refuse batch normalisation over several processes on CPUs, where PyTorch cannot share its statistics."""
    if norm == "batch" and processes.world_size() > 1 and not device.startswith("cuda"):
        raise DistillError(
            "batch normalisation over several processes needs GPUs: take --norm instance, or one process"
        )
