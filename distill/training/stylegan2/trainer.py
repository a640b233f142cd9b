"""The trainer of teachers: StyleGAN2 on images."""

from __future__ import annotations

import math
from collections.abc import Mapping

from distill.devices import DTYPES
from distill.stylegan2.load import load_generator
from distill.training.settings import changed
from distill.training.stylegan2.data import TeacherImages, open_teacher_images
from distill.training.stylegan2.settings import PRESETS, StyleGAN2Settings, settle
from distill.training.stylegan2.step import StyleGAN2Step
from distill.training.stylegan2.transfer import in_shape_of, read_start
from distill.training.stylegan2.watch import Plan, TeacherWatch
from distill.training.trainer import Cadence, Trainer

FP16_CLAMP = 256.0  # of features, which float16 could not hold (StyleGAN2-ADA)


def settle_start(preset: StyleGAN2Settings, changes: Mapping[str, object]) -> StyleGAN2Settings:
    """Settle; a generator to start from brings its own widths, and to a child its resolution too."""
    if changes.get("init", "none") in (None, "", "none"):
        return settle(preset, changes)
    shape = load_generator(str(changes["init"])).network.shape
    settings = settle(in_shape_of(shape, preset), changes)
    if settings.child and settings.resolution is None:
        return changed(settings, {"resolution": shape.resolution})
    return settings


def make_step(plan: Plan) -> StyleGAN2Step:
    """Build the networks, from a start where one is asked for. Raises DistillError where it does not fit."""
    settings, side = plan.settings, plan.data.resolution
    if plan.precision == "fp16":
        settings = settings.model_copy(update={"conv_clamp": FP16_CLAMP})
    start = read_start(settings.init, settings, side) if settings.init else None
    step = StyleGAN2Step(settings, side, seed=plan.seed, device=plan.device, half=DTYPES[plan.precision])
    if start is not None:
        step.begin_from(start)
    return step


def opening(plan: Plan, step: StyleGAN2Step) -> list[str]:
    family = [f"a child of {step.start.name}"] if plan.settings.child and step.start else []
    return [*family, f"{len(plan.data.held_out)} held out"]


def cadence(settings: StyleGAN2Settings, rows: int) -> Cadence:
    """A child is chosen among snapshots of a short run."""
    return Cadence(tick=500, save=2000, show=2000, score=2000) if settings.child else Cadence()


STYLEGAN2: Trainer[StyleGAN2Settings, TeacherImages, StyleGAN2Step] = Trainer(
    name="stylegan2",
    noun=lambda plan: "image",
    presets=PRESETS,
    default_preset=lambda request: "small",
    settle=settle_start,
    samples=lambda settings, rows: math.ceil(settings.kimg * 1000),
    open_data=open_teacher_images,
    make_step=make_step,
    make_watch=TeacherWatch,
    title=lambda plan: f"StyleGAN2 of {plan.data.resolution} px on {plan.data.name}",
    opening=opening,
    cadence=cadence,
    less_memory=lambda settings: f"with batches of {settings.batch}: take a smaller --batch or --resolution",
)
