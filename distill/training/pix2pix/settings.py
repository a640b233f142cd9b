"""The settings of a student's training, and the table of its presets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from distill.errors import DistillError
from distill.networks.pix2pixhd import Architecture, Norm
from distill.progress import plural
from distill.training import processes
from distill.training.pix2pix.augment import PAIRED, check_kinds
from distill.training.schedule import Schedule
from distill.training.settings import (
    Count,
    CountFromZero,
    FromZero,
    Names,
    TrainerSettings,
    changed,
)

SHAPE = ("ngf", "downsamplings", "blocks", "enhancers", "norm")


class Pix2PixSettings(TrainerSettings):
    """Everything that decides what an update does, apart from the triplets and the seed.

    An epoch is as many triplets as are trained on. λ: the weight of a loss beside the adversarial one.
    """

    # the data
    inputs: Names | None = None  # roles; None: the recipe's
    target: str | None = None  # role; None: the recipe's
    reverse: bool = False  # of pairs: from the recipe's target to its input
    # Of data sets of measured changes: samples of which nothing is to change, so that a student learns to copy.
    identity_share: Annotated[float, Field(ge=0, lt=1)] = 0.1
    resolution: Count | None = None  # px, a divisor of the stored side; None: that, at most `max_resolution`
    max_resolution: Count = 256
    augment: Names = PAIRED
    val_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.05  # of the faces, held out for scores
    cache_gib: FromZero = 4.0  # the decoded data set is kept in memory where it is no larger
    # the networks
    init: Path | None = None  # a generator to start from, which brings its own architecture
    ngf: Count = 64  # as all widths and depths: see `Architecture`
    downsamplings: CountFromZero = 4
    blocks: CountFromZero = 9
    enhancers: Annotated[int, Field(ge=0, le=3)] = 0
    norm: Norm = "instance"  # of the generator; instance cannot see how bright an input is
    ndf: Count = 64  # of the discriminator, as the next two
    d_layers: Annotated[int, Field(ge=1, le=8)] = 3
    d_scales: Annotated[int, Field(ge=1, le=5)] = 2
    # the updates
    constant_epochs: FromZero  # at the full learning rate
    decay_epochs: FromZero  # of linear decay to 0
    warm_up_epochs: FromZero = 0.0  # the first of all those: pixels alone
    lr: Annotated[float, Field(gt=0, le=1)] = 2e-4
    feature_matching: FromZero = 10.0  # λ
    perceptual: Literal["auto", "efficientnet_lite0", "vgg19", "none"] = (
        "auto"  # auto: the first if installed
    )
    perceptual_weight: FromZero = 10.0  # λ
    vgg19: Path | None = None  # the file of its weights
    l1_weight: FromZero = 0.0  # λ of the distance of pixels, which Pix2PixHD has not and pix2pix has (100)
    average_kimg: FromZero = (
        0.0  # half-life of the weight average that is the student; 0: the last weights are
    )
    # the machine
    accumulate: Count = 1  # parts of a batch: less memory, the same result with norm instance
    lean: bool = False  # compute residual blocks twice: less memory, more time
    compiled: bool = False  # through torch.compile: minutes at first; on CPUs no gain was seen

    free: ClassVar = frozenset(
        {
            *(
                "inputs",
                "target",
                "reverse",
                "identity_share",
                "resolution",
                "max_resolution",
                "cache_gib",
                "init",
                "vgg19",
                "perceptual",
            ),
            *SHAPE,  # these are shared as what they came to: roles, conditions, side, architecture, features
            *("lr", "constant_epochs", "decay_epochs", "warm_up_epochs"),  # may be extended or slowed down
            *("accumulate", "lean", "compiled"),
        }
    )

    def architecture(self, inputs: int, conditions: int = 0) -> Architecture:
        """The generator for this many RGB inputs, and planes of conditions, which need batch normalisation."""
        shape = {name: getattr(self, name) for name in SHAPE} | ({"norm": "batch"} if conditions else {})
        return Architecture(inputs=3 * inputs + conditions, **shape)

    def schedule(self, rows: int) -> Schedule:
        """The schedule for this many triplets that are trained on."""
        return Schedule(
            lr=self.lr,
            warm_up=round(self.warm_up_epochs * rows),
            constant=round(self.constant_epochs * rows),
            decay=round(self.decay_epochs * rows),
        )


def settle(preset: Pix2PixSettings, changes: Mapping[str, object]) -> Pix2PixSettings:
    """Apply the changes and check that all fits together. Raises DistillError.

    Fewer epochs than the preset's first part, of pixels alone, make that part shorter in proportion.
    """
    settings = changed(preset, changes)
    named = next((name for name in SHAPE if name in changes), None)
    if settings.init is not None and named:
        raise DistillError(f"an init brings its own architecture: leave out {named}")
    check_kinds(settings.augment)
    if settings.reverse and (settings.inputs or settings.target):
        raise DistillError(
            "reverse swaps the inputs and the target of the recipe: leave out inputs and target"
        )
    total = settings.constant_epochs + settings.decay_epochs
    if not total:
        raise DistillError("0 epochs: give constant_epochs or decay_epochs above 0")
    if settings.warm_up_epochs > total and "warm_up_epochs" not in changes:
        share = preset.warm_up_epochs / (preset.constant_epochs + preset.decay_epochs)
        settings = changed(settings, {"warm_up_epochs": share * total})
    if settings.warm_up_epochs > total:
        raise DistillError(
            f"{settings.warm_up_epochs:g} epochs of pixels alone are more than the {total:g} of the whole run: set"
            " warm_up_epochs to a smaller number, or 0"
        )
    if settings.warm_up_epochs and not settings.l1_weight:
        raise DistillError(
            f"{settings.warm_up_epochs:g} epochs of pixels alone need a weight of the distance of pixels: set"
            " l1_weight above 0 (pix2pix: 100), or warm_up_epochs=0"
        )
    check_shares(settings.batch, settings.accumulate)
    return settings


def check_shares(batch: int, accumulate: int) -> None:
    """Make sure that each process, and each part of what it takes, gets equally many."""
    world = processes.world_size()
    if batch % (world * accumulate):
        parts = f"{world} processes in {accumulate} parts each" if world > 1 else f"{accumulate} equal parts"
        raise DistillError(f"batch {batch} cannot be split over {parts}: set another batch or accumulate")


def less_memory(settings: Pix2PixSettings) -> str:
    """Name the choices that take less memory, first what changes no result.

    Batch normalisation, which students of measured changes always have, looks at all images of a part, so to cut a
    batch into more parts does change the result.
    """
    at_once = settings.batch // processes.world_size() // settings.accumulate
    first = "--set lean=true gives the same result in less memory"
    if at_once > 1:
        divisor = next(k for k in range(2, at_once + 1) if at_once % k == 0)
        first += f", with instance normalisation --set accumulate={settings.accumulate * divisor} too"
    return f"with {plural(at_once, 'image')} at once: {first}; then --precision bf16, a smaller ngf or resolution"


# seed: the course report on StyleGAN2 distillation that trained 25,000 triplets (Pix2PixHD's public defaults, half
# as long). paper: Viazovetskyi et al. 2020. demo: for two CPU cores and 64 px. There a narrow network learns in an
# hour only if it is told what is wrong pixel by pixel (λ of pix2pix), mostly that alone, if its targets are not
# resampled, if its narrowest maps have 16 x 16 places: with 8 x 8 it learns more slowly and costs more, and if its
# normalisation leaves it the colours of its inputs: batch normalisation was after 8 kimg where instance normalisation
# was after 38.
PRESETS: dict[str, Pix2PixSettings] = {
    "seed": Pix2PixSettings(
        max_resolution=256, batch=8, ngf=64, downsamplings=4, blocks=9, constant_epochs=50, decay_epochs=50
    ),
    "paper": Pix2PixSettings(
        max_resolution=512, batch=8, ngf=64, downsamplings=4, blocks=9, constant_epochs=100, decay_epochs=100
    ),
    "demo": Pix2PixSettings(
        max_resolution=64,
        batch=8,
        ngf=32,
        downsamplings=2,
        blocks=4,
        norm="batch",
        ndf=16,
        lr=1e-3,
        l1_weight=100.0,
        average_kimg=2.0,
        augment=("flip", "colour"),
        warm_up_epochs=34,
        constant_epochs=8,
        decay_epochs=32,
    ),
}
