"""Read a StyleGAN2 generator from any of five file formats without running anything in it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from distill import files
from distill.errors import DistillError, UnsupportedCheckpoint
from distill.weights import named_state, rosinality
from distill.weights.file_kinds import kind_of, opened
from distill.weights.nvidia_pytorch import convert_nvidia_pytorch, is_nvidia
from distill.weights.nvidia_tensorflow import convert_nvidia_tensorflow
from distill.weights.safe_pickle.machine import MIB, Limits
from distill.weights.safe_pickle.records import NVIDIA, TFNetwork
from distill.weights.safe_pickle.unpickle import load
from distill.weights.safetensors_file import read_generator_tensors, write_tensors
from distill.weights.state import few
from distill.weights.state_dicts import find_network
from distill.weights.torch_archive import PACKED_TENSORS, TORCH_FILE, read_torch

MAX_MEMORY = 1280 * MIB  # of a pickle; the largest published one, as protocol 2 writes it, needs 950


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A generator's tensors under the public names: float32, contiguous, finite, on the CPU.

    `facts` are plain values (architecture, mapping_lr_multiplier, conv_clamp, origin, …); `format` is one of
    nvidia-pytorch, nvidia-tensorflow, rosinality, state-dict, safetensors; `sha256` is that of the file.
    """

    state: dict[str, Tensor]
    facts: dict[str, Any]
    format: str
    sha256: str


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a generator from NVIDIA's pickles, rosinality's `.pt`, a state dict or `.safetensors`, by content.

    Raises UnsafePickle for what is broken or asks for more than data, UnsupportedCheckpoint for another
    network, DistillError for a file that cannot be read; each in one line that starts with the path.
    """
    path = Path(path)
    with opened(path) as data:
        match kind_of(data):
            case "torch":
                state, facts, name = _converted(read_torch(data, table={**TORCH_FILE, **NVIDIA}))
            case "pickle":
                state, facts, name = _read_pickle(data)
            case "safetensors":
                (state, facts), name = read_generator_tensors(path), "safetensors"
            case other:
                raise UnsupportedCheckpoint(
                    f"not a weight file but {other}; .pkl, .pt and .safetensors are read"
                )
        return Checkpoint(state=state, facts=facts, format=name, sha256=hashlib.sha256(data).hexdigest())


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file in hex. Raises DistillError when it cannot be read."""
    try:
        return files.file_sha256(path)
    except OSError as error:
        raise DistillError(f"{path}: cannot be read ({error.strerror})") from error


def _read_pickle(data: memoryview) -> tuple[dict[str, Tensor], dict[str, Any], str]:
    limits = Limits(memory=min(512 * MIB + 2 * len(data), MAX_MEMORY))
    content, _ = load(data, {**PACKED_TENSORS, **NVIDIA}, limits=limits)
    return _converted(content)


def _converted(content: object) -> tuple[dict[str, Tensor], dict[str, Any], str]:
    """Tell by its content what a pickle is, and turn it into (state, facts, format)."""
    networks = content if isinstance(content, tuple) else ()
    if len(networks) == 3 and all(isinstance(network, TFNetwork) for network in networks):
        return *convert_nvidia_tensorflow(networks), "nvidia-tensorflow"
    if is_nvidia(content):
        return *convert_nvidia_pytorch(content), "nvidia-pytorch"
    found = find_network(content, (rosinality.MARK, named_state.MARK))
    if found is None:
        raise UnsupportedCheckpoint(f"not a StyleGAN2 generator: holds {_told(content)}")
    if found.mark == named_state.MARK:
        return *named_state.convert_named(found), "state-dict"
    return *rosinality.convert_rosinality(content, found), "rosinality"


def _told(content: object) -> str:
    if not isinstance(content, dict):
        return f"a {type(content).__name__}"
    return f"a dict of {few(content) or 'nothing'}"


def save_safetensors(path: Path, checkpoint: Checkpoint, *, dtype: torch.dtype = torch.float32) -> None:
    """Write the state and the facts (as strings) to one file: whole or not at all, the same bytes every time.

    `dtype`: float32, float16, bfloat16 or float64. Raises DistillError when it cannot be written, DiskFull.
    """
    write_tensors(Path(path), checkpoint.state, checkpoint.facts, dtype=dtype)
