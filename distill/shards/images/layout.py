"""What stands in an image set, and the check of it before any data is read.

N images, H = W = resolution. Only hard links, only the filters and types named here, every chunk present.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import h5py

from distill.errors import DistillError
from distill.shards.hdf5 import data_sets, read_attribute
from distill.shards.layout import NAME, chunk_shape

FORMAT = "distill-images"
SCHEMA_VERSION = 1
SMALLEST, LARGEST = 4, 1024  # pixels a side
MAX_TEXT = 4096  # bytes of one label or name
MAX_SOURCE = 60_000  # bytes; HDF5 keeps larger attributes elsewhere
CHECKSUM_BYTES = 4  # fletcher32 adds them to every chunk
TEXTS, NUMBERS = ("format", "source"), ("schema_version", "resolution", "count")
LABEL_TYPES = ("<i2", "<f4")  # or text of fixed length


@dataclass(frozen=True, kw_only=True)
class Header:
    """The attributes on the root of an image set; `source` is a JSON object."""

    resolution: int
    count: int
    source: dict[str, Any]


def check_resolution(resolution: int) -> int:
    """Return the resolution if it is a power of two from 4 to 1024; else raise DistillError."""
    if not SMALLEST <= resolution <= LARGEST or resolution & (resolution - 1):
        raise DistillError(
            f"resolution {resolution}: a power of two from {SMALLEST} to {LARGEST} is needed, such as 64"
        )
    return resolution


def chunks_of(name: str, shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Return the chunks of a data set: one image, or as many labels as fit into 64 KiB."""
    chunks = chunk_shape("images/all" if name == "images" else name, shape, itemsize)
    if chunks is None:
        raise ValueError(f"{name!r} is empty")
    return chunks


def read_header(file: h5py.File) -> Header:
    """Read the attributes on the root; ValueError for anything but those of the writer."""
    known = {*TEXTS, *NUMBERS}
    if h5py.h5a.get_num_attrs(file.id) != len(known):
        raise ValueError(f"{h5py.h5a.get_num_attrs(file.id)} attributes on the root, not {len(known)}")
    found: dict[str, Any] = {
        name: read_attribute(file, name, is_text=name in TEXTS, max_bytes=MAX_SOURCE)
        for name in sorted(known)
    }
    if found["format"] != FORMAT:
        raise ValueError(f"its format is {found['format'][:40]!r}, not {FORMAT!r}")
    if found["schema_version"] != SCHEMA_VERSION:
        raise ValueError(
            f"its schema version is {found['schema_version']}, this distill reads {SCHEMA_VERSION}"
        )
    if found["count"] < 1:
        raise ValueError(f"it counts {found['count']} images")
    source = json.loads(found["source"])
    if not isinstance(source, dict):
        raise ValueError("its source is not a JSON object")
    return Header(resolution=check_resolution(found["resolution"]), count=found["count"], source=source)


def check_structure(file: h5py.File, header: Header, file_size: int) -> list[str]:
    """Check every data set; return the names of the labels, sorted. ValueError says what is wrong."""
    found: dict[str, int] = {}
    for name, data in data_sets(h5py.h5g.open(file.id, b"/"), ("labels",), "an image set"):
        found[name] = _stored_bytes(name, data, header)
    if sum(found.values()) > file_size:
        raise ValueError(f"its data sets claim {sum(found.values())} bytes, the file has {file_size}")
    for name in ("images", "name"):
        if name not in found:
            raise ValueError(f"no data set {name!r}")
    return sorted(name.removeprefix("labels/") for name in found if name.startswith("labels/"))


def _stored_bytes(name: str, data: h5py.h5d.DatasetID, header: Header) -> int:
    """Check type, shape and storage of one data set; return how many bytes it takes in the file."""
    shape, kind = data.shape, data.get_type()
    if not _belongs(name, kind) or shape != _shape(name, header):
        raise ValueError(f"data set {name!r} of type {data.dtype} and shape {shape} has no place here")
    plist = data.get_create_plist()
    if plist.get_external_count() or plist.get_layout() != h5py.h5d.CHUNKED:
        raise ValueError(f"data set {name!r} is not stored in chunks of this file")
    filters = [plist.get_filter(i)[0] for i in range(min(plist.get_nfilters(), 4))]
    if filters != [h5py.h5z.FILTER_FLETCHER32]:
        raise ValueError(f"data set {name!r} has filters {filters}, not fletcher32 alone")
    chunks = chunks_of(name, shape, kind.get_size())
    if plist.get_chunk() != chunks:
        raise ValueError(f"data set {name!r} has chunks {plist.get_chunk()}, not {chunks}")
    count = -(-shape[0] // chunks[0])
    stored = int(data.get_storage_size())
    expected = count * (kind.get_size() * math.prod(chunks) + CHECKSUM_BYTES)
    if stored != expected or data.get_num_chunks() != count:
        raise ValueError(f"data set {name!r} lacks data: {stored} bytes of {expected}")
    return stored


def _shape(name: str, header: Header) -> tuple[int, ...]:
    side = header.resolution
    return (header.count, side, side, 3) if name == "images" else (header.count,)


def _belongs(name: str, kind: h5py.h5t.TypeID) -> bool:
    is_text = kind.get_class() == h5py.h5t.STRING and not kind.is_variable_str()
    if is_text:
        return kind.get_size() <= MAX_TEXT and (name == "name" or _is_label(name))
    if kind.get_class() not in (h5py.h5t.INTEGER, h5py.h5t.FLOAT):
        return False
    if _is_label(name):
        return kind.dtype.str in LABEL_TYPES
    wanted: dict[str, str] = {"images": "|u1", "weight": "<f4"}
    return bool(wanted.get(name) == kind.dtype.str)


def _is_label(name: str) -> bool:
    return name.startswith("labels/") and NAME.fullmatch(name.removeprefix("labels/")) is not None
