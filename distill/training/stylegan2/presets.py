"""The choices of a training run: one table, one frozen record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from distill.errors import DistillError
from distill.stylegan2.networks import GeneratorShape

RESOLUTIONS = tuple(4 << i for i in range(9))  # 4 to 1024 px


@dataclass(frozen=True, kw_only=True)
class StyleGAN2Preset:
    """Everything that decides what an update does, apart from the images, the resolution and the seed."""

    widths: Mapping[int, int]  # channels of generator and discriminator at each resolution
    latent: int  # width of z and of w
    mapping_layers: int
    batch: int  # images of one update, over all processes
    lr: float
    gamma: float  # of R1
    critic: Literal["stylegan2", "projected"] = "stylegan2"
    critic_lr: float | None = None  # of a projected critic; None: `lr`
    r1_every: int = 16  # updates
    path_weight: float = 0.0  # 0 turns path-length regularisation off
    path_every: int = 4
    mixing: float = 0.9  # chance that a sample takes its upper layers from a second w
    average_kimg: float = 10.0  # half-life of the weight average
    average_ramp_up: float | None = 0.05
    group: int = 4  # samples of the minibatch deviation
    noise: bool = False  # noise inputs; without them the strengths stay 0
    ada_target: float | None = 0.6  # None: p stays at `ada_p`
    ada_p: float = 0.0
    ada_kimg: float = 100.0  # p goes from 0 to 1 within so many thousand images at the fastest
    conv_clamp: float | None = None
    head_start_kimg: float = 0.0  # that the discriminator learns alone, before the generator moves

    def settings(self) -> dict[str, Any]:
        """Plain values, as stored with a run and compared when it is resumed."""
        return {key: value for key, value in asdict(self).items() if key != "widths"}

    def channels(self, resolution: int) -> dict[int, int]:
        """Widths up to `resolution`. Raises DistillError for one that this preset has no width for."""
        if resolution not in RESOLUTIONS:
            raise DistillError(f"resolution {resolution} is no power of two from 4 to 1024")
        if resolution not in self.widths:
            raise DistillError(
                f"resolution {resolution}: this preset has widths up to {max(self.widths)} px; choose another one"
            )
        return {size: width for size, width in self.widths.items() if size <= resolution}

    def shape(self, resolution: int) -> GeneratorShape:
        return GeneratorShape(
            z_dim=self.latent,
            w_dim=self.latent,
            mapping_layers=self.mapping_layers,
            channels=self.channels(resolution),
            conv_clamp=self.conv_clamp,
        )


def table(*widths: int) -> dict[int, int]:
    return dict(zip(RESOLUTIONS, widths, strict=False))


def with_projected_critic(preset: StyleGAN2Preset) -> StyleGAN2Preset:
    """Return the preset as it suits heads on frozen features.

    The heads learn within some thousand images, so they move slowly; their answers to real images have one sign soon,
    which is no guide for adaptive augmentation, so p is fixed. Tried at 64 px with 738 photographs.
    """
    return replace(preset, critic="projected", lr=1e-3, critic_lr=5e-4, ada_target=None, ada_p=0.2)


# tiny: for tests and first tries. small: a 16 MiB teacher; without noise inputs, which at this size the generator
# abuses to fake detail. paper256 and config-f: table 5 and appendix C of the ADA paper, and StyleGAN2's
# configuration F (channels 32768 / resolution, at most 512).
PRESETS: dict[str, StyleGAN2Preset] = {
    "tiny": StyleGAN2Preset(
        widths=table(32, 32, 32, 32, 24, 16),
        latent=32,
        mapping_layers=2,
        batch=16,
        lr=2.5e-3,
        gamma=0.1,
        average_kimg=1.0,
    ),
    "small": StyleGAN2Preset(
        widths=table(160, 160, 128, 96, 48, 32, 24),
        latent=128,
        mapping_layers=4,
        batch=32,
        lr=2.5e-3,
        gamma=0.3,
        average_kimg=5.0,
    ),
    "paper256": StyleGAN2Preset(
        widths=table(512, 512, 512, 512, 256, 128, 64, 32, 16),
        latent=512,
        mapping_layers=8,
        batch=64,
        lr=2.5e-3,
        gamma=1.0,
        path_weight=2.0,
        average_kimg=20.0,
        average_ramp_up=None,
        group=8,
        noise=True,
        ada_kimg=500.0,
    ),
    "config-f": StyleGAN2Preset(
        widths=table(512, 512, 512, 512, 512, 256, 128, 64, 32),
        latent=512,
        mapping_layers=8,
        batch=32,
        lr=2e-3,
        gamma=10.0,
        path_weight=2.0,
        average_ramp_up=None,
        noise=True,
        ada_kimg=500.0,
    ),
}
