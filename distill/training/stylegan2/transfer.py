"""Start a training from a generator that exists: transfer learning with a fresh discriminator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from distill.errors import DistillError
from distill.files import path_text
from distill.stylegan2.load import load_generator
from distill.stylegan2.networks import GeneratorShape
from distill.training.stylegan2.settings import PRESETS, StyleGAN2Settings


@dataclass(frozen=True, kw_only=True, eq=False)
class Start:
    """The tensors to start from, under the public names; `source` as the user wrote it."""

    source: str
    sha256: str
    state: dict[str, Tensor]

    @property
    def name(self) -> str:
        """What a file that others get may say of it: no folder of this machine."""
        return path_text(Path(self.source).name if Path(self.source).exists() else self.source)


def read_start(source: str | Path, settings: StyleGAN2Settings, resolution: int) -> Start:
    """Read a generator (a registry name, a file, an address) of the shape that will be trained, or of its lower part.

    One of a lower resolution is grown: `begin_from` leaves the blocks above it as they are. Raises DistillError
    naming the first width that differs, and what `load_generator` raises.
    """
    generator = load_generator(source)
    shape = generator.network.shape
    found = first_difference(shape, settings.shape(resolution))
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
