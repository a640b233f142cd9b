"""The settings of a teacher's training, and the table of its presets."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator

from distill.errors import DistillError
from distill.stylegan2.networks import GeneratorShape
from distill.training import processes
from distill.training.settings import (
    Count,
    CountFromZero,
    FromZero,
    Positive,
    Share,
    TrainerSettings,
    changed,
)

RESOLUTIONS = tuple(4 << i for i in range(9))  # 4 to 1024 px
FAST_ADA_KIMG = 100.0
HEAD_START_KIMG = 8.0
PROJECTED_HEAD_START_KIMG = 1.0  # heads on frozen features know the images apart after 32 updates
CHILD_KIMG, CHILD_AVERAGE_KIMG, CHILD_FREEZE_D = 20.0, 1.0, 4
CHILD_LR = {"stylegan2": 2e-3, "projected": 5e-4}  # by critic
CHILD_STRUCTURE = CHILD_COLOUR = 40.0


def read_widths(value: Any) -> Any:
    """Read the text 4:32,8:32,16:24 as resolutions with their channels; leave anything else to its checks."""
    if not isinstance(value, str):
        return value
    if not _WIDTHS.fullmatch(value):
        raise ValueError("4:512,8:256 is needed, px:channels")
    return dict(part.split(":") for part in value.split(","))


_WIDTHS = re.compile(r"\d+:\d+(,\d+:\d+)*")
Widths = Annotated[dict[int, Count], BeforeValidator(read_widths)]


class StyleGAN2Settings(TrainerSettings):
    """Everything that decides what an update does, apart from the images and the seed."""

    # the data
    resolution: Count | None = None  # px; None: that of the images
    mirror: bool = False  # show half of the images mirrored
    held_out: CountFromZero | None = None  # images kept for the score; None: a tenth, up to 1000
    # the networks
    widths: Widths  # channels of generator and discriminator at each resolution
    latent: Count  # width of z and of w
    mapping_layers: Count
    critic: Literal["stylegan2", "projected"] = "stylegan2"
    init: str | None = None  # a generator to start from: a file or a name
    child: bool = False  # of `init`: the mapping stays, so that one w draws in both
    # the updates
    kimg: Positive = 1000.0  # thousands of images of the whole run
    gamma: FromZero  # of R1
    critic_lr: Positive | None = None  # of a projected critic; None: `lr`
    r1_every: Count = 16  # updates
    path_weight: FromZero = 0.0  # 0 turns path-length regularisation off
    path_every: Count = 4
    mixing: Share = 0.9  # chance that a sample takes its upper layers from a second w
    average_kimg: FromZero = 10.0  # half-life of the weight average
    average_ramp_up: FromZero | None = 0.05
    group: Count = 4  # samples of the minibatch deviation
    noise: bool = False  # noise inputs; without them the strengths stay 0
    ada_target: Share | None = 0.6  # None: p stays at `ada_p`
    ada_p: Share = 0.0
    ada_kimg: Positive = 100.0  # p goes from 0 to 1 within this many thousand images at the fastest
    conv_clamp: Positive | None = None
    head_start_kimg: FromZero = 0.0  # that the discriminator learns alone, before the generator moves
    freeze_d: CountFromZero = 0  # first layers of the discriminator, which stay after its head start
    structure_weight: FromZero = 0.0  # of a child's distance to what its parent draws in coarse resolutions
    colour_weight: FromZero = 0.0  # of its distance to the parent's finished pictures, averaged to 16 px
    # the file
    float16: bool = False  # write the generator in half precision

    free: ClassVar = frozenset({"kimg", "init", "held_out", "resolution", "float16"})

    def channels(self, resolution: int) -> dict[int, int]:
        """Widths up to `resolution`. Raises DistillError for one that this preset has no width for."""
        if resolution not in RESOLUTIONS:
            raise DistillError(f"resolution {resolution} is not a power of two from 4 to 1024")
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


def settle(preset: StyleGAN2Settings, changes: Mapping[str, object]) -> StyleGAN2Settings:
    """Apply the changes, and before them what critic and start ask for. Raises DistillError."""
    asked = dict(changes)
    augment = asked.pop("augment", None)
    if asked.get("critic") == "projected":
        preset = with_projected_critic(preset)
    if asked.get("init") is not None:
        preset = for_transfer(preset)
    if changed(preset, {"child": asked.get("child", False)}).child:
        preset = for_child(preset)
    settings = changed(preset, asked | (augmentation(str(augment)) if augment is not None else {}))
    check_family(settings)
    processes.check_batch(settings.batch)
    share = settings.batch // processes.world_size()
    if share % min(settings.group, share):
        raise DistillError(
            f"{share} images of a batch in each process are not a multiple of {settings.group}, the group of the"
            " minibatch deviation: choose another --batch"
        )
    return settings


def with_projected_critic(preset: StyleGAN2Settings) -> StyleGAN2Settings:
    """Return the preset as it suits heads on frozen features.

    The heads learn within some thousand images, so they move slowly; their answers to real images have one sign soon,
    which is no guide for adaptive augmentation, so p is fixed. Tried at 64 px with 738 photographs.
    """
    return changed(
        preset, {"critic": "projected", "lr": 1e-3, "critic_lr": 5e-4, "ada_target": None, "ada_p": 0.2}
    )


def for_transfer(preset: StyleGAN2Settings) -> StyleGAN2Settings:
    """Return the preset as it suits a generator that draws already.

    The average keeps its full half-life from the first update on: a ramp-up would forget a good start within
    moments. p rises from 0 to 1 within 100 kimg, since the new images are often few. Both as in the public ADA code.

    The discriminator learns alone at first: a new one against a generator that draws well finds no hold, as the
    generator moves away from every hint, and settles on one answer for all images (seen at 64 px: after 4 kimg a
    loss of 2 ln 2, and a gradient that fades; alone it tells the images apart within 3 kimg).
    """
    head_start = HEAD_START_KIMG if preset.critic == "stylegan2" else PROJECTED_HEAD_START_KIMG
    return changed(
        preset,
        {
            "average_ramp_up": None,
            "ada_kimg": min(preset.ada_kimg, FAST_ADA_KIMG),
            "head_start_kimg": head_start,
        },
    )


def for_child(preset: StyleGAN2Settings) -> StyleGAN2Settings:
    """Return the preset as it suits a child that is to keep the correspondence with its parent.

    That is lost by long training: about 20 kimg, a learning rate of 0.002 and the first 4 layers of the
    discriminator frozen are what the public codes of DualStyleGAN and FreezeG take. Those layers have learnt in the
    head start; heads on frozen features have none. The average must follow within so short a run.
    """
    return changed(
        preset,
        {
            "kimg": CHILD_KIMG,
            "lr": min(preset.lr, CHILD_LR[preset.critic]),
            "average_kimg": min(preset.average_kimg, CHILD_AVERAGE_KIMG),
            "freeze_d": CHILD_FREEZE_D if preset.critic == "stylegan2" else 0,
            "structure_weight": CHILD_STRUCTURE,
            "colour_weight": CHILD_COLOUR,
        },
    )


def check_family(settings: StyleGAN2Settings) -> None:
    """Raise DistillError for what only a child has, or a discriminator of its own."""
    if settings.child and settings.init is None:
        raise DistillError("--child needs --init FILE|NAME: the parent that it shares its latent with")
    for name in ("structure_weight", "colour_weight"):
        if getattr(settings, name) and not settings.child:
            raise DistillError(
                f"{name} {getattr(settings, name):g}: only a child is held to a parent; add --child"
            )
    if not settings.freeze_d:
        return
    if settings.critic == "projected":
        raise DistillError(
            f"freeze_d {settings.freeze_d}: a projected critic rests on frozen features already; leave it out"
        )
    if not settings.head_start_kimg:
        raise DistillError(
            f"freeze_d {settings.freeze_d}: without head_start_kimg these layers would never learn"
        )


def augmentation(text: str) -> dict[str, Any]:
    """Read --augment: a target, p=NUMBER, or none."""
    if text == "none":
        return {"ada_target": None, "ada_p": 0.0}
    fixed = text.startswith("p=")
    try:
        value = float(text.removeprefix("p="))
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise DistillError(f"augment {text!r}: give a target from 0 to 1, p=NUMBER from 0 to 1, or none")
    return {"ada_target": None, "ada_p": value} if fixed else {"ada_target": value}


# tiny: for tests and first tries. small: a 16 MiB teacher; without noise inputs, which at this size the generator
# abuses to fake detail. paper256 and config-f: table 5 and appendix C of the ADA paper, and StyleGAN2's
# configuration F (channels 32768 / resolution, at most 512).
PRESETS: dict[str, StyleGAN2Settings] = {
    "tiny": StyleGAN2Settings(
        widths=table(32, 32, 32, 32, 24, 16),
        latent=32,
        mapping_layers=2,
        batch=16,
        lr=2.5e-3,
        gamma=0.1,
        average_kimg=1.0,
    ),
    "small": StyleGAN2Settings(
        widths=table(160, 160, 128, 96, 48, 32, 24),
        latent=128,
        mapping_layers=4,
        batch=32,
        lr=2.5e-3,
        gamma=0.3,
        average_kimg=5.0,
    ),
    "paper256": StyleGAN2Settings(
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
    "config-f": StyleGAN2Settings(
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
