"""The trainer of VAE/GANs: pictures of one size, and conditions on their labels as attributes."""

from __future__ import annotations

from distill.training.images import stored_sides
from distill.training.request import TrainRequest
from distill.training.trainer import Cadence, Trainer
from distill.training.vaegan.data import VAEGANData, open_data
from distill.training.vaegan.settings import PRESETS, VAEGANSettings, less_memory, settle
from distill.training.vaegan.step import VAEGANStep
from distill.training.vaegan.watch import Plan, VAEGANWatch

LEAST = 1000  # samples


def default_preset(request: TrainRequest) -> str:
    """The report's table for pictures of its size, else that of a CPU: at 64 px the paper's takes days of a GPU."""
    if "resolution" not in request.changes:
        report = PRESETS["clothes"]
        if stored_sides(request.needed_data()) == (report.height, report.width):
            return "clothes"
    return "demo"


def make_step(plan: Plan) -> VAEGANStep:
    return VAEGANStep(plan.settings, seed=plan.seed, device=plan.device)


def title(plan: Plan) -> str:
    return f"VAE/GAN of {plan.data.name}"


def opening(plan: Plan, step: VAEGANStep) -> list[str]:
    """What is held out, and the attributes."""
    names = [attribute.name for attribute in plan.data.attributes]
    return [f"{len(plan.data.held_out)} held out", *(["attributes " + ", ".join(names)] if names else [])]


def cadence(settings: VAEGANSettings, rows: int) -> Cadence:
    """An epoch of a small data set is over in seconds, and pictures and files take as long."""
    epoch = max(rows, 2 * LEAST)
    return Cadence(tick=min(rows, LEAST), save=2 * epoch, show=epoch, score=2 * epoch)


VAEGAN: Trainer[VAEGANSettings, VAEGANData, VAEGANStep] = Trainer(
    name="vaegan",
    noun=lambda plan: "picture",
    presets=PRESETS,
    default_preset=default_preset,
    settle=settle,
    samples=lambda settings, rows: settings.samples,
    open_data=open_data,
    make_step=make_step,
    make_watch=VAEGANWatch,
    title=title,
    less_memory=less_memory,
    half=False,
    cadence=cadence,
    opening=opening,
)
