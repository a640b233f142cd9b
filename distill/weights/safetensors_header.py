"""The header of a safetensors file, checked before the package safetensors sees the file."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

from distill.errors import UnsupportedCheckpoint
from distill.files import open_regular
from distill.weights.safe_pickle.machine import MIB, shown

MAX_HEADER = 16 * MIB
MAX_SIDE, MAX_DIMS = 1 << 40, 16  # of a tensor's shape, as in pickles
_TEXTS = "__metadata__"
_BYTES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2,
    "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2, "U8": 1, "BOOL": 1,
}  # fmt: skip


def check_header(path: Path) -> None:
    """Raise UnsupportedCheckpoint, without the path, unless the tensors lie one behind the other and fill the file.

    A name stands there once, a shape says the bytes that its tensor has, and no size is absurd, even beside a 0.
    """
    with open_regular(path) as file:
        size = int.from_bytes(file.read(8), "little")
        whole = path.stat().st_size
        if size > MAX_HEADER and size <= whole:
            raise UnsupportedCheckpoint(f"a safetensors header of {size:,} bytes")
        if size > whole - 8:
            raise UnsupportedCheckpoint(
                f"truncated safetensors file: a header of {size:,} bytes in a file of {whole:,}"
            )
        text = file.read(size)
    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise _broken(f"its header is not JSON ({type(error).__name__})") from error
    if not isinstance(header, dict):
        raise _broken("its header is not a table")
    header.pop(_TEXTS, None)  # of texts alone: the package sees to that
    end = max([0, *(_end(name, entry) for name, entry in header.items())])
    if end != whole - 8 - size:
        raise UnsupportedCheckpoint(
            f"truncated or broken safetensors file: its tensors need {end:,} bytes, {whole - 8 - size:,} are there"
        )
    _check_places(header)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a table of pairs. Raises UnsupportedCheckpoint for a name that is there twice."""
    made = dict(pairs)
    if len(made) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise _broken(f"{shown(twice)} appears twice in its header")
    return made


def _end(name: str, entry: object) -> int:
    """Return where a tensor ends, after a look at its shape and its place."""
    fields = entry if isinstance(entry, dict) else {}
    shape, place = _whole_numbers(fields.get("shape")), _whole_numbers(fields.get("data_offsets"))
    if shape is None or len(shape) > MAX_DIMS:
        raise _broken(f"{shown(name)} has no shape of at most {MAX_DIMS} sizes")
    if place is None or len(place) != 2 or place[0] > place[1]:
        raise _broken(f"{shown(name)} has no place in the file")
    each = _BYTES.get(str(fields.get("dtype")))
    if each is None:
        raise _broken(f"{shown(name)} is of a kind of number that is not read")
    if math.prod(shape) * each != place[1] - place[0]:
        raise _broken(
            f"{shown(name)} has {place[1] - place[0]:,} bytes, its shape needs {math.prod(shape) * each:,}"
        )
    if math.prod(size or 1 for size in shape) > MAX_SIDE:
        raise _broken(f"{shown(name)} has an absurd shape")
    return place[1]


def _whole_numbers(values: object) -> list[int] | None:
    plain = isinstance(values, list) and all(type(value) is int and 0 <= value < MAX_SIDE for value in values)
    return values if plain else None  # type: ignore[return-value]


def _check_places(header: dict[str, Any]) -> None:
    before = 0
    for start, end, name in sorted((*entry["data_offsets"], name) for name, entry in header.items()):
        if start != before:
            raise _broken(f"{shown(name)} does not begin where the tensor before it ends")
        before = end


def _broken(what: str) -> UnsupportedCheckpoint:
    return UnsupportedCheckpoint(f"broken safetensors file: {what}")
