"""A tuned generator as what was added to its parent: a small file, of no use without that parent."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from distill.errors import DistillError, UnsupportedCheckpoint
from distill.files import atomic_write
from distill.stylegan2.generator import Generator
from distill.weights.checkpoint import file_sha256
from distill.weights.file_kinds import kind_of, opened
from distill.weights.safe_pickle.machine import shown
from distill.weights.safetensors_file import read_tensors, safetensors_chunks

FORMAT, SUFFIX = "distill-delta", ".delta.safetensors"
STORED = torch.float16  # what is added is small: its rounding is far below a grey level


def write_delta(path: Path, changes: Mapping[str, Tensor], parent: Generator) -> None:
    """Write what is added to the tensors of `parent`, by public name, as float16; the same one as the same bytes."""
    texts = {"format": FORMAT, "generator_sha256": parent.sha256}
    atomic_write(path, b"".join(safetensors_chunks(changes, texts, STORED)))


def load_delta(path: Path, parent: Generator) -> Generator:
    """Load a tuned generator: `parent` with what the file adds to it, as the generator of the file's sha256.

    Raises DistillError, in one line, for a delta of another parent, and for a file that is no delta.
    """
    with opened(path) as data:
        if kind_of(data) != "safetensors":
            raise UnsupportedCheckpoint("not a delta of a generator: not safetensors")
        changes, texts = read_tensors(path)
        if texts.get("format") != FORMAT:
            raise UnsupportedCheckpoint("safetensors, but not a delta of a generator")
    check_parent(path, "a delta to", str(texts.get("generator_sha256", "")), parent)
    state = parent.network.state_dict()
    for name, added in changes.items():
        if name not in state or state[name].shape != added.shape or not torch.isfinite(added).all():
            raise UnsupportedCheckpoint(f"{path}: it adds to {shown(name)} what does not fit there")
    return tuned_generator(parent, changes, sha256=file_sha256(path))


def tuned_generator(parent: Generator, changes: Mapping[str, Tensor], *, sha256: str = "") -> Generator:
    """Add to the tensors of a copy of `parent`, rounded as a file holds it."""
    network = copy.deepcopy(parent.network)
    tensors = dict(network.named_parameters()) | dict(network.named_buffers())
    with torch.no_grad():
        for name, added in changes.items():
            tensors[name] += added.to(STORED).to(tensors[name])
    return Generator(network, sha256=sha256, device=parent.device, precision=parent.precision)


def check_parent(path: Path, what: str, sha256: str, parent: Generator) -> None:
    """Raise DistillError where a file belongs to another generator than `parent`."""
    if sha256 != parent.sha256:
        raise DistillError(
            f"{path}: {what} the generator with sha256 {shown(sha256[:12])}…, this one has {parent.sha256[:12]}…:"
            " name the generator that it was made with"
        )
