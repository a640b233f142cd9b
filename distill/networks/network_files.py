"""What files of generators have in common: their tensors checked by name and shape, and written as safetensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from distill.errors import DistillError, UnsupportedCheckpoint, os_error
from distill.files import atomic_write
from distill.weights.safe_pickle.machine import shown
from distill.weights.safetensors_file import safetensors_chunks
from distill.weights.state import few

COUNT = ".num_batches_tracked"  # of normalisation layers, which PyTorch counts and nobody reads

State = Mapping[str, Tensor]


def named_tensors(network: nn.Module) -> dict[str, Tensor]:
    """Return all that a file holds: the state but for the counts of normalisation layers."""
    return {name: tensor for name, tensor in network.state_dict().items() if not name.endswith(COUNT)}


def stored_tensors(network: nn.Module) -> dict[str, Tensor]:
    """Return the same on the CPU, float32, in the plain order of their axes."""
    return {
        name: tensor.detach().to("cpu", torch.float32).contiguous()
        for name, tensor in named_tensors(network).items()
    }


def without_counts(state: State) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in state.items() if not name.endswith(COUNT)}


def counts_of(network: nn.Module) -> dict[str, Tensor]:
    """Return the counts that no file holds, at 0, by name."""
    names = [name for name, _ in network.named_buffers() if name.endswith(COUNT)]
    return {name: torch.zeros([], dtype=torch.int64) for name in names}


def check_tensors(state: State, expected: State, what: str) -> None:
    """Raise UnsupportedCheckpoint for tensors that are missing, left over or of another shape, naming the first.

    `what`: the network, such as "Pix2PixHD generator".
    """
    missing, extra = sorted(expected.keys() - state.keys()), sorted(state.keys() - expected.keys())
    if missing:
        raise UnsupportedCheckpoint(f"not a complete {what}: {len(missing)} tensors missing: {few(missing)}")
    if extra:
        raise UnsupportedCheckpoint(f"not a plain {what}: {len(extra)} unknown tensors: {few(extra)}")
    for name, tensor in expected.items():
        if state[name].shape != tensor.shape:
            found, needed = list(state[name].shape), list(tensor.shape)
            raise UnsupportedCheckpoint(f"{name} has shape {found}, this {what} needs {needed}")


def write_network(
    path: Path,
    network: nn.Module,
    *,
    form: str,
    architecture: Any,
    texts: Mapping[str, str] | None = None,
    half: bool = False,
) -> None:
    """Write a network as safetensors, `half` in float16, and some texts about it, the same bytes every time.

    `form` says what network it is, `architecture` (a dataclass) its sizes; `texts` must not name `format` nor any of
    these. Whole or not at all. Raises DiskFull, DistillError where the file cannot be written.
    """
    own = {"format": form, **{name: str(value) for name, value in asdict(architecture).items()}}
    taken = sorted(own.keys() & (texts or {}).keys())
    if taken:
        raise DistillError(f"{path}: {shown(taken[0])} is set by the network and cannot be given as a fact")
    dtype = torch.float16 if half else torch.float32
    chunks = safetensors_chunks(stored_tensors(network), {**(texts or {}), **own}, dtype)
    write_whole(path, b"".join(chunks))


def write_whole(path: Path, data: bytes) -> None:
    """Write a file, whole or not at all. Raises DiskFull, DistillError where it cannot be written."""
    try:
        atomic_write(path, data)
    except OSError as error:
        raise os_error(error) from error
