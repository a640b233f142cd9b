"""The file of a direction: one tensor [L, D] and what it is, as safetensors.

L w+ layers, D latent width. Rows of layers that the direction leaves alone are zero.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from distill.directions.facts import LONGEST, read_facts
from distill.errors import DistillError, UnsupportedCheckpoint
from distill.files import atomic_write, user_path
from distill.weights.checkpoint import file_sha256
from distill.weights.file_kinds import kind_of, opened
from distill.weights.registry import weights_folder
from distill.weights.safe_pickle.machine import shown
from distill.weights.safetensors_file import read_tensors, safetensors_chunks

FORMAT = "distill-direction"
TENSOR = "direction"
SUFFIX = ".safetensors"
MAX_BYTES = 64 << 20
PUBLISHED = "read a published one with `distill directions import FILE --attribute NAME`"


@dataclass(frozen=True, kw_only=True, eq=False)
class Direction:
    """A step in w+: `vector` [L, D] (float32) is what strength 1 adds to w+.

    Strength is counted in standard deviations of w along the direction, over untruncated samples of its generator
    (`generator_sha256`). Positive strength raises the score of `attribute`. `sha256` is that of the file, "" for
    one that is in memory only. `facts`: plain values about how it was found.
    """

    name: str
    attribute: str
    vector: Tensor
    generator_sha256: str
    sha256: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    def check_fits(self, *, num_ws: int, w_dim: int, generator_sha256: str | None = None) -> None:
        """Raise DistillError where a generator has another shape, or is another one than the direction is from."""
        if tuple(self.vector.shape) != (num_ws, w_dim):
            raise DistillError(
                f"direction {self.name!r} has shape {list(self.vector.shape)}, this generator takes"
                f" [{num_ws}, {w_dim}]; fit one with `distill directions fit`"
            )
        if generator_sha256 is not None and generator_sha256 != self.generator_sha256:
            raise DistillError(
                f"direction {self.name!r} belongs to the generator with sha256 {self.generator_sha256[:12]}…,"
                f" this one has {generator_sha256[:12]}…; fit one with `distill directions fit`"
            )


def write_direction(path: Path, direction: Direction) -> None:
    """Write a direction, the same one as the same bytes; the file appears when it is complete."""
    metadata = {
        "format": FORMAT,
        "name": direction.name,
        "attribute": direction.attribute,
        "generator_sha256": direction.generator_sha256,
        "facts": json.dumps(dict(direction.facts), sort_keys=True),
    }
    tensors = {TENSOR: direction.vector.detach().float().cpu()}
    atomic_write(path, b"".join(safetensors_chunks(tensors, metadata, torch.float32)))


def read_direction(source: str | Path, *, generator: str | None = None) -> Direction:
    """Read a direction from a file, or by name.

    A name is looked up among the shipped ones: `gender` of the teacher `portraits` is portraits-gender; with
    `generator`, its registry name may be left out. Raises DistillError for an unknown name and
    UnsupportedCheckpoint for a file that is no direction.
    """
    path = _find(source, generator)
    with opened(path, most=MAX_BYTES) as data:
        _check_kind(data)
        tensors, texts = read_tensors(path)
        if texts.get("format") != FORMAT or TENSOR not in tensors:
            raise UnsupportedCheckpoint(f"safetensors, but no direction; {PUBLISHED}")
        vector = tensors[TENSOR]
        if vector.ndim != 2 or vector.dtype != torch.float32 or not torch.isfinite(vector).all():
            found = f"{shown(str(vector.dtype))} {list(vector.shape)}"
            raise UnsupportedCheckpoint(f"the direction is {found}, not finite float32 [L, D]")
        return Direction(
            name=shown(texts.get("name", path.stem), LONGEST),
            attribute=shown(texts.get("attribute", path.stem), LONGEST),
            vector=vector,
            generator_sha256=shown(texts.get("generator_sha256", ""), LONGEST),
            sha256=file_sha256(path),
            facts=read_facts(texts.get("facts", "{}")),
        )


def _check_kind(data: memoryview) -> None:
    """Refuse every other format, and say of those that directions are published in how they are read."""
    try:
        kind = kind_of(data)
    except UnsupportedCheckpoint as error:
        raise UnsupportedCheckpoint(f"no direction: {error}") from error
    if kind != "safetensors":
        raise UnsupportedCheckpoint(f"no direction of distill but a published array ({kind}); {PUBLISHED}")


def directions_folder() -> Path:
    """Return the folder of the shipped directions."""
    return weights_folder() / "directions"


def shipped_directions() -> list[str]:
    """Return the names of the shipped directions."""
    return sorted(path.stem for path in directions_folder().glob(f"*{SUFFIX}"))


def _find(source: str | Path, generator: str | None) -> Path:
    path = user_path(source)
    if path.exists() and not path.is_dir():
        return path
    for name in (str(source), f"{generator}-{source}"):
        shipped = directions_folder() / f"{name}{SUFFIX}"
        if shipped.parent == directions_folder() and shipped.is_file():
            return shipped
    known = ", ".join(shipped_directions()) or "none"
    of = f" of the generator {generator!r}" if generator else ""
    raise DistillError(f"unknown direction {str(source)!r}{of}: neither a file nor a shipped one ({known})")
