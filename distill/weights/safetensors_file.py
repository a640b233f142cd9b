"""The safetensors format: 8 bytes of header length, a JSON header, the numbers.

Written here rather than by the safetensors package because that one orders the metadata at random: two
conversions of one file would differ in their bytes.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Mapping
from typing import Any, TypeGuard

import torch
from torch import Tensor

from distill.errors import DistillError, UnsupportedCheckpoint
from distill.weights.safe_pickle.machine import MIB, shown
from distill.weights.state import (
    check_names,
    checked_state,
    finite,
    layer_facts,
    public_names,
    sizes_of,
)

MAX_HEADER = 16 * MIB
DTYPES = {"F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32, "F64": torch.float64}
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,14})(\.\d{1,20})?([eE][+-]?\d{1,3})?")


def read_safetensors(data: memoryview) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read (state, facts); metadata that looks like a number becomes one. Raises UnsupportedCheckpoint."""
    header, numbers = _header(data)
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict):
        raise UnsupportedCheckpoint("broken safetensors file: its metadata is no table")
    check_names(header, public_names(*sizes_of(header)))
    tensors = {name: _tensor(name, entry, numbers) for name, entry in header.items()}
    state = checked_state({name: finite(name, tensor.float().numpy()) for name, tensor in tensors.items()})
    facts = {str(name): _plain(value) for name, value in metadata.items()}
    _refuse_facts(facts)
    return state, {**facts, **_layer_facts(state, facts)}


def _header(data: memoryview) -> tuple[dict[str, Any], memoryview]:
    size = struct.unpack_from("<Q", data)[0]
    if size > len(data) - 8:
        raise UnsupportedCheckpoint(
            f"truncated safetensors file: a header of {size:,} bytes in {len(data):,} bytes"
        )
    if size > MAX_HEADER:
        raise UnsupportedCheckpoint(f"a safetensors header of {size:,} bytes")
    try:
        header = json.loads(bytes(data[8 : 8 + size]))
    except (ValueError, RecursionError) as error:
        raise UnsupportedCheckpoint(f"broken safetensors file: its header is no JSON ({error})") from error
    if not isinstance(header, dict):
        raise UnsupportedCheckpoint("broken safetensors file: its header is no table")
    return header, data[8 + size :]


def _tensor(name: str, entry: object, numbers: memoryview) -> Tensor:
    found = entry if isinstance(entry, dict) else {}
    dtype, shape, offsets = (
        DTYPES.get(str(found.get("dtype"))),
        found.get("shape"),
        found.get("data_offsets"),
    )
    if dtype is None:
        raise UnsupportedCheckpoint(
            f"{name} is no tensor of floating-point numbers but {shown(found.get('dtype'))}"
        )
    if not _is_sizes(shape) or not _is_sizes(offsets) or len(offsets) != 2:
        raise UnsupportedCheckpoint(f"broken safetensors file: shape or place of {name}")
    start, stop = offsets
    if stop > len(numbers):
        left = len(numbers)
        raise UnsupportedCheckpoint(f"truncated safetensors file: {name} ends at {stop:,} of {left:,} bytes")
    count = math.prod(shape)
    if stop - start != count * dtype.itemsize:
        raise UnsupportedCheckpoint(f"broken safetensors file: {stop - start:,} bytes for {name} {shape}")
    if not count:
        return torch.zeros(shape)
    return torch.frombuffer(bytearray(numbers[start:stop]), dtype=dtype).reshape(shape)


def _is_sizes(values: object) -> TypeGuard[list[int]]:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 1 << 40 for value in values)


def _plain(value: object) -> Any:
    """Turn a metadata string back into a number, True, False or None where it looks like one."""
    text = str(value)
    words: dict[str, Any] = {"null": None, "None": None, "": None, "true": True, "false": False}
    if text in words:
        return words[text]
    return json.loads(text) if _NUMBER.fullmatch(text) else text


def _refuse_facts(facts: dict[str, Any]) -> None:
    for name, allowed in {"architecture": "skip", "c_dim": 0, "img_channels": 3}.items():
        if facts.get(name, allowed) != allowed:
            raise UnsupportedCheckpoint(
                f"a generator with {name} {shown(facts[name])}; only {allowed} is read"
            )


def _layer_facts(state: dict[str, Tensor], facts: dict[str, Any]) -> dict[str, Any]:
    own = {name: facts[name] for name in ("mapping_lr_multiplier", "conv_clamp") if name in facts}
    return layer_facts(state, origin=str(facts.get("origin") or "distill"), **own)


def safetensors_chunks(
    state: Mapping[str, Tensor], facts: Mapping[str, Any], dtype: torch.dtype
) -> list[bytes]:
    """Serialise state and facts (as strings), names sorted: the same bytes every time.

    Raises DistillError for a dtype other than float16, bfloat16, float32 and float64.
    """
    code = next((code for code, known in DTYPES.items() if known is dtype), None)
    if code is None:
        raise DistillError(f"weights are saved as float16, bfloat16, float32 or float64, not {dtype}")
    header: dict[str, Any] = {"__metadata__": {name: _text(value) for name, value in sorted(facts.items())}}
    chunks: list[bytes] = []
    at = 0
    for name, tensor in sorted(state.items()):
        chunks.append(tensor.to(dtype).contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        header[name] = {
            "dtype": code,
            "shape": list(tensor.shape),
            "data_offsets": [at, at + len(chunks[-1])],
        }
        at += len(chunks[-1])
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return [struct.pack("<Q", len(text)), text, *chunks]


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
