"""Write small ONNX files byte by byte: what a test needs of protocol buffers, and no more."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

FLOAT, INT64 = 1, 7


def varint(value: int) -> bytes:
    value &= 2**64 - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: int | float | str | bytes) -> bytes:
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def tensor(name: str, array: np.ndarray[Any, Any]) -> bytes:
    kind = INT64 if array.dtype == np.int64 else FLOAT
    raw = np.ascontiguousarray(array, "<i8" if kind == INT64 else "<f4").tobytes()
    sizes = b"".join(field(1, size) for size in array.shape)
    return sizes + field(2, kind) + field(8, name) + field(9, raw)


def attribute(name: str, value: Any) -> bytes:
    if isinstance(value, bytes):  # an attribute given as it is
        return field(1, name) + value
    kinds = {float: (2, 1), int: (3, 2), str: (4, 3)}
    if isinstance(value, list):
        return field(1, name) + b"".join(field(8, item) for item in value) + field(20, 7)
    number, kind = kinds[type(value)]
    return field(1, name) + field(number, value) + field(20, kind)


def node(operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> bytes:
    names = b"".join(field(1, name) for name in inputs) + field(2, output)
    return names + field(4, operator) + b"".join(field(5, attribute(*pair)) for pair in attributes.items())


def value(name: str, shape: Sequence[int | str]) -> bytes:
    dims = b"".join(field(1, field(2 if isinstance(size, str) else 1, size)) for size in shape)
    return field(1, name) + field(2, field(1, field(1, FLOAT) + field(2, dims)))


def model(
    nodes: Sequence[bytes],
    constants: Mapping[str, np.ndarray[Any, Any]],
    shape: Sequence[int | str],
    outputs: Mapping[str, Sequence[int | str]],
    *,
    opset: int = 18,
    more: bytes = b"",
) -> bytes:
    """Return a model with the input "images"; `more` are further fields of its graph."""
    graph = b"".join(field(1, item) for item in nodes) + field(2, "graph")
    graph += b"".join(field(5, tensor(name, array)) for name, array in constants.items())
    graph += field(11, value("images", shape))
    graph += b"".join(field(12, value(name, sizes)) for name, sizes in outputs.items())
    return field(1, 8) + field(7, graph + more) + field(8, field(1, "") + field(2, opset))
