"""Tensors and storages of torch pickles as records.

A storage is a slice of the file until a tensor on it is wanted, so a training checkpoint costs no more than
the one network that is read. The containers around them are in `torch_archive`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill.errors import UnsafePickle
from distill.weights.safe_pickle.machine import Machine, Table, Token, shown
from distill.weights.safe_pickle.records import COMMON, checked_sizes, inert, shown_sizes, table_of

STORAGES = {  # numpy code; "bf" is bfloat16, which numpy does not have
    "FloatStorage": "f4", "HalfStorage": "f2", "DoubleStorage": "f8", "BFloat16Storage": "bf",
    "LongStorage": "i8", "IntStorage": "i4", "ShortStorage": "i2",
    "CharStorage": "i1", "ByteStorage": "u1", "BoolStorage": "b1",
}  # fmt: skip
SIZES = {code: 2 if code == "bf" else int(code[1]) for code in STORAGES.values()}


class Storage:
    """Numbers in the file: a dtype code, a count, and a function that finds the bytes."""

    __slots__ = ("code", "count", "find")

    def __init__(self, code: str, count: int, find: Callable[[], memoryview]) -> None:
        self.code = code
        self.count = count
        self.find = find

    def values(self, start: int, stop: int) -> NDArray[Any]:
        """View the numbers from `start` up to `stop`; bfloat16 is widened to float32."""
        raw, size = self.find(), SIZES[self.code]
        if len(raw) < self.count * size:
            raise UnsafePickle(f"truncated: a storage of {self.count:,} numbers has only {len(raw):,} bytes")
        part = raw[start * size : stop * size]
        if self.code == "bf":
            return (np.frombuffer(part, dtype="<u2").astype(np.uint32) << 16).view(np.float32)
        return np.frombuffer(part, dtype="<" + self.code)


class PackedStorage:
    """A storage saved on its own inside a pickle; `unpack` reads it when a tensor on it is wanted."""

    __slots__ = ("payload", "unpack")

    def __init__(self, payload: bytes | memoryview, unpack: Callable[[memoryview], Storage]) -> None:
        self.payload = payload
        self.unpack = unpack


class TensorRecord:
    """A strided view on a storage: `shape`, `stride` and `offset` count elements."""

    __slots__ = ("offset", "shape", "storage", "stride")

    def __init__(
        self, storage: Storage | PackedStorage, offset: int, shape: tuple[int, ...], stride: tuple[int, ...]
    ) -> None:
        self.storage = storage
        self.offset = offset
        self.shape = shape
        self.stride = stride

    @property
    def is_float(self) -> bool:
        return self._unpacked().code in ("f2", "f4", "f8", "bf")

    def values(self) -> NDArray[Any]:
        """View the tensor. Raises UnsafePickle where it reaches beyond its storage or is larger than it."""
        storage, count = self._unpacked(), math.prod(self.shape)
        if not count:
            return np.zeros(self.shape, np.float32)
        reach = 1 + sum((size - 1) * step for size, step in zip(self.shape, self.stride, strict=True))
        if count > storage.count or self.offset + reach > storage.count:
            text = f"refused tensor {shown_sizes(self.shape)}: it reaches beyond its storage of"
            raise UnsafePickle(f"{text} {storage.count:,} numbers")
        numbers = storage.values(self.offset, self.offset + reach)
        steps = tuple(step * numbers.itemsize for step in self.stride)
        return np.lib.stride_tricks.as_strided(numbers, self.shape, steps, writeable=False)

    def _unpacked(self) -> Storage:
        if isinstance(self.storage, PackedStorage):
            self.storage = self.storage.unpack(memoryview(self.storage.payload))
        return self.storage


# ---- what the tokens do


def _tensor(machine: Machine, args: tuple[Any, ...]) -> TensorRecord:
    if len(args) < 4 or not isinstance(args[0], (Storage, PackedStorage)):
        raise machine.refusal("refused tensor: it is not on a storage")
    (offset,), shape, stride = (checked_sizes(machine, sizes) for sizes in ((args[1],), args[2], args[3]))
    if len(shape) != len(stride):
        raise machine.refusal(f"refused tensor {shown_sizes(shape)}: {len(stride)} strides")
    return TensorRecord(args[0], offset, shape, stride)


def _parameter(machine: Machine, args: tuple[Any, ...]) -> TensorRecord:
    if not args or not isinstance(args[0], TensorRecord):
        raise machine.refusal(f"refused parameter made of {shown(args[0] if args else None)}")
    return args[0]


STORAGES_ONLY: Table = {
    **table_of(*(Token(f"torch.{name}", value=code) for name, code in STORAGES.items())),
    **table_of(Token("collections.OrderedDict", COMMON["collections", "OrderedDict"].reduce)),
}
TENSORS: Table = {
    **COMMON,
    **STORAGES_ONLY,
    **table_of(
        COMMON["collections", "OrderedDict"],
        Token("torch._utils._rebuild_tensor_v2", _tensor),
        Token("torch._utils._rebuild_parameter", _parameter),
        Token("torch.device", inert),
        Token("torch.Size", inert),
        *(Token(f"torch.{name}") for name in ("float16", "float32", "float64", "bfloat16", "int64", "bool")),
    ),
}
