"""Check the structure of an HDF5 file against the layout before any of its data is read.

A file is refused that could make a reader follow a link, read another file, run a filter, or ask for more
memory than the file is long. Faults are raised as ValueError; `distill.shards.read` names the file.
"""

from __future__ import annotations

import math
from typing import Any

import h5py

from distill.schema import parse_json
from distill.shards.digest import digest_of
from distill.shards.hdf5 import data_sets, read_attribute
from distill.shards.layout import (
    ACCEPTED,
    ATTRIBUTE_NAMES,
    CODECS,
    DIGEST,
    FORMAT,
    GROUPS,
    MAX_ATTRIBUTE_BYTES,
    MAX_NAMES,
    MAX_RESOLUTION,
    NAME,
    OFFSETS,
    SCHEMA_VERSION,
    Attributes,
    Kind,
    chunk_shape,
    image_kind,
    image_sides,
    kind_of,
)

CHECKSUM_BYTES = 4  # fletcher32 adds them to every chunk
TEXT = ("format", "digest", "recipe", "conditions", "codec", "roles", "dropped", "reasons")


def read_attributes(file: h5py.File) -> Attributes:
    """Read the attributes on the root, each of the type, size and range that the writer gives it."""
    version = read_attribute(file, "schema_version", is_text=False, max_bytes=MAX_ATTRIBUTE_BYTES)
    if version != SCHEMA_VERSION:
        raise ValueError(f"its schema version is {version}, this distill reads {SCHEMA_VERSION}")
    if h5py.h5a.get_num_attrs(file.id) != len(ATTRIBUTE_NAMES):
        raise ValueError(
            f"{h5py.h5a.get_num_attrs(file.id)} attributes on the root, not {len(ATTRIBUTE_NAMES)}"
        )
    values: dict[str, Any] = {
        name: read_attribute(file, name, is_text=name in TEXT, max_bytes=MAX_ATTRIBUTE_BYTES)
        for name in ATTRIBUTE_NAMES
    }
    for name in ("roles", "dropped", "reasons"):
        values[name] = parse_json(values[name])
    found = Attributes(**values)
    problem = attributes_problem(found)
    if problem:
        raise ValueError(problem)
    return found


def attributes_problem(found: Attributes) -> str | None:
    """Say what is wrong with the attributes of a shard, or None."""
    recipe = parse_json(found.recipe)
    checks = {
        f"its format is {found.format[:40]!r}, not {FORMAT!r}": found.format == FORMAT,
        "its digest is not 12 hex digits": DIGEST.fullmatch(found.digest) is not None,
        "its recipe is not a JSON object": isinstance(recipe, dict),
        f"its digest is {found.digest[:12]}, that of the recipe in it is another: one of them was changed": (
            isinstance(recipe, dict) and digest_of(recipe) == found.digest
        ),
        "its conditions are not a JSON object": isinstance(parse_json(found.conditions), dict),
        f"index {found.index}, rows {found.rows}, resolution {found.resolution}: out of range": (
            found.index >= 0 and found.rows >= 1 and _is_side(int(found.resolution))
        ),
        "the width in its recipe is out of range": isinstance(recipe, dict)
        and _is_side(recipe.get("width", 1)),
        f"its codec is {found.codec[:40]!r}, not one of {', '.join(CODECS)}": found.codec in CODECS,
        "its roles are not a list of names": _are_names(found.roles) and bool(found.roles),
        "its reasons are not a list that starts with 'accepted'": (
            _are_texts(found.reasons, 256) and found.reasons[:1] == [ACCEPTED]
        ),
        "its counts of tried, accepted and dropped candidates do not add up": _adds_up(found),
    }
    return next((problem for problem, fine in checks.items() if not fine), None)


def sides_of(attributes: Attributes) -> tuple[int, int]:
    """Return height and width of the images of a shard."""
    return image_sides(parse_json(attributes.recipe), attributes.resolution)


def _is_side(value: Any) -> bool:
    return type(value) is int and 1 <= value <= MAX_RESOLUTION


def check_structure(file: h5py.File, attributes: Attributes, file_size: int) -> list[str]:
    """Check every data set against the layout; return the names of the columns, sorted.

    Types, shapes, chunks and filters must be those of the writer, every chunk must be there (HDF5 reads a
    missing one as zeros), and all together may not be larger than the file.
    """
    columns: list[str] = []
    images: dict[str, tuple[int, ...]] = {}
    stored, sides = 0, sides_of(attributes)
    for name, data in data_sets(h5py.h5g.open(file.id, b"/"), GROUPS, "a shard"):
        group = name.rpartition("/")[0]
        if group in ("images", "offsets"):
            images[name] = data.shape
            kind: Kind | None = OFFSETS if group == "offsets" else image_kind(attributes.codec, sides)
        else:
            columns.append(name)
            kind = kind_of(name)
        stored += _check_data_set(name, data, kind)
        _check_length(name, data.shape, attributes)
    if stored > file_size:
        raise ValueError(f"its data sets claim {stored} bytes, the file has {file_size}")
    _check_complete(columns, images, attributes)
    return sorted(columns)


def _check_data_set(name: str, data: h5py.h5d.DatasetID, kind: Kind | None) -> int:
    """Check type, shape and storage of one data set; return how many bytes it takes in the file."""
    shape, dtype = data.shape, data.dtype
    if kind is None or not NAME.fullmatch(name.rpartition("/")[2]):
        raise ValueError(f"data set {name!r} has no place in a shard")
    if (
        not shape
        or not kind.accepts(dtype, shape[1:])
        or data.get_space().get_simple_extent_dims(True) != shape
    ):
        raise ValueError(f"data set {name!r} is {dtype} {shape}, which its kind does not allow")
    plist = data.get_create_plist()
    if plist.get_external_count() or plist.get_layout() == h5py.h5d.VIRTUAL:
        raise ValueError(f"data set {name!r} takes its data from another file")
    chunks = chunk_shape(name, shape, dtype.itemsize)
    if chunks is None:
        return _check_empty(name, data)
    filters = [plist.get_filter(i)[0] for i in range(min(plist.get_nfilters(), 4))]
    if plist.get_layout() != h5py.h5d.CHUNKED or filters != [h5py.h5z.FILTER_FLETCHER32]:
        raise ValueError(f"data set {name!r} has filters {filters}, not fletcher32 alone")
    if plist.get_chunk() != chunks:
        raise ValueError(f"data set {name!r} has chunks {plist.get_chunk()}, not {chunks}")
    chunk_bytes = dtype.itemsize * math.prod(chunks) + CHECKSUM_BYTES
    count = math.prod(-(-length // chunk) for length, chunk in zip(shape, chunks, strict=True))
    stored = int(data.get_storage_size())
    if stored != count * chunk_bytes or data.get_num_chunks() != count:
        raise ValueError(f"data set {name!r} lacks data: {stored} bytes of {count * chunk_bytes}")
    return stored


def _check_empty(name: str, data: h5py.h5d.DatasetID) -> int:
    if data.get_storage_size() or data.get_create_plist().get_nfilters():
        raise ValueError(f"data set {name!r} is empty and yet stores something")
    return 0


def _check_length(name: str, shape: tuple[int, ...], attributes: Attributes) -> None:
    if name.startswith("images/") and attributes.codec != "raw":
        return  # the bytes of all images; the offsets are checked when they are read
    expected = attributes.tried if name.startswith("tried/") else attributes.rows
    expected += name.startswith("offsets/")
    if shape[0] != expected:
        raise ValueError(f"data set {name!r} has {shape[0]} entries, not {expected}")


def _check_complete(columns: list[str], images: dict[str, tuple[int, ...]], attributes: Attributes) -> None:
    groups = ("images",) if attributes.codec == "raw" else ("images", "offsets")
    wanted = {f"{group}/{role}" for group in groups for role in attributes.roles}
    if images.keys() != wanted:
        raise ValueError(f"its data sets of images are {sorted(images)}, not {sorted(wanted)}")
    for name in ("candidate", "tried/candidate", "tried/reason"):
        if name not in columns:
            raise ValueError(f"no data set {name!r}")


def _adds_up(found: Attributes) -> bool:
    dropped = found.dropped
    if not isinstance(dropped, dict) or not all(
        type(count) is int and count > 0 for count in dropped.values()
    ):
        return False
    return set(dropped) <= set(found.reasons[1:]) and found.tried == found.rows + sum(dropped.values())


def _are_texts(values: Any, limit: int) -> bool:
    return (
        isinstance(values, list)
        and len(values) <= limit
        and all(isinstance(value, str) and len(value) <= 200 for value in values)
        and len(set(values)) == len(values)
    )


def _are_names(values: Any) -> bool:
    return _are_texts(values, MAX_NAMES) and all(NAME.fullmatch(value) for value in values)
