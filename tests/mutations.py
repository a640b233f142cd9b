"""What chance makes of a file: bits, lengths and words as they lie, or a part of it changed and packed again."""

from __future__ import annotations

import io
import json
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import h5py
import numpy as np

Mutation = Callable[[bytearray, random.Random], None]


def flip(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 2, 8))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def overwrite(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data))
    data[at : at + 8] = rng.choice((b"\xff" * 4, b"\x00" * 4, b"\x7f" * 8, rng.randbytes(3), b"\xff"))


def cut(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data))
    del data[at : at + rng.choice((1, 2, 10, 100))]


def repeat(data: bytearray, rng: random.Random) -> None:
    at, size = rng.randrange(len(data)), rng.choice((1, 5, 50, 500))
    data[at:at] = data[at : at + size] * rng.choice((1, 1, 1, 100))


def insert_opcodes(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data))
    data[at:at] = bytes(
        rng.choice(b"NR\x81b.()t]}aesu0h\x00\x94\x93Q\x85\x86\x87\x8fcX") for _ in range(rng.randint(1, 4))
    )


def insert_text(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data))
    words = (
        b"9" * 30,
        b"[[[[",
        b'{"a":',
        b'"',
        b"-1",
        b"1e400",
        b"\x1b[2J\n",
        "\u202e".encode(),
        b"a.a.a.a",
        b"null",
    )
    data[at:at] = rng.choice(words) * rng.choice((1, 1, 2, 300))


def swap(data: bytearray, rng: random.Random) -> None:
    size = rng.choice((1, 4, 40))
    a, b = rng.randrange(len(data)), rng.randrange(len(data))
    data[a : a + size], data[b : b + size] = data[b : b + size], data[a : a + size]


def truncate(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data)) :]


MUTATIONS: list[Mutation] = [flip, flip, overwrite, cut, repeat, insert_opcodes, insert_text, swap, truncate]


def changed(data: bytes, rng: random.Random) -> bytes:
    """Change a file by chance: as it lies, or one part of it, packed again as it should be."""
    if rng.random() < 0.5:
        for begins, change in INSIDE:
            if data.startswith(begins):
                return change(data, rng)
        if data[8:9] == b"{":
            return _with_a_header_changed(data, rng)
    return _by_chance(data, rng)


def _by_chance(data: bytes, rng: random.Random) -> bytes:
    made = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        if made:
            rng.choice(MUTATIONS)(made, rng)
    return bytes(made)


def _with_a_member_changed(data: bytes, rng: random.Random) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(made, "w") as new:
        small = [entry for entry in old.infolist() if entry.filename.endswith((".pkl", ".npy"))]
        chosen = rng.choice(small or old.infolist()).filename
        for entry in old.infolist():
            content = old.read(entry)
            new.writestr(entry, _by_chance(content, rng) if entry.filename == chosen else content)
    return made.getvalue()


def _with_a_header_changed(data: bytes, rng: random.Random) -> bytes:
    size = struct.unpack_from("<Q", data)[0]
    header = _by_chance(data[8 : 8 + size], rng)
    return struct.pack("<Q", len(header)) + header + data[8 + size :]


def _with_a_chunk_changed(data: bytes, rng: random.Random) -> bytes:
    """Change the content of one chunk of a PNG; its checksum fits."""
    chunks, at = [], 8
    while at + 12 <= len(data):
        (size,) = struct.unpack_from(">I", data, at)
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += size + 12
    chosen = rng.randrange(len(chunks))
    kind, content = chunks[chosen]
    chunks[chosen] = (kind, _by_chance(content, rng))
    return data[:8] + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )


ODD_VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 2**31, 2**63, 2**64, 10**30, 1.5, -0.0, 1e300, float("nan"), float("inf")),
    *("", "x" * 5_000, "\x1b[2J\n", "../../etc/passwd", "/dev/zero", "\x00", "\u202e", "\ud800", "nan"),
    *([], [[]], [0] * 1_000, {}, {"": 0}, {"a": {"b": {"c": {}}}}, ["a", 1, None]),
)


def _with_a_value_changed(data: bytes, rng: random.Random) -> bytes:
    """Put an odd value in some place of a JSON object (or of one line of several), add a key or take one away."""
    lines = data.split(b"\n")
    try:
        tree = json.loads(data)
    except ValueError:
        chosen = rng.randrange(len(lines))
        lines[chosen] = _with_a_value_changed(lines[chosen], rng) if lines[chosen][:1] == b"{" else b"{}"
        return b"\n".join(lines)
    for _ in range(rng.randint(1, 2)):
        places = list(_places(tree))
        if not places:
            break
        inside, key = rng.choice(places)
        if rng.random() < 0.8:
            inside[key] = deepcopy(rng.choice(ODD_VALUES))
        elif rng.random() < 0.5:
            del inside[key]
        elif isinstance(inside, dict):
            inside[rng.choice(("", "more", "__class__", "schema_version"))] = deepcopy(rng.choice(ODD_VALUES))
    return json.dumps(tree).encode()


def _places(tree: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in inner:
        found.append((tree, key))
        found += _places(value)
    return found


def _with_an_hdf5_part_changed(data: bytes, rng: random.Random) -> bytes:
    """Change an attribute, or numbers of a data set, by the library, so that all checksums fit."""
    stream = io.BytesIO(data)
    with h5py.File(stream, "a", libver=("v110", "v110")) as file:
        arrays: list[h5py.Dataset] = []
        file.visititems(lambda name, item: arrays.append(item) if isinstance(item, h5py.Dataset) else None)
        if rng.random() < 0.5:
            name = rng.choice(sorted(file.attrs))
            value = file.attrs[name]
            odd = rng.choice((-1, 0, 1, 7, 2**31, 2**62))
            text = bytes(value) if isinstance(value, bytes) else b""
            change = _with_a_value_changed if text[:1] == b"{" and rng.random() < 0.5 else _by_chance
            file.attrs[name] = np.bytes_(change(text, rng) + b" ") if text else np.int64(odd)
        else:
            array = rng.choice(arrays)
            content = np.frombuffer(bytearray(array[...].tobytes()), np.uint8)
            if content.size:
                first = rng.randrange(content.size)
                part = content[first : first + rng.choice((1, 8, 64, 1_000))]
                part[...] = rng.choice((0, 255, 127, rng.randrange(256)))
                array[...] = content.view(array.dtype).reshape(array.shape)
    return stream.getvalue()


INSIDE: tuple[tuple[bytes, Callable[[bytes, random.Random], bytes]], ...] = (
    (b"PK\x03\x04", _with_a_member_changed),
    (b"\x89PNG", _with_a_chunk_changed),
    (b"\x89HDF", _with_an_hdf5_part_changed),
    (b"{", _with_a_value_changed),
)
