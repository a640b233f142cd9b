"""Read named tensors out of a weight file without running anything in it: torch's two formats and safetensors."""

from __future__ import annotations

import json
import math
import mmap
import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from distill.errors import DistillError, UnsafePickle, UnsupportedCheckpoint
from distill.weights.safe_pickle.machine import MIB, shown
from distill.weights.safe_pickle.unpickle import BROKEN
from distill.weights.state import few, finite
from distill.weights.torch_archive import LEGACY_START, read_legacy, read_zip
from distill.weights.torch_records import TensorRecord

MAX_FILE = 8 * 1024 * MIB
_ZIP = b"PK\x03\x04"


@dataclass(frozen=True, kw_only=True)
class StateFile:
    """Tensors by name (floating point as finite float32, on the CPU) and, of safetensors, the texts beside them."""

    tensors: dict[str, Tensor]
    metadata: dict[str, str]


def read_state(path: Path, *, keep: Callable[[str], bool] = lambda name: True) -> StateFile:
    """Read a state dict, told apart by content, never by suffix; tensors that `keep` refuses stay in the file.

    Raises UnsafePickle for what is broken or asks for more than data, UnsupportedCheckpoint for what holds no
    state dict, DistillError for a file that cannot be read; each in one line that starts with the path.
    """
    try:
        data = _mapped(path)
        if bytes(data[:4]) == _ZIP:
            content = read_zip(data)
            _check_sums(path)
            return StateFile(tensors=_tensors(content, keep, len(data)), metadata={})
        if bytes(data[: len(LEGACY_START)]) == LEGACY_START:
            return StateFile(tensors=_tensors(read_legacy(data), keep, len(data)), metadata={})
        if bytes(data[8:9]) == b"{":
            return _read_safetensors(path, keep)
        start = shown(bytes(data[:16]).decode("latin-1"))
        raise UnsupportedCheckpoint(
            f"not a weight file: it starts with '{start}'; .pth, .pt, .safetensors are read"
        )
    except (UnsafePickle, UnsupportedCheckpoint) as error:
        raise type(error)(f"{path}: {error}") from error
    except OSError as error:
        raise DistillError(f"{path}: cannot be read ({error.strerror or error})") from error
    except BROKEN as error:
        raise UnsafePickle(f"{path}: broken weight file ({type(error).__name__})") from error


def _mapped(path: Path) -> memoryview:
    if not path.is_file():
        raise UnsupportedCheckpoint("not a file" if path.exists() else "no such file")
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if not 0 < size <= MAX_FILE:
            raise UnsupportedCheckpoint(f"{size:,} bytes; a weight file has 1 to {MAX_FILE:,}")
        return memoryview(mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ))


def _check_sums(path: Path) -> None:
    """Compare every member of a zip archive with the CRC-32 that torch.save wrote for it."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, RuntimeError) as error:
        raise UnsafePickle(f"damaged: {shown(str(error))}") from error
    if damaged is not None:
        raise UnsafePickle(f"damaged: the check sum of {shown(damaged)} differs; copy or download it again")


def _tensors(content: object, keep: Callable[[str], bool], file_size: int) -> dict[str, Tensor]:
    if not isinstance(content, dict):
        raise UnsupportedCheckpoint(f"not a state dict: it holds {shown(content)}")
    names = [name for name in content if isinstance(name, str) and keep(name)]
    other = [name for name in names if not isinstance(content[name], TensorRecord)]
    if other or len(names) < sum(keep(str(name)) for name in content):
        raise UnsupportedCheckpoint(
            f"not a state dict of one network: {few(other or list(content))} is no tensor"
        )
    total = sum(4 * math.prod(content[name].shape) for name in names)
    if total > 4 * file_size + MIB:  # float16 doubles; tensors on one storage may repeat it
        raise UnsafePickle(f"asks for {total:,} bytes of weights in a file of {file_size:,}")
    return {name: _tensor(name, content[name].values()) for name in names}


def _tensor(name: str, values: np.ndarray[Any, np.dtype[Any]]) -> Tensor:
    """Copy out of the file: integers (counters of old layers) as they are, the rest as finite float32."""
    if values.dtype.kind in "iub":
        return torch.from_numpy(np.array(values, order="C"))
    return torch.from_numpy(finite(name, values)).reshape(values.shape)


def _read_safetensors(path: Path, keep: Callable[[str], bool]) -> StateFile:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = {str(key): str(value) for key, value in (file.metadata() or {}).items()}
            tensors = {name: file.get_tensor(name) for name in file.keys() if keep(name)}  # noqa: SIM118
    except (SafetensorError, json.JSONDecodeError) as error:
        raise UnsupportedCheckpoint(f"truncated or broken safetensors file ({shown(str(error))})") from error
    floats = {
        name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()
    }
    return StateFile(
        tensors={name: _tensor(name, tensor.numpy()) for name, tensor in floats.items()}, metadata=metadata
    )
