"""The settings of an encoder's training, and the table of its presets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from distill.networks.encoder_files import MOST_ROUNDS
from distill.training import processes
from distill.training.settings import (
    CountFromZero,
    FromZero,
    Positive,
    Share,
    TrainerSettings,
    changed,
)


class EncoderSettings(TrainerSettings):
    """Everything that decides what an update does, apart from photos and seed. Distances of w are in deviations."""

    generator: str = "portraits"  # registry name, file or address
    photos: Share = 0.5  # part of a batch, where there are photos; the rest are samples, whose w+ is known
    mixing: Share = 0.5  # chance that a sample takes its upper layers from a second w
    mirror: bool = True  # show half of the photos mirrored
    held_out: CountFromZero | None = None  # photos kept for the scores; None: a tenth, up to 1000
    # the network
    width: Annotated[int, Field(ge=8, le=1024, multiple_of=8)] = (
        32  # channels at full size; four times at most
    )
    rounds: Annotated[int, Field(ge=1, le=MOST_ROUNDS)] = 3
    # the updates
    kimg: Positive = 500.0  # thousands of images of the whole run
    latent_weight: FromZero = 1.0  # of the mean square by which w+ of samples is missed
    pixel_weight: FromZero = 5.0  # of the mean |difference| of pixels
    perceptual: Literal["auto", "efficientnet_lite0", "vgg19", "none"] = "auto"
    apart_weight: FromZero = 0.02  # of the mean square by which the layers of a w+ differ
    critic_weight: FromZero = 0.1  # of the critic that knows mapped w from encoded ones
    critic_lr: Positive = 2e-5
    gamma: FromZero = 10.0  # of the critic's R1
    average_kimg: FromZero = 5.0  # half-life of the weight average that is the encoder
    # the file
    float16: bool = False

    free: ClassVar = frozenset({"kimg", "generator", "perceptual", "held_out", "float16"})


def settle(preset: EncoderSettings, changes: Mapping[str, object]) -> EncoderSettings:
    """Apply the changes. Raises DistillError."""
    settings = changed(preset, changes)
    processes.check_batch(settings.batch)
    return settings


PRESETS: dict[str, EncoderSettings] = {
    "small": EncoderSettings(batch=16, lr=5e-4),  # a generator of 64 px, on a CPU
    "large": EncoderSettings(batch=8, lr=1e-4, width=64, rounds=5, kimg=2000),  # 256 px and more
}
