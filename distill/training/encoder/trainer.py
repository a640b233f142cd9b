"""The trainer of encoders: what reads a generator's w+ off an image."""

from __future__ import annotations

import math

from distill.networks.perceptual import default_perceptual, load_perceptual
from distill.training.encoder.data import EncoderData, open_encoder_data
from distill.training.encoder.settings import PRESETS, EncoderSettings, settle
from distill.training.encoder.step import EncoderStep
from distill.training.encoder.watch import EncoderWatch, Plan
from distill.training.trainer import Cadence, Trainer


def make_step(plan: Plan) -> EncoderStep:
    """Build encoder and critic, and load the features. Raises DistillError."""
    name = plan.settings.perceptual
    features = load_perceptual(default_perceptual() if name == "auto" else name, device=plan.device)
    return EncoderStep(plan.settings, plan.data.generator, features, seed=plan.seed)


ENCODER: Trainer[EncoderSettings, EncoderData, EncoderStep] = Trainer(
    name="encoder",
    noun=lambda plan: "photo",
    presets=PRESETS,
    default_preset=lambda request: "small",
    settle=settle,
    samples=lambda settings, rows: math.ceil(settings.kimg * 1000),
    open_data=open_encoder_data,
    make_step=make_step,
    make_watch=EncoderWatch,
    title=lambda plan: f"encoder of {plan.settings.generator}",
    opening=lambda plan, step: [f"{len(plan.data.held_out)} held out", f"{plan.settings.rounds} rounds"],
    half=False,
    cadence=lambda settings, rows: Cadence(tick=1000, save=10_000, show=10_000, score=20_000),
    less_memory=lambda settings: f"with batches of {settings.batch}: take a smaller --batch or fewer rounds",
)
