"""Read a StyleGAN2 generator from any of four file formats without running anything in it."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import mmap
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from distill.errors import DiskFull, DistillError, UnsafePickle, UnsupportedCheckpoint
from distill.weights.nvidia_pytorch import convert_nvidia_pytorch
from distill.weights.nvidia_tensorflow import convert_nvidia_tensorflow
from distill.weights.rosinality import convert_rosinality
from distill.weights.safe_pickle.machine import MIB, Limits, shown
from distill.weights.safe_pickle.records import NVIDIA, TFNetwork
from distill.weights.safe_pickle.unpickle import BROKEN, load
from distill.weights.safetensors_file import read_safetensors, safetensors_chunks
from distill.weights.torch_archive import LEGACY_START, PACKED_TENSORS, read_legacy, read_zip

MAX_FILE = 8 * 1024 * MIB
_FOREIGN = {  # how files start that people take for weights
    b"<": "a web page or XML; the download may have needed a login",
    b"version https://git-lfs": "a Git LFS pointer; run `git lfs pull`",
    b"\x89HDF": "an HDF5 file",
    b"\x1f\x8b": "a gzip archive; unpack it first",
}

Parts = tuple[dict[str, Tensor], dict[str, Any], str]


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A generator's tensors under the public names: float32, contiguous, finite, on the CPU.

    `facts` are plain values (architecture, mapping_lr_multiplier, conv_clamp, origin, …); `format` is one of
    nvidia-pytorch, nvidia-tensorflow, rosinality, safetensors; `sha256` is that of the file.
    """

    state: dict[str, Tensor]
    facts: dict[str, Any]
    format: str
    sha256: str


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a generator from NVIDIA's pickles, rosinality's `.pt` or our `.safetensors`, by content.

    Raises UnsafePickle for what is broken or asks for more than data, UnsupportedCheckpoint for another
    network, DistillError for a file that cannot be read; each in one line that starts with the path.
    """
    path = Path(path)
    data = _mapped(path)
    try:
        state, facts, name = _reader_of(data)(data)
    except (UnsafePickle, UnsupportedCheckpoint) as error:
        raise type(error)(f"{path}: {error}") from error
    except BROKEN as error:
        raise UnsafePickle(f"{path}: broken weight file ({type(error).__name__})") from error
    return Checkpoint(state=state, facts=facts, format=name, sha256=hashlib.sha256(data).hexdigest())


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file in hex. Raises DistillError when it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DistillError(f"{path}: cannot be read ({error.strerror})") from error


def _mapped(path: Path) -> memoryview:
    """Map the file into memory: only what is used is read, nothing is copied."""
    if not path.is_file():
        raise DistillError(f"{path}: " + ("not a file" if path.exists() else "no such file"))
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if not size:
                raise UnsupportedCheckpoint(f"{path}: the file is empty")
            if size > MAX_FILE:
                raise UnsupportedCheckpoint(f"{path}: {size:,} bytes; a weight file has at most {MAX_FILE:,}")
            return memoryview(mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ))
    except (OSError, ValueError) as error:
        raise DistillError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error


def _reader_of(data: memoryview) -> Callable[[memoryview], Parts]:
    """Tell the format by the first bytes."""
    start = bytes(data[:64])
    if start[:4] == b"PK\x03\x04" or start.startswith(LEGACY_START):
        return _read_torch
    if start[0] == 0x80 and len(start) > 1 and start[1] <= 5:
        return _read_pickle
    if start[8:9] == b"{":
        return _read_safetensors
    for magic, what in _FOREIGN.items():
        if start.startswith(magic):
            raise UnsupportedCheckpoint(f"not a weight file but {what}")
    text = shown(start[:16].decode("latin-1"))
    raise UnsupportedCheckpoint(
        f"not a weight file: it starts with '{text}'; .pkl, .pt and .safetensors are read"
    )


def _read_torch(data: memoryview) -> Parts:
    content = read_zip(data) if bytes(data[:2]) == b"PK" else read_legacy(data)
    return *convert_rosinality(content), "rosinality"


def _read_pickle(data: memoryview) -> Parts:
    limits = Limits(memory=512 * MIB + 2 * len(data))
    content, _ = load(data, {**PACKED_TENSORS, **NVIDIA}, limits=limits)
    three = isinstance(content, tuple) and len(content) == 3
    if three and all(isinstance(network, TFNetwork) for network in content):
        return *convert_nvidia_tensorflow(content), "nvidia-tensorflow"
    return *convert_nvidia_pytorch(content), "nvidia-pytorch"


def _read_safetensors(data: memoryview) -> Parts:
    return *read_safetensors(data), "safetensors"


def save_safetensors(path: Path, checkpoint: Checkpoint, *, dtype: torch.dtype = torch.float32) -> None:
    """Write the state and the facts (as strings) to one file: whole or not at all, the same bytes every time.

    `dtype`: float32, float16, bfloat16 or float64. Raises DistillError when it cannot be written, DiskFull.
    """
    path, chunks = Path(path), safetensors_chunks(checkpoint.state, checkpoint.facts, dtype)
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("wb") as file:
            file.writelines(chunks)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        kind = DiskFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else DistillError
        raise kind(f"{path}: cannot be written ({error.strerror})") from error
    finally:
        with contextlib.suppress(OSError):
            aside.unlink()
