"""Arrays of numbers in numpy's files, `.npy` and `.npz`: read by their bytes, nothing in them is evaluated."""

from __future__ import annotations

import math
import re
import zipfile
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill.errors import UnsupportedCheckpoint
from distill.weights.safe_pickle.machine import shown
from distill.weights.torch_archive import check_sum, packed_member, zip_entries

START = b"\x93NUMPY"
MAX_HEADER = 10_000  # bytes, as numpy itself has it
MAX_DIMS, MAX_SIDE = 16, 1 << 40  # numbers of an array, sizes of 0 counted as 1
_LENGTH = {1: 2, 2: 4, 3: 4}  # version -> bytes that say how long the header is
_HEADER = re.compile(
    r"\{\s*'descr':\s*'([<>|=]?(?:f[248]|[iu][1248]))',\s*'fortran_order':\s*(True|False),"
    r"\s*'shape':\s*\(([0-9L, ]{0,200})\),?\s*\}\s*"
)


def read_npy(data: bytes | memoryview) -> NDArray[Any]:
    """Return the array of a `.npy`. Raises UnsupportedCheckpoint for anything but one plain array of numbers."""
    size = _LENGTH.get(data[6]) if len(data) > 8 and bytes(data[:6]) == START else None
    if size is None:
        raise UnsupportedCheckpoint("not an array of numbers: not a .npy of version 1 to 3")
    start = 8 + size
    end = start + int.from_bytes(data[8:start], "little")
    if end - start > MAX_HEADER or end > len(data):
        raise UnsupportedCheckpoint("not an array of numbers: its header is cut short or too long")
    found = _HEADER.fullmatch(bytes(data[start:end]).decode("latin-1"))
    if found is None:
        raise UnsupportedCheckpoint("not an array of numbers: its header names something else, or nothing")
    kind, shape = np.dtype(found[1]), _sizes(found[3])
    need = math.prod(shape) * kind.itemsize
    if len(shape) > MAX_DIMS or math.prod(size or 1 for size in shape) > MAX_SIDE:
        raise UnsupportedCheckpoint(f"not an array of numbers: its shape is {shown(found[3])}")
    if need > len(data) - end:
        raise UnsupportedCheckpoint(
            f"truncated: {list(shape)} needs {need:,} bytes, {len(data) - end:,} are left"
        )
    return np.frombuffer(data[end : end + need], kind).reshape(
        shape, order="F" if found[2] == "True" else "C"
    )


def read_npz(data: memoryview, *, most: int) -> dict[str, NDArray[Any]]:
    """Return the arrays of a `.npz` by name; together they have at most `most` bytes.

    Raises UnsupportedCheckpoint, and UnsafePickle for a broken archive.
    """
    entries = zip_entries(data)
    if sum(entry.file_size for entry in entries) > most:
        raise UnsupportedCheckpoint(f"it unpacks to more than {most} bytes")
    return {entry.filename.removesuffix(".npy"): _read_member(data, entry) for entry in entries}


def _read_member(data: memoryview, entry: zipfile.ZipInfo) -> NDArray[Any]:
    name = shown(entry.filename)
    packed = packed_member(data, entry)
    if entry.compress_type == zipfile.ZIP_DEFLATED:
        try:
            unpacked = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, entry.file_size + 1)
        except zlib.error as error:
            raise UnsupportedCheckpoint(f"damaged: {name} cannot be unpacked") from error
    elif entry.compress_type == zipfile.ZIP_STORED:
        unpacked = bytes(packed)
    else:
        raise UnsupportedCheckpoint(
            f"{name} is packed by method {entry.compress_type}, which numpy does not write"
        )
    if len(unpacked) != entry.file_size:
        raise UnsupportedCheckpoint(
            f"damaged: {name} does not have the {entry.file_size:,} bytes that it should"
        )
    check_sum(unpacked, entry)
    return read_npy(unpacked)


def _sizes(text: str) -> tuple[int, ...]:
    sizes = [part.strip().removesuffix("L") for part in text.split(",")]
    kept = [size for size in sizes if size]
    if not all(size.isdecimal() and len(size) < 20 for size in kept):
        raise UnsupportedCheckpoint("not an array of numbers: it has no valid shape")
    return tuple(int(size) for size in kept)
