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
from distill.training.settings import changed
from distill.training.stylegan2.settings import StyleGAN2Settings


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


def in_shape_of(shape: GeneratorShape, preset: StyleGAN2Settings) -> StyleGAN2Settings:
    """Return the preset with the widths of a generator; blocks that it has not keep those of the preset."""
    above = {size: width for size, width in preset.widths.items() if size > shape.resolution}
    own = {
        "latent": shape.w_dim,
        "mapping_layers": shape.mapping_layers,
        "widths": {**shape.channels, **above},
    }
    return changed(preset, own)


def read_start(source: str | Path, settings: StyleGAN2Settings, resolution: int) -> Start:
    """Read a generator (a registry name, a file, an address) of the shape that will be trained, or of its lower part.

    One of a lower resolution is grown, unless a child is to be trained: `begin_from` leaves the blocks above it as
    they are. Raises DistillError naming the first width that differs, and what `load_generator` raises.
    """
    generator = load_generator(source)
    shape = generator.network.shape
    if settings.child and shape.resolution != resolution:
        raise DistillError(
            f"{source} draws {shape.resolution} px and the run {resolution}: a child has its parent's resolution;"
            " leave out --resolution"
        )
    found = first_difference(shape, settings.shape(resolution))
    if found:
        larger = f"use --resolution {shape.resolution}, or " if shape.resolution > resolution else ""
        instead = larger or "leave out the setting that asks for it, or "
        raise DistillError(f"{source}: {found} to train; {instead}choose another generator")
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
