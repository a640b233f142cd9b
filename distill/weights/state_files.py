"""Read named tensors out of a weight file without running anything in it: torch's two formats and safetensors."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from distill.errors import UnsafePickle, UnsupportedCheckpoint
from distill.weights.file_kinds import kind_of, opened
from distill.weights.safe_pickle.machine import MIB
from distill.weights.safetensors_file import read_tensors
from distill.weights.state import finite
from distill.weights.state_dicts import find_state, plain_names
from distill.weights.torch_archive import read_torch
from distill.weights.torch_records import TensorRecord
from distill.weights.torch_script import is_script, read_script


@dataclass(frozen=True, kw_only=True)
class StateFile:
    """Tensors by name (floating point as finite float32, on the CPU) and, of safetensors, the texts beside them."""

    tensors: dict[str, Tensor]
    metadata: dict[str, str]


def read_state(
    path: Path, *, keep: Callable[[str], bool] = lambda name: True, scripts: bool = False
) -> StateFile:
    """Read a state dict, told apart by content, never by suffix; tensors that `keep` refuses stay in the file.

    `scripts`: of a TorchScript archive, take the tensors of its modules.

    Raises UnsafePickle for what is broken or asks for more than data, UnsupportedCheckpoint for what holds no
    state dict, DistillError for a file that cannot be read; each in one line that starts with the path.
    """
    with opened(path) as data:
        match kind_of(data):
            case "torch":
                content = read_script(data) if scripts and is_script(data) else read_torch(data)
                return StateFile(tensors=_tensors(content, keep, len(data)), metadata={})
            case "safetensors":
                tensors, texts = read_tensors(path, keep=keep)
                return StateFile(
                    tensors={name: _widened(name, tensor) for name, tensor in plain_names(tensors).items()},
                    metadata=texts,
                )
            case other:
                raise UnsupportedCheckpoint(f"not a state dict but {other}; .pth, .pt, .safetensors are read")


def _tensors(content: object, keep: Callable[[str], bool], file_size: int) -> dict[str, Tensor]:
    found = find_state(content, lambda value: isinstance(value, TensorRecord)).tensors
    kept = {name: tensor for name, tensor in found.items() if keep(name)}
    total = sum(4 * math.prod(tensor.shape) for tensor in kept.values())
    if total > 4 * file_size + MIB:  # float16 doubles; tensors on one storage may repeat it
        raise UnsafePickle(f"asks for {total:,} bytes of weights in a file of {file_size:,}")
    return {name: _tensor(name, tensor.values()) for name, tensor in kept.items()}


def _widened(name: str, tensor: Tensor) -> Tensor:
    return _tensor(name, (tensor.float() if tensor.is_floating_point() else tensor).numpy())


def _tensor(name: str, values: np.ndarray[Any, np.dtype[Any]]) -> Tensor:
    """Copy out of the file: integers (counters of old layers) as they are, the rest as finite float32."""
    if values.dtype.kind in "iub":
        return torch.from_numpy(np.array(values, order="C"))
    return torch.from_numpy(finite(name, values)).reshape(values.shape)
