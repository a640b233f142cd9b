"""The settings of a CycleGAN's training, and the table of its presets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from distill.errors import DistillError
from distill.networks.pix2pixhd import Architecture, Norm
from distill.progress import plural
from distill.training import processes
from distill.training.cyclegan.augment import check_kinds
from distill.training.schedule import Schedule
from distill.training.settings import (
    Count,
    CountFromZero,
    FromZero,
    Names,
    Positive,
    Share,
    TrainerSettings,
    changed,
)

SHAPE = ("ngf", "downsamplings", "blocks", "norm")
LARGE = 256  # px, from which on Zhu et al. take 9 blocks and not 6


class CycleGANSettings(TrainerSettings):
    """Everything that decides what an update does, apart from the pictures and the seed.

    A sample is a picture of either domain; an epoch has as many as the larger domain. λ: the weight of a loss beside
    the adversarial one.
    """

    # the data
    domains: Names | None = None  # two conditions on labels, such as gender=male,gender=female
    data_b: Path | None = None  # pictures of the second domain, where the first has a folder of its own
    resolution: Count | None = None  # px; None: the data's
    augment: Names = ("flip", "crop")
    val_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.05  # of each domain, held out for scores
    # the networks
    init: Path | None = None  # generators to start from, which bring their own architecture: a → b
    init_b: Path | None = None  # … b → a
    ngf: Count = 64  # as all widths and depths: see `Architecture`
    downsamplings: CountFromZero = 2
    blocks: Count | None = None  # None: 9 from 256 px on, else 6
    norm: Norm = "instance"  # of all networks
    ndf: Count = 64  # of the discriminators, as the next
    d_layers: Annotated[int, Field(ge=1, le=8)] = 3
    discriminator: Literal["patch", "single"] = "patch"  # scores of patches of 70 px, or their mean
    # the updates
    constant_epochs: FromZero = 100.0  # at the full learning rate
    decay_epochs: FromZero = 100.0  # of linear decay to 0
    lr: Annotated[float, Field(gt=0, le=1)] = 2e-4
    cycle_weight: FromZero = 10.0  # λ of |there and back - the picture|
    identity_share: Share = 0.5  # of λ: for |a picture of the domain it goes to, translated - the picture|
    pool: CountFromZero = 50  # earlier outputs of either generator, of which its discriminator is shown half
    clip: Positive | None = None  # largest norm of the gradient of both generators, of both discriminators
    average_kimg: FromZero = 0.0  # half-life of the weight average that is kept; 0: the last weights are
    # the machine
    lean: bool = False  # compute residual blocks twice: less memory, more time

    free: ClassVar = frozenset(
        {
            *("domains", "data_b", "resolution", "init", "init_b", *SHAPE),  # shared as what they came to
            *("lr", "constant_epochs", "decay_epochs"),  # may be extended or slowed down
            "lean",
        }
    )

    def architecture(self, side: int) -> Architecture:
        """The generators for images whose shorter side is this long."""
        shape = {name: getattr(self, name) for name in SHAPE}
        return Architecture(inputs=3, **shape | {"blocks": self.blocks or (9 if side >= LARGE else 6)})

    def schedule(self, rows: int) -> Schedule:
        """The schedule for epochs of this many samples."""
        return Schedule(
            lr=self.lr, constant=round(self.constant_epochs * rows), decay=round(self.decay_epochs * rows)
        )


def settle(preset: CycleGANSettings, changes: Mapping[str, object]) -> CycleGANSettings:
    """Apply the changes and check that all fits together. Raises DistillError."""
    settings = changed(preset, changes)
    check_kinds(settings.augment)
    if settings.domains is not None and len(settings.domains) != 2:
        raise DistillError(
            f"domains {', '.join(settings.domains) or 'none'}: two are needed, such as gender=male,gender=female"
        )
    if settings.domains and settings.data_b:
        raise DistillError(
            "domains are for one labelled set, data_b is a second folder: give only one of the two"
        )
    named = next((name for name in SHAPE if name in changes), None)
    if named and (settings.init or settings.init_b):
        raise DistillError(f"an init brings its own architecture: leave out {named}")
    if not settings.constant_epochs + settings.decay_epochs:
        raise DistillError("0 epochs: give constant_epochs or decay_epochs above 0")
    processes.check_batch(settings.batch)
    return settings


def less_memory(settings: CycleGANSettings) -> str:
    """Name the first choice that takes less memory and changes no result."""
    each = settings.batch // processes.world_size()
    first = "--set lean=true gives the same result in less memory"
    return f"with {plural(each, 'image')} of each domain at once: {first}; then a smaller --batch, ngf or resolution"


# paper: Zhu et al. 2017, as their public code has it. clothes: a report on leather and denim: batch normalisation,
# five times the rate at a batch of 10, no decay and no identity loss, one score an image, gradients clipped (at 5,
# before the step), crops, flips and turns by up to 15°; what it does not state is the paper's. demo: for a CPU and
# 64 px.
PRESETS: dict[str, CycleGANSettings] = {
    "paper": CycleGANSettings(batch=1),
    "clothes": CycleGANSettings(
        batch=10,
        blocks=9,
        norm="batch",
        discriminator="single",
        lr=2e-3,
        constant_epochs=250,
        decay_epochs=0,
        identity_share=0.0,
        clip=5.0,
        augment=("flip", "crop", "rotate"),
    ),
    "demo": CycleGANSettings(
        batch=4,
        ngf=16,
        blocks=4,
        ndf=16,
        lr=5e-4,
        constant_epochs=10,
        decay_epochs=10,
        average_kimg=1.0,
        augment=("flip",),
        val_fraction=0.1,
    ),
}
