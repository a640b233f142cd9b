"""Directions that were published as a plain array: read without running anything in the file.

L w+ layers, D latent width.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_safetensors

from distill.directions.file import MAX_BYTES
from distill.directions.unit import Floats
from distill.errors import DistillError, UnsafePickle, UnsupportedCheckpoint, os_error
from distill.weights.safe_pickle.unpickle import BROKEN
from distill.weights.torch_archive import LEGACY_START, read_legacy, read_zip
from distill.weights.torch_records import TensorRecord

SUFFIXES = ".npy, .npz, .pt, .pth and .safetensors"


def read_array(path: Path) -> NDArray[Any]:
    """Read the one array of a .npy, .npz, .pt or .safetensors file, told apart by content.

    Raises UnsupportedCheckpoint for a file of objects, of several arrays, or of another kind.
    """
    try:
        if not path.is_file():
            raise DistillError(f"{path}: {'not a file' if path.exists() else 'no such file'}")
        if path.stat().st_size > MAX_BYTES:
            raise UnsupportedCheckpoint(
                f"{path}: {path.stat().st_size} bytes; a direction has {MAX_BYTES} at most"
            )
        data = path.read_bytes()
    except OSError as error:
        raise os_error(error) from error
    arrays = _arrays(path, data)
    if len(arrays) != 1:
        names = ", ".join(sorted(arrays)[:5]) or "none"
        raise UnsupportedCheckpoint(
            f"{path}: one array is a direction, this file has {len(arrays)} ({names})"
        )
    return next(iter(arrays.values()))


def rows_of(array: NDArray[Any], *, num_ws: int, w_dim: int, layers: tuple[int, int]) -> Floats:
    """Turn [D], [1, D], [L, D] or [1, L, D] into [L, D]; one row goes to every layer from LO to HI.

    Of an array with a row for each layer only those from LO to HI are kept. Raises DistillError for another shape,
    with both, and for numbers that are not finite or all 0.
    """
    shape = list(array.shape)
    if array.dtype.kind not in "fiu":
        raise DistillError(f"the direction is of type {array.dtype}, not of numbers")
    while array.ndim > 1 and array.shape[0] == 1:
        array = array[0]
    if array.shape not in ((w_dim,), (num_ws, w_dim)):
        raise DistillError(
            f"the direction has shape {shape}, this generator takes [{w_dim}], [1, {w_dim}] or [{num_ws}, {w_dim}]"
        )
    rows = np.zeros((num_ws, w_dim))
    kept = slice(layers[0], layers[1] + 1)
    rows[kept] = array if array.ndim == 1 else array[kept]
    if not np.isfinite(rows).all() or not rows.any():
        raise DistillError("a direction needs finite numbers that are not all 0 in its layers")
    return rows


def _arrays(path: Path, data: bytes) -> dict[str, NDArray[Any]]:
    try:
        if data[:6] == b"\x93NUMPY":
            return {"array": np.load(io.BytesIO(data), allow_pickle=False)}
        if data[:4] == b"PK\x03\x04":
            return _archive(data)
        if data[: len(LEGACY_START)] == LEGACY_START:
            return _tensors(read_legacy(memoryview(data)))
        if data[8:9] == b"{":
            return dict(load_safetensors(data))
    except (UnsafePickle, UnsupportedCheckpoint) as error:
        raise type(error)(f"{path}: {error}") from error
    except (*BROKEN, SafetensorError, zipfile.BadZipFile, OSError) as error:
        raise UnsupportedCheckpoint(f"{path}: no array of numbers ({error})") from error
    raise UnsupportedCheckpoint(f"{path}: not a file of one array; {SUFFIXES} are read")


def _archive(data: bytes) -> dict[str, NDArray[Any]]:
    """Read a zip archive: numpy's, or what torch.save writes."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
    if not all(entry.filename.endswith(".npy") for entry in entries):
        return _tensors(read_zip(memoryview(data)))
    if sum(entry.file_size for entry in entries) > MAX_BYTES:
        raise UnsupportedCheckpoint(f"it unpacks to more than {MAX_BYTES} bytes")
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _tensors(content: object) -> dict[str, NDArray[Any]]:
    records: dict[Any, Any] = content if isinstance(content, dict) else {"tensor": content}
    if not records or not all(isinstance(record, TensorRecord) for record in records.values()):
        raise UnsupportedCheckpoint("it holds something else than tensors")
    return {str(name): np.array(record.values()) for name, record in records.items()}
