"""The trainer of students: Pix2PixHD on the triplets of a data set."""

from __future__ import annotations

from pathlib import Path

from distill.devices import DTYPES
from distill.errors import DistillError
from distill.networks.perceptual import default_perceptual, load_perceptual
from distill.networks.pix2pixhd_files import GeneratorFile, read_generator
from distill.shards.dataset import TripletDataset
from distill.shards.summary import sample_word
from distill.training import processes
from distill.training.pix2pix.data import Triplets, open_triplets
from distill.training.pix2pix.settings import PRESETS, Pix2PixSettings, less_memory, settle
from distill.training.pix2pix.step import Pix2PixHDStep
from distill.training.pix2pix.watch import Plan, StudentWatch
from distill.training.request import TrainRequest
from distill.training.trainer import Cadence, Trainer

SEED_SIDE = 256  # px; smaller images are for the demo preset unless another one is asked for
LEAST = 1000  # triplets


def default_preset(request: TrainRequest) -> str:
    return "seed" if TripletDataset(request.needed_data()).resolution >= SEED_SIDE else "demo"


def make_step(plan: Plan) -> Pix2PixHDStep:
    """Build networks and losses. Raises DistillError where they do not fit the data or the machine."""
    settings, dataset = plan.settings, plan.data.dataset
    inputs, conditions = len(dataset.roles) - 1, plan.data.conditions
    init = read_init(settings.init, 3 * inputs, len(conditions)) if settings.init else None
    architecture = init.architecture if init else settings.architecture(inputs, len(conditions))
    how = {"advice": "take one process"} if conditions else {}  # they need batch normalisation
    processes.check_norm(architecture.norm, plan.device, **how)
    architecture.check_sides(dataset.resolution, dataset.resolution)
    name = default_perceptual() if settings.perceptual == "auto" else settings.perceptual
    features = load_perceptual(name, vgg19_file=settings.vgg19, device=plan.device)
    step = Pix2PixHDStep(
        settings,
        architecture,
        features,
        settings.schedule(plan.data.rows),
        seed=plan.seed,
        device=plan.device,
        half=DTYPES[plan.precision],
        conditions=conditions,
    )
    if init is not None:
        step.begin_from(init.network().state_dict())
    return step


def read_init(path: Path, channels: int, conditions: int) -> GeneratorFile:
    """Read the generator to start from. Raises DistillError where it takes other images or conditions."""
    if not conditions:
        return read_generator(path, input_channels=channels)
    init = read_generator(path)
    if init.architecture.inputs != channels + conditions:
        raise DistillError(
            f"{path}: the network takes {init.architecture.inputs} channels; with {conditions} conditions"
            f" {channels + conditions} are needed: start from a student of as many conditions"
        )
    if init.architecture.norm != "batch":
        raise DistillError(
            f"{path} has instance normalisation, which removes the conditions: start from"
            " one with batch normalisation"
        )
    return init


def title(plan: Plan) -> str:
    *inputs, target = plan.data.dataset.roles
    if plan.data.conditions:
        names = ", ".join(condition.name for condition in plan.data.conditions)
        return f"{inputs[0]} ↔ {target} by {names}"
    task = plan.data.dataset.recipe.get("task")
    return f"{f'{task}: ' if isinstance(task, str) else ''}{' + '.join(inputs)} → {target}"


def opening(plan: Plan, step: Pix2PixHDStep) -> list[str]:
    """What is held out, and the features of the perceptual loss."""
    return [f"{len(plan.data.held_out)} held out", f"perceptual loss: {step.features.name}"]


def cadence(settings: Pix2PixSettings, rows: int) -> Cadence:
    """An epoch of a small data set is over in a second, and pictures and files take as long."""
    return Cadence(
        tick=min(rows, LEAST), save=max(rows, LEAST), show=max(min(rows, 5 * LEAST), LEAST), score=rows
    )


PIX2PIX: Trainer[Pix2PixSettings, Triplets, Pix2PixHDStep] = Trainer(
    name="pix2pix",
    noun=lambda plan: sample_word(plan.data.dataset.roles),
    presets=PRESETS,
    default_preset=default_preset,
    settle=settle,
    samples=lambda settings, rows: settings.schedule(rows).samples,
    open_data=open_triplets,
    make_step=make_step,
    make_watch=StudentWatch,
    title=title,
    less_memory=less_memory,
    cadence=cadence,
    opening=opening,
)
