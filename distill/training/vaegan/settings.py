"""The settings of a VAE/GAN's training, and the table of its presets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from distill.errors import DistillError
from distill.networks.vaegan import LAST_CONVOLUTION, TABLE_CHANNELS, VAEGANShape
from distill.progress import plural
from distill.training import processes
from distill.training.edit_attributes import read_attributes
from distill.training.settings import (
    Count,
    FromZero,
    Names,
    Positive,
    TrainerSettings,
    changed,
)

SHAPE = ("height", "width", "latent", "channels", "hidden", "slope")
LAST_RATE = 1e-5 / 0.025  # of the first, at the end of the run: lr_start and lr_stop of the public code


class VAEGANSettings(TrainerSettings):
    """Everything that decides what an update does, apart from the pictures and the seed."""

    # the data
    attributes: Names = ()  # conditions on labels, such as gender=female,age>=50
    attribute_images: Count = 10_000  # training pictures that their means are taken over (the public code)
    resolution: Count | None = None  # px; None: the data's
    mirror: bool = True  # show half of the pictures mirrored
    val_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.05  # held out for scores
    # the networks, see `VAEGANShape`
    height: Count = 64
    width: Count = 64
    latent: Annotated[int, Field(ge=1, le=4096)] = 128
    channels: Annotated[int, Field(ge=4, le=1024, multiple_of=4)] = TABLE_CHANNELS
    hidden: Annotated[int, Field(ge=1, le=1 << 16)] = 2048
    slope: Annotated[float, Field(ge=0, lt=1)] = 0.0
    # the updates
    kimg: Positive = (
        4000.0  # thousands of pictures of the whole run: 250 epochs of 250 updates in the public code
    )
    lr: Annotated[float, Field(gt=0, le=1)] = (
        0.025 / 64
    )  # at the start: that of the public code, which adds over 64
    decay_power: Positive = 0.75  # the rate falls by (part of the run)^this: `gamma` of the public annealer
    prior_weight: FromZero = 1.0  # of the prior beside the similarity, for the encoder
    gamma: FromZero = 1e-6  # γ: of the similarity beside the discriminator's judgement, for the decoder
    similarity_layer: Annotated[int, Field(ge=1, le=LAST_CONVOLUTION)] = (
        LAST_CONVOLUTION  # l: the convolution of the discriminator by which pictures are compared
    )
    decoder_loss: Literal["minimax", "non-saturating"] = "minimax"  # log(1 - Dis) down, or log Dis up
    equilibrium: Positive = 0.68  # cost of either kind of pictures when all is even: about log 2
    guard: Literal["either", "mean"] = (
        "either"  # which cost says who is ahead: that of either kind, or their mean
    )
    margin: Positive | None = 0.35  # who is further ahead than this waits; None: nobody does
    clip: Positive | None = None  # largest norm of the gradient of a network
    average_kimg: FromZero = 0.0  # half-life of the weight average that is kept; 0: the last weights are

    free: ClassVar = frozenset(
        {
            *("attributes", "attribute_images", "resolution"),  # nothing that is trained depends on them
            *("kimg", "lr", "decay_power"),  # may be extended or slowed down
        }
    )

    def shape(self) -> VAEGANShape:
        return VAEGANShape(**{name: getattr(self, name) for name in SHAPE})

    @property
    def samples(self) -> int:
        return max(round(1000 * self.kimg), 1)

    def rate(self, samples: int) -> float:
        """The learning rate of an update that comes after this many samples of the run."""
        part = min(samples / self.samples, 1.0)
        return float(self.lr * (1 - part**self.decay_power * (1 - LAST_RATE)))


def settle(preset: VAEGANSettings, changes: Mapping[str, object]) -> VAEGANSettings:
    """Apply the changes and check that all fits together. Raises DistillError."""
    settings = changed(preset, changes)
    settings.shape().check()
    read_attributes(settings.attributes)
    processes.check_batch(settings.batch)
    if settings.batch // processes.world_size() < 2:
        raise DistillError("a batch of 1 picture cannot be normalised: choose at least 2 for each process")
    return settings


def less_memory(settings: VAEGANSettings) -> str:
    """Name the first choice that takes less memory."""
    each = settings.batch // processes.world_size()
    return f"with {plural(each, 'picture')} at once: choose a smaller --batch, or channels"


# paper: Larsen et al. 2016, table 1 for 64 px; batch, rate, its fall, γ, equilibrium and margin as public code has
# them for CelebA (celeba_aegan.py, aegan.py, model/aegan.py), without its weight decay and its turns and colours of
# pictures. clothes: the table of a report on clothes, 128 px wide and 256 high; what it does not state is the
# paper's. demo: for a CPU and 64 px, after short tries on 1,728 photographs: few channels and a small batch, since in
# minutes it is updates that lack; more weight on likeness, and on the prior, so that its samples are drawn as
# reconstructions are; a decoder that goes up log Dis, whose gradient does not vanish; a guard by the mean of both
# costs, which does not stop a discriminator that knows pictures and is fooled by reconstructions. It compares by the
# second convolution: the last has a quarter as many numbers as the picture here, and hardly sees the lattice that
# transposed convolutions begin with.
PRESETS: dict[str, VAEGANSettings] = {
    "paper": VAEGANSettings(batch=64),
    "clothes": VAEGANSettings(batch=64, height=256, width=128, hidden=1024, slope=0.2),
    "demo": VAEGANSettings(
        batch=8,
        channels=12,
        latent=64,
        hidden=512,
        slope=0.2,
        kimg=40.0,
        lr=1e-3,
        prior_weight=12.0,
        gamma=0.1,
        similarity_layer=2,
        decoder_loss="non-saturating",
        guard="mean",
        average_kimg=1.0,
        val_fraction=0.1,
    ),
}
