"""The settings of a StarGAN's training, and the table of its presets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from distill.errors import DistillError
from distill.networks.stargan import CriticArchitecture, StarGANArchitecture
from distill.progress import plural
from distill.training import processes
from distill.training.edit_attributes import read_attributes
from distill.training.schedule import Schedule
from distill.training.settings import (
    Count,
    CountFromZero,
    FromZero,
    Names,
    TrainerSettings,
    changed,
)

G_SHAPE = ("width", "blocks")
LARGE = 128  # px, of the published sizes


class StarGANSettings(TrainerSettings):
    """Everything that decides what an update does, apart from the pictures and the seed.

    An update is one of the critic; every `n_critic`-th is one of the generator too. λ: the weight of a loss beside
    the adversarial one.
    """

    # the data
    attributes: Names = ()  # conditions on labels that hold or not, such as gender=female,age>=50
    resolution: Count | None = None  # px; None: the data's
    mirror: bool = True  # show half of the pictures mirrored
    val_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.05  # held out for scores
    # the networks
    init: Path | None = (
        None  # a generator to start from, which brings its own sizes, and the critic beside it
    )
    width: Count = 64  # of the generator, as all widths and depths: see `StarGANArchitecture`
    blocks: CountFromZero = 6
    d_width: Count = 64  # of the critic, see `CriticArchitecture`
    d_layers: Annotated[int, Field(ge=1, le=12)] = 6
    # the updates
    constant_updates: CountFromZero = 100_000  # at the full learning rate
    decay_updates: CountFromZero = 100_000  # of linear decay to 0
    lr: Annotated[float, Field(gt=0, le=1)] = 1e-4
    n_critic: Count = 5  # updates of the critic for one of the generator
    class_weight: FromZero = 1.0  # λ of the binary cross-entropy of the attributes, summed over them
    cycle_weight: FromZero = 10.0  # λ of |there and back - the picture|
    penalty_weight: FromZero = 10.0  # λ of the critic's gradient penalty
    average_kimg: FromZero = 0.0  # half-life of the weight average that is kept; 0: the last weights are

    free: ClassVar = frozenset(
        {
            *("resolution", "init", *G_SHAPE),  # shared as what they came to
            *("lr", "constant_updates", "decay_updates"),  # may be extended or slowed down
        }
    )

    def architecture(self) -> StarGANArchitecture:
        return StarGANArchitecture(attributes=len(self.attributes), width=self.width, blocks=self.blocks)

    def critic(self, height: int, width: int) -> CriticArchitecture:
        """The critic of pictures of this size."""
        return CriticArchitecture(
            attributes=len(self.attributes),
            height=height,
            width_px=width,
            width=self.d_width,
            layers=self.d_layers,
        )

    def schedule(self) -> Schedule:
        return Schedule(
            lr=self.lr,
            constant=self.constant_updates * self.batch,
            decay=self.decay_updates * self.batch,
        )


def settle(preset: StarGANSettings, changes: Mapping[str, object]) -> StarGANSettings:
    """Apply the changes and check that all fits together. Raises DistillError."""
    settings = changed(preset, changes)
    if not settings.attributes:
        raise DistillError("no attributes to learn: name some, such as --attributes gender=female,age>=50")
    read_attributes(settings.attributes)
    named = next((name for name in G_SHAPE if name in changes), None)
    if named and settings.init:
        raise DistillError(f"an init brings its own architecture: leave out {named}")
    if not settings.constant_updates + settings.decay_updates:
        raise DistillError("0 updates: give constant_updates or decay_updates above 0")
    processes.check_batch(settings.batch)
    return settings


def less_memory(settings: StarGANSettings) -> str:
    """Name the choices that take less memory."""
    each = settings.batch // processes.world_size()
    return f"with {plural(each, 'picture')} at once: take a smaller --batch, d_width, width or resolution"


# paper: Choi et al. 2018, as their public code has it, but for the decay of the learning rate, where the paper is
# followed: the code takes a thousandth of what it says off, so its rate stays. demo: for a CPU and 64 px. Five
# halvings leave 2×2 patches there, as six of 128 px do: the penalty is on their sum and the loss on their mean, so a
# critic of more patches weighs less beside the other losses. On grey and coloured pictures a critic of 16 channels
# learnt nothing with two of three seeds: its slope fell to 0 in the first hundred updates. One of 32 learnt with both
# that were tried.
PRESETS: dict[str, StarGANSettings] = {
    "paper": StarGANSettings(batch=16),
    "demo": StarGANSettings(
        batch=8,
        width=16,
        blocks=3,
        d_width=32,
        d_layers=5,
        lr=4e-4,
        n_critic=2,
        constant_updates=2400,
        decay_updates=1200,
        average_kimg=2.0,
        val_fraction=0.1,
    ),
}
