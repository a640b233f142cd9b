"""The choices of a student's training: one table, one frozen record."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from distill.networks.pix2pixhd import Architecture, Norm
from distill.training.pix2pix.augment import KINDS


@dataclass(frozen=True, kw_only=True)
class Pix2PixPreset:
    """Everything that decides what an update does, apart from the triplets and the seed.

    An epoch is as many triplets as are trained on. λ: the weight of a loss beside the adversarial one.
    """

    resolution: int  # px; smaller where the shards hold less
    batch: int  # triplets of one update, over all processes
    ngf: int  # as all widths and depths: see `Architecture`
    downsamplings: int
    blocks: int
    constant_epochs: float  # at the full learning rate
    decay_epochs: float  # of linear decay to 0
    warm_up_epochs: float = 0.0  # the first of all those: pixels alone
    enhancers: int = 0
    norm: Norm = "instance"  # of the generator
    ndf: int = 64  # of the discriminator, as the next two
    d_layers: int = 3
    d_scales: int = 2
    lr: float = 2e-4
    feature_matching: float = 10.0  # λ
    perceptual: float = 10.0  # λ
    l1: float = 0.0  # λ of the distance of pixels, which Pix2PixHD has not and pix2pix has (100)
    average_kimg: float = 0.0  # half-life of the weight average that is the student; 0: the last weights are
    augment: tuple[str, ...] = KINDS

    def architecture(self, inputs: int) -> Architecture:
        """The generator for so many RGB inputs."""
        return Architecture(
            inputs=3 * inputs,
            ngf=self.ngf,
            downsamplings=self.downsamplings,
            blocks=self.blocks,
            enhancers=self.enhancers,
            norm=self.norm,
        )

    def settings(self) -> dict[str, Any]:
        """Plain values that a resumed run must share: not the schedule, which may be extended or slowed down."""
        free = ("resolution", "lr", "constant_epochs", "decay_epochs")
        return {key: value for key, value in asdict(self).items() if key not in free} | {
            "augment": list(self.augment)
        }


# seed: the course report on StyleGAN2 distillation that trained 25,000 triplets (Pix2PixHD's public defaults, half
# as long). paper: Viazovetskyi et al. 2020. demo: for two CPU cores and 64 px. There a narrow network learns in an
# hour only if it is told what is wrong pixel by pixel (λ of pix2pix), mostly that alone, if its targets are not
# resampled, if its narrowest maps have 16 x 16 places: with 8 x 8 it learns more slowly and costs more, and if its
# normalisation leaves it the colours of its inputs: batch normalisation was after 8 kimg where instance normalisation
# was after 38.
PRESETS: dict[str, Pix2PixPreset] = {
    "seed": Pix2PixPreset(
        resolution=256, batch=8, ngf=64, downsamplings=4, blocks=9, constant_epochs=50, decay_epochs=50
    ),
    "paper": Pix2PixPreset(
        resolution=512, batch=8, ngf=64, downsamplings=4, blocks=9, constant_epochs=100, decay_epochs=100
    ),
    "demo": Pix2PixPreset(
        resolution=64,
        batch=8,
        ngf=32,
        downsamplings=2,
        blocks=4,
        norm="batch",
        ndf=16,
        lr=1e-3,
        l1=100.0,
        average_kimg=2.0,
        augment=("flip", "colour"),
        warm_up_epochs=34,
        constant_epochs=8,
        decay_epochs=32,
    ),
}
