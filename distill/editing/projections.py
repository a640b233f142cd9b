"""Projections on disk: NAME.npz (`w` [1, L, D]), NAME.json (what it is), NAME.png, of PTI NAME.delta.safetensors.

The JSON is written last: with it a projection is complete. L w+ layers, D latent width.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from distill.editing.embedding import SPACES
from distill.errors import DistillError, UnsupportedCheckpoint
from distill.files import read_regular
from distill.schema import parse_json
from distill.stylegan2.delta import SUFFIX, check_parent, load_delta
from distill.stylegan2.generator import Generator
from distill.weights.file_kinds import opened
from distill.weights.npy import read_npz
from distill.weights.safe_pickle.machine import shown

FORMAT = "distill-projection"
FARTHEST = 1e6  # of a number of w; what is further out is no latent, and overflows as it is drawn
MAX_BYTES = 64 << 20  # of the arrays of one projection


@dataclass(frozen=True, kw_only=True, eq=False)
class StoredProjection:
    """One photo in latent space: w+ [L, D] float32 on the CPU, `facts` of its JSON, and of PTI its delta."""

    name: str
    space: str
    ws: Tensor
    facts: Mapping[str, Any]
    delta: Path | None = None

    def generator(self, parent: Generator) -> Generator:
        """Return what draws it: in PTI the generator tuned to it, else `parent`."""
        return parent if self.delta is None else load_delta(self.delta, parent)


def read_projections(folder: str | PathLike[str], generator: Generator) -> list[StoredProjection]:
    """Read the projections of a folder of `distill project`, in the order of their names.

    Raises DistillError, in one line, where there are none, where one is of another generator or broken, and for the
    folder above several spaces.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DistillError(f"{folder}: no such folder of projections")
    for array in sorted(folder.glob("*.npz")):
        if read_facts(array.with_suffix(".json")) is None:
            raise DistillError(f"{array}: the JSON beside it is missing or broken; run distill project again")
    found = [
        read_projection(path, generator, facts)
        for path in sorted(folder.glob("*.json"))
        if (facts := read_facts(path)) is not None
    ]
    if not found:
        below = [str(folder / space) for space in SPACES if any((folder / space).glob("*.npz"))]
        told = f"it holds several spaces: name {' or '.join(below)}" if below else "no projections in it"
        raise DistillError(f"{folder}: {told}")
    return found


def read_facts(path: Path) -> dict[str, Any] | None:
    """Return what the JSON of a projection says, None for another file and one that cannot be read."""
    try:
        facts = parse_json(read_regular(path))
    except (OSError, ValueError):
        return None
    return facts if isinstance(facts, dict) and facts.get("format") == FORMAT else None


def read_projection(path: Path, generator: Generator, facts: Mapping[str, Any]) -> StoredProjection:
    """Read the projection that `facts`, of the JSON `path`, tell of."""
    name, space = path.stem, str(facts.get("space"))
    check_parent(path, "projected into", str(facts.get("generator_sha256", "")), generator)
    array = path.with_name(f"{name}.npz")
    with opened(array) as data:
        w = read_npz(data, most=MAX_BYTES).get("w")
        wanted = (1, generator.num_ws, generator.w_dim)
        if w is None or w.shape != wanted or not (np.abs(w) < FARTHEST).all():
            told = "no array w" if w is None else f"w is {shown(str(w.dtype))} {list(w.shape)}"
            raise UnsupportedCheckpoint(
                f"no projection into this generator: {told}, not finite {list(wanted)}"
            )
        ws_LD = torch.from_numpy(np.array(w[0], dtype=np.float32))
    delta = path.with_name(f"{name}{SUFFIX}") if space == "pti" else None
    if delta is not None and not delta.is_file():
        raise DistillError(f"{delta}: the weights of this projection are not there")
    return StoredProjection(name=name, space=space, ws=ws_LD, facts=facts, delta=delta)


def has_w(array: Path) -> bool:
    """Tell whether a .npz is there and whole."""
    try:
        with opened(array) as data:
            return "w" in read_npz(data, most=MAX_BYTES)
    except DistillError:
        return False


def array_bytes(ws_LD: Tensor) -> bytes:
    """Write w+ [L, D] as a .npz with `w` [1, L, D], float32, as NVIDIA's projector does."""
    buffer = io.BytesIO()
    np.savez(buffer, w=ws_LD[None].float().cpu().numpy())
    return buffer.getvalue()


def facts_bytes(facts: Mapping[str, Any]) -> bytes:
    return json.dumps(facts, indent=1).encode()
