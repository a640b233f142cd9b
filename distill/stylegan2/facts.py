"""What a data set says of its teacher."""

from __future__ import annotations

from pydantic import Field

from distill.schema import Frozen


class Teacher(Frozen):
    """The generator of a data set. Name, licence and origin inform; the other fields decide the pixels."""

    name: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    resolution: int
    num_ws: int
    z_dim: int
    w_dim: int
    licence: str = "unknown"
    origin: str = "unknown"


def teacher_facts(source: str) -> Teacher:
    """Read name, size, hash, licence and origin of the generator behind a registry name, file or URL."""
    # Deferred, so that a recipe can be read without importing torch.
    from distill.stylegan2.networks import shape_of_state
    from distill.weights.registry import cached_checkpoint, entry_of, resolve

    path = resolve(source)
    checkpoint = cached_checkpoint(path)
    shape = shape_of_state(checkpoint.state)
    entry = entry_of(source)
    return Teacher(
        name=entry.name if entry else path.name,
        sha256=checkpoint.sha256,
        resolution=shape.resolution,
        num_ws=shape.num_ws,
        z_dim=shape.z_dim,
        w_dim=shape.w_dim,
        licence=entry.licence if entry else "unknown",
        origin=entry.origin if entry else "unknown",
    )
