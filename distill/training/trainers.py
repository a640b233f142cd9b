"""The table of trainers: to add one, write its folder and its row. `distill train-NAME` comes with it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from distill.errors import DistillError

if TYPE_CHECKING:
    from distill.training.trainer import Trainer

# Name: (where its `Trainer` is, one line of help, what trains). It is imported when it is used.
TRAINERS: dict[str, tuple[str, str, str]] = {
    "pix2pix": (
        "distill.training.pix2pix.trainer:PIX2PIX",
        "Train a student (Pix2PixHD) on a data set.",
        "a Pix2PixHD",
    ),
    "cyclegan": (
        "distill.training.cyclegan.trainer:CYCLEGAN",
        "Train a CycleGAN on two sets of pictures.",
        "a CycleGAN",
    ),
    "stargan": (
        "distill.training.stargan.trainer:STARGAN",
        "Train a StarGAN on pictures with attributes.",
        "a StarGAN",
    ),
    "vaegan": (
        "distill.training.vaegan.trainer:VAEGAN",
        "Train a VAE/GAN on pictures and their labels.",
        "a VAE/GAN",
    ),
    "stylegan2": (
        "distill.training.stylegan2.trainer:STYLEGAN2",
        "Train a StyleGAN2 generator on images.",
        "a StyleGAN2",
    ),
    "encoder": (
        "distill.training.encoder.trainer:ENCODER",
        "Train an encoder: from an image to w+.",
        "an encoder",
    ),
}


def open_trainer(name: str) -> Trainer[Any, Any, Any]:
    """Import a trainer. Raises DistillError for a name that is not in the table."""
    if name not in TRAINERS:
        raise DistillError(f"no trainer {name!r}; the trainers are {', '.join(TRAINERS)}")
    module, _, attribute = TRAINERS[name][0].partition(":")
    trainer: Trainer[Any, Any, Any] = getattr(importlib.import_module(module), attribute)
    return trainer
