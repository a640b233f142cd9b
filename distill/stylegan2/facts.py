"""What a data set says of its teacher."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, ValidationError

from distill.schema import Frozen

PARENT, PARENT_SHA256 = "parent", "parent_sha256"  # of the facts in a file


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


class Parent(Frozen):
    """The generator that another one was fine-tuned from with the mapping kept: a w means the same in both."""

    name: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")

    def facts(self) -> dict[str, str]:
        """The facts in a generator's file that say so."""
        return {PARENT: self.name, PARENT_SHA256: self.sha256}


def parent_in(facts: Mapping[str, Any]) -> Parent | None:
    """Read the parent off the facts of a generator's file; None where it has none, or not a whole record of it."""
    try:
        return Parent(name=str(facts[PARENT]), sha256=str(facts[PARENT_SHA256]))
    except (KeyError, ValidationError):
        return None


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
