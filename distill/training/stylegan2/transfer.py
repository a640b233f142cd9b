"""Start a training from a generator that exists: transfer learning with a fresh discriminator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from distill.errors import DistillError
from distill.stylegan2.load import load_generator
from distill.stylegan2.networks import GeneratorShape
from distill.training.stylegan2.presets import PRESETS, StyleGAN2Preset
from distill.training.stylegan2.step import StyleGAN2Step

FAST_ADA_KIMG = 100.0
HEAD_START_KIMG = 8.0
PROJECTED_HEAD_START_KIMG = 1.0  # heads on frozen features know the images apart after 32 updates


@dataclass(frozen=True, kw_only=True, eq=False)
class Start:
    """The tensors to start from, under the public names; `source` as the user wrote it."""

    source: str
    sha256: str
    state: dict[str, Tensor]

    @property
    def name(self) -> str:
        """What a file that others get may say of it: no folder of this machine."""
        return Path(self.source).name if Path(self.source).exists() else self.source


def for_transfer(preset: StyleGAN2Preset) -> StyleGAN2Preset:
    """Return the preset as it suits a generator that draws already.

    The average keeps its full half-life from the first update on: a ramp-up would forget a good start within
    moments. p rises from 0 to 1 within 100 kimg, since the new images are often few. Both as in the public ADA code.

    The discriminator learns alone at first: a new one against a generator that draws well finds no hold, as the
    generator moves away from every hint, and settles on one answer for all images (seen at 64 px: after 4 kimg a
    loss of 2 ln 2, and a gradient that fades; alone it tells the images apart within 3 kimg).
    """
    return replace(
        preset,
        average_ramp_up=None,
        ada_kimg=min(preset.ada_kimg, FAST_ADA_KIMG),
        head_start_kimg=HEAD_START_KIMG if preset.critic == "stylegan2" else PROJECTED_HEAD_START_KIMG,
    )


def read_start(source: str | Path, preset: StyleGAN2Preset, resolution: int) -> Start:
    """Read a generator (a registry name, a file, an address) of the shape that will be trained, or of its lower part.

    One of a lower resolution is grown: `begin_from` leaves the blocks above it as they are. Raises DistillError
    naming the first width that differs, and what `load_generator` raises.
    """
    generator = load_generator(source)
    shape = generator.network.shape
    found = first_difference(shape, preset.shape(resolution))
    if found:
        raise DistillError(f"{source}: {found} to train; {_remedy(shape, resolution)}")
    return Start(source=str(source), sha256=generator.sha256, state=generator.network.state_dict())


def first_difference(there: GeneratorShape, wanted: GeneratorShape) -> str:
    """Say where two shapes differ first ("48 channels at 64 px there, 32 in the network"), or ""."""
    for (what, has), (_, needs) in zip(_sizes(there, wanted), _sizes(wanted, wanted), strict=False):
        if has != needs and not (what == "resolution" and has < needs):
            return f"{what} {has} there, {needs} in the network"
    return ""


def _sizes(shape: GeneratorShape, wanted: GeneratorShape) -> Iterator[tuple[str, float]]:
    yield "resolution", shape.resolution
    yield "width of z", shape.z_dim
    yield "width of w", shape.w_dim
    yield "mapping layers", shape.mapping_layers
    yield "learning-rate multiplier of the mapping", shape.mapping_lr_multiplier
    for size in sorted(size for size in wanted.channels if size <= shape.resolution):
        yield f"channels at {size} px", shape.channels.get(size, 0)


def _remedy(shape: GeneratorShape, resolution: int) -> str:
    """Name what fits: another resolution, another preset, or nothing."""
    if shape.resolution > resolution:
        return f"use --resolution {shape.resolution} with a preset of its widths, or another generator"
    fitting = [
        name
        for name, preset in PRESETS.items()
        if resolution in preset.widths and not first_difference(shape, preset.shape(resolution))
    ]
    return f"use --preset {fitting[0]}" if fitting else "no preset has its widths: choose another generator"


def begin_from(step: StyleGAN2Step, start: Start) -> None:
    """Give the generator and its average these tensors; without noise inputs, strengths of 0.

    Blocks that the tensors do not reach keep their random features and add no colour yet: the network begins as the
    smaller one, doubled by interpolation (progressive growing, Karras et al. 2018, without its fading).
    """
    state = dict(start.state)
    if not step.preset.noise:
        state |= {name: tensor * 0 for name, tensor in state.items() if name.endswith("noise_strength")}
    new = {name: tensor for name, tensor in step.generator.state_dict().items() if name not in state}
    state |= {name: tensor * 0 if name.endswith("torgb.weight") else tensor for name, tensor in new.items()}
    for network in (step.generator, step.average):
        network.load_state_dict(state, strict=True)
