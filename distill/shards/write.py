"""Build a shard in memory and give it to the disk in one piece.

HDF5 that writes to a full disk itself reports the error too late, and can leave rows of zeros behind. Here
HDF5 only sees memory; the file is plain bytes when it is written.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from distill.errors import DiskFull, os_error
from distill.files import atomic_write
from distill.shards.codec import encode_images
from distill.shards.columns import column_problem
from distill.shards.folder import ShardReport, shard_path, sidecar_path
from distill.shards.layout import (
    ACCEPTED,
    CODECS,
    DIGEST,
    FORMAT,
    MAX_ATTRIBUTE_BYTES,
    MAX_NAMES,
    NAME,
    SCHEMA_VERSION,
    Attributes,
    Images,
    ShardContent,
    chunk_shape,
    image_kind,
    kind_of,
)

__all__ = ["atomic_write", "build_shard", "commit_shard"]

TRIES, PAUSE_S = 3, 1.0  # of writing a shard that is drawn
CORE_BLOCK_BYTES = 4 << 20  # how memory grows; leaves no trace in the bytes
Array = NDArray[np.generic]
FLOAT_GROUPS = ("scores", "landmarks", "quads", "tried/scores")


def commit_shard(folder: Path, content: ShardContent, *, threads: int = 2) -> ShardReport:
    """Write a shard and then its sidecar, each complete or absent; return the sidecar's content.

    A shard without a sidecar is not done, so a kill at any point leaves a folder from which one can resume.
    What may pass by itself is tried again. Raises `DiskFull` where space or quota ends, then neither file is left;
    `FolderGone`, and a fatal DistillError for another fault that stays.
    """
    data = build_shard(content, threads=threads)
    dropped = _dropped(content)
    report = ShardReport(
        index=content.index,
        rows=_rows(content),
        tried=len(content.tried["candidate"]),
        dropped=dropped,
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        digest=content.digest,
    )
    commit_bytes(folder, report, data)
    return report


def commit_bytes(folder: Path, report: ShardReport, data: bytes) -> None:
    """Place the bytes of a shard and then its sidecar. Raises as `commit_shard`."""
    for left in reversed(range(TRIES)):
        try:
            _place(folder, report, data)
            return
        except OSError as error:
            if not left:
                fatal = os_error(error)
                fatal.fatal = True
                raise fatal from error
            time.sleep(PAUSE_S)


def _place(folder: Path, report: ShardReport, data: bytes) -> None:
    path, sidecar = shard_path(folder, report.index), sidecar_path(folder, report.index)
    try:
        sidecar.unlink(missing_ok=True)  # never the sidecar of an older file beside a newer one
        atomic_write(path, data)
        atomic_write(sidecar, report.to_json().encode())
    except DiskFull:
        sidecar.unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        raise


def build_shard(content: ShardContent, *, threads: int = 2) -> bytes:
    """Return the bytes of a shard's HDF5 file: the same content always gives the same bytes.

    Takes about twice the shard's size in memory. Raises ValueError when the content breaks the layout.
    """
    attributes = _attributes(content)
    arrays = [*_columns(content), *_images(content, threads)]
    name = f"shard-in-memory-{secrets.token_hex(8)}"  # HDF5 tells open files apart by name; it is not stored
    with h5py.File(
        name,
        "w",
        driver="core",
        backing_store=False,
        block_size=CORE_BLOCK_BYTES,
        libver=("v110", "v110"),
    ) as file:
        for key, value in asdict(attributes).items():
            _write_attribute(file, key, value)
        for path, array in arrays:
            _write_array(file, path, array)
        file.flush()
        image: bytes = file.id.get_file_image()
    return image


def _write_attribute(file: h5py.File, name: str, value: object) -> None:
    if isinstance(value, int):
        file.attrs.create(name, np.int64(value))
        return
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    data = text.encode()
    if not 0 < len(data) <= MAX_ATTRIBUTE_BYTES:
        raise ValueError(f"attribute {name} takes {len(data)} bytes, 1 to {MAX_ATTRIBUTE_BYTES} are allowed")
    # Fixed length: HDF5 keeps strings of variable length in a heap that has no checksum.
    file.attrs.create(name, np.bytes_(data), dtype=h5py.string_dtype("utf-8", len(data)))


def _write_array(file: h5py.File, name: str, array: Array) -> None:
    chunks = chunk_shape(name, array.shape, array.itemsize)
    if chunks is None:
        file.create_dataset(name, shape=array.shape, dtype=array.dtype, track_times=False)
    else:
        dtype: Any = array.dtype
        if dtype.kind == "S":  # which h5py would call ascii
            dtype = h5py.string_dtype("utf-8", dtype.itemsize)
            array = array.astype(dtype)
        dataset = file.create_dataset(
            name, data=array, dtype=dtype, chunks=chunks, fletcher32=True, track_times=False
        )
        # HDF5 gives chunks their place when a data set is closed, which is when Python lets go of it: a profiler
        # that looks at this frame can put that off. Flushing settles the place now.
        dataset.flush()


def _rows(content: ShardContent) -> int:
    return len(content.columns["candidate"])


def _dropped(content: ShardContent) -> dict[str, int]:
    counts = Counter(content.tried["reason"].tolist())
    return {content.reasons[code]: counts[code] for code in sorted(counts) if code != 0}


def _attributes(content: ShardContent) -> Attributes:
    """Check what is not an array and put it into attributes."""
    if "candidate" not in content.columns or not {"candidate", "reason"} <= content.tried.keys():
        raise ValueError("a shard needs the columns candidate, tried/candidate and tried/reason")
    if content.codec not in CODECS:
        raise ValueError(f"no codec {content.codec!r}; the codecs are {', '.join(CODECS)}")
    if not DIGEST.fullmatch(content.digest) or content.index < 0:
        raise ValueError(
            f"digest {content.digest!r} is not 12 hex digits, or index {content.index} is negative"
        )
    for what, text in (("recipe is", content.recipe_json), ("conditions are", content.conditions_json)):
        if not isinstance(json.loads(text), dict):
            raise ValueError(f"the {what} not a JSON object")
    _check_names("role", list(content.images))
    _check_ledger(content)
    return Attributes(
        format=FORMAT,
        schema_version=SCHEMA_VERSION,
        digest=content.digest,
        recipe=content.recipe_json,
        conditions=content.conditions_json,
        index=content.index,
        rows=_rows(content),
        codec=content.codec,
        roles=list(content.images),
        resolution=content.resolution,
        tried=len(content.tried["candidate"]),
        dropped=_dropped(content),
        reasons=list(content.reasons),
    )


def _check_names(what: str, names: Sequence[str]) -> None:
    if not 1 <= len(names) <= MAX_NAMES or not all(NAME.fullmatch(name) for name in names):
        raise ValueError(f"{what} names {list(names)!r}: 1 to {MAX_NAMES} of letters, digits, '_', '.', '-'")


def _check_ledger(content: ShardContent) -> None:
    """Every row of a shard is an accepted candidate of its ledger, in the same order, and no other is."""
    reason, reasons = np.asarray(content.tried["reason"]), content.reasons
    if not reasons or reasons[0] != ACCEPTED or len(set(reasons)) != len(reasons) or len(reasons) > 256:
        raise ValueError(f"reasons {list(reasons)!r}: up to 256 different ones, the first {ACCEPTED!r}")
    if len(reason) and int(reason.max()) >= len(reasons):
        raise ValueError(f"tried/reason {int(reason.max())} is beyond the {len(reasons)} reasons")
    accepted = np.asarray(content.tried["candidate"])[reason == 0]
    if _rows(content) < 1 or not np.array_equal(accepted, content.columns["candidate"]):
        raise ValueError(
            f"{_rows(content)} rows, {len(accepted)} accepted in the ledger: both must be the same, and above 0"
        )


def _columns(content: ShardContent) -> Iterator[tuple[str, Array]]:
    tried = {f"tried/{name}": array for name, array in content.tried.items()}
    for name, values in sorted({**content.columns, **tried}.items()):
        array, kind = _stored_type(name, np.asarray(values)), kind_of(name)
        if kind is None or name.startswith("tried/") != (name in tried):
            raise ValueError(f"column {name!r} has no place in a shard")
        if not kind.accepts(array.dtype, array.shape[1:]):
            raise ValueError(f"column {name!r} is {array.dtype} {array.shape}, which its kind does not allow")
        problem = column_problem(name, array)
        if problem:
            raise ValueError(problem)
        length = len(content.tried["candidate"]) if name in tried else _rows(content)
        if len(array) != length:
            raise ValueError(f"column {name!r} has {len(array)} rows, not {length}")
        yield name, array


def _stored_type(name: str, array: Array) -> Array:
    """Bring an array to little endian, and to the type its column has in every shard."""
    group = name.rpartition("/")[0]
    if group in FLOAT_GROUPS:
        return np.ascontiguousarray(array, dtype="<f4")
    if name in ("candidate", "tried/candidate"):
        return np.ascontiguousarray(array, dtype="<i8")
    if array.dtype == np.bool_ or name == "tried/reason":
        return np.ascontiguousarray(array, dtype="|u1")
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))


def _images(content: ShardContent, threads: int) -> Iterator[tuple[str, Array]]:
    for role in sorted(content.images):
        images = content.images[role]
        if len(images) != _rows(content):
            raise ValueError(f"role {role!r} has {len(images)} images, not {_rows(content)}")
        if content.codec == "raw":
            yield f"images/{role}", _pixels(role, images, content.sides)
            continue
        encoded = _encoded(role, images, content, threads)
        ends = np.cumsum([0, *map(len, encoded)], dtype="<u8")
        yield f"images/{role}", np.frombuffer(b"".join(encoded), np.uint8)
        yield f"offsets/{role}", ends


def _pixels(role: str, images: Images, sides: tuple[int, int]) -> Array:
    kind = image_kind("raw", sides)
    if not isinstance(images, np.ndarray) or not kind.accepts(images.dtype, images.shape[1:]):
        raise ValueError(f"role {role!r} is not uint8 [n, {sides[0]}, {sides[1]}, 3]")
    return np.ascontiguousarray(images)


def _encoded(role: str, images: Images, content: ShardContent, threads: int) -> Sequence[bytes]:
    if isinstance(images, np.ndarray):
        pixels = _pixels(role, images, content.sides)
        return encode_images(pixels.view(np.uint8), content.codec, threads=threads)
    if not all(isinstance(data, bytes) and data for data in images):
        raise ValueError(f"role {role!r} holds something other than encoded images")
    return images
