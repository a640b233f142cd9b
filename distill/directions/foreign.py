"""Directions that were published as a plain array: read without running anything in the file.

L w+ layers, D latent width.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill.directions.file import MAX_BYTES
from distill.directions.unit import Floats
from distill.errors import DistillError, UnsupportedCheckpoint
from distill.weights.file_kinds import kind_of, opened
from distill.weights.npy import read_npy, read_npz
from distill.weights.safetensors_file import read_tensors
from distill.weights.state import few
from distill.weights.torch_archive import ZIP_START, read_torch, zip_entries
from distill.weights.torch_records import TensorRecord

SUFFIXES = ".npy, .npz, .pt, .pth and .safetensors"


def read_array(path: Path) -> NDArray[Any]:
    """Read the one array of a .npy, .npz, .pt or .safetensors file, told apart by content.

    Raises UnsupportedCheckpoint for a file of objects, of several arrays, or of another kind.
    """
    with opened(path, most=MAX_BYTES) as data:
        arrays = _arrays(path, data)
        if len(arrays) != 1:
            names = few(sorted(arrays)) or "none"
            raise UnsupportedCheckpoint(f"one array is a direction, this file has {len(arrays)} ({names})")
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


def _arrays(path: Path, data: memoryview) -> dict[str, NDArray[Any]]:
    match kind_of(data):
        case "npy":
            return {"array": read_npy(data)}
        case "torch":
            return read_npz(data, most=MAX_BYTES) if _is_npz(data) else _tensors(read_torch(data))
        case "safetensors":
            return {name: tensor.double().numpy() for name, tensor in read_tensors(path)[0].items()}
        case other:
            raise UnsupportedCheckpoint(f"not a file of one array but {other}; {SUFFIXES} are read")


def _is_npz(data: memoryview) -> bool:
    """Tell numpy's zip archives from those that torch.save writes."""
    if bytes(data[: len(ZIP_START)]) != ZIP_START:
        return False
    members = zip_entries(data)
    return bool(members) and all(entry.filename.endswith(".npy") for entry in members)


def _tensors(content: object) -> dict[str, NDArray[Any]]:
    records: dict[Any, Any] = content if isinstance(content, dict) else {"tensor": content}
    if not records or not all(isinstance(record, TensorRecord) for record in records.values()):
        raise UnsupportedCheckpoint("it holds something other than tensors")
    return {str(name): np.array(record.values()) for name, record in records.items()}
