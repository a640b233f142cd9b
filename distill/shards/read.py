"""Open a shard: believe nothing before it is checked, turn every fault into one error."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from distill.errors import ShardCorrupt
from distill.files import check_regular
from distill.schema import parse_json
from distill.shards.codec import decode_image
from distill.shards.folder import SHARD_NAME, ShardReport
from distill.shards.structure import check_structure, read_attributes, sides_of

Array = NDArray[np.generic]

# What h5py raises for broken files, what a decoder raises for broken images, and what absurd sizes lead to.
FAULTS = (OSError, KeyError, RuntimeError, ValueError, TypeError, OverflowError, MemoryError, RecursionError)

HDF5_WORDS = re.compile(
    r"(Unable|Can't|Couldn't|Invalid|Not a|Unspecified|Dataset|No )"
)  # how its messages begin
FAULT_WORDS = {
    "checksum": "damaged, its checksum does not fit",
    "filter returned failure": "damaged, its checksum does not fit",
    "truncated": "cut short",
    "signature": "not an HDF5 file",
    "doesn't exist": "a part of it is missing",
}


def open_shard(path: Path, *, report: ShardReport | None = None) -> ShardReader:
    """Open a shard after checking its size, attributes and the structure of every data set; no data is read.

    `report`, the shard's sidecar, adds its size, digest, index and counts to the checks. Only hard links are
    followed, and no storage outside the file. Raises `ShardCorrupt` naming the file and what is wrong.
    """
    size = check_size(path, report)
    with _faults(path, "not readable as HDF5"):
        # No locks: a finished shard is never written again, and some network file systems refuse locks.
        # No chunk cache: a chunk holds about one row, and hundreds of shards may be open.
        file = h5py.File(path, "r", locking=False, rdcc_nbytes=0)
    try:
        with _faults(path, "broken structure"):
            reader = ShardReader(path, file, size)
        _check_identity(reader, report)
    except BaseException:
        _close_quietly(file)
        raise
    return reader


def check_size(path: Path, report: ShardReport | None) -> int:
    """Return the size of a shard. Raises ShardCorrupt where it is missing, or not as long as its report says."""
    size = _file_size(path)
    if report is not None and size != report.bytes:
        raise ShardCorrupt(path, f"{size} bytes long, its sidecar says {report.bytes}")
    return size


class ShardReader:
    """An open shard. Not to be pickled, forked or shared; made by `open_shard`."""

    def __init__(self, path: Path, file: h5py.File, size: int) -> None:
        self.path = path
        self._file = file
        checked = read_attributes(file)
        self._columns = check_structure(file, checked, size)
        self._handles: dict[str, h5py.Dataset] = {}
        self._offsets: dict[str, NDArray[np.uint64]] = {}
        self.index, self.rows, self.digest = checked.index, checked.rows, checked.digest
        self.codec, self.resolution, self.sides = checked.codec, checked.resolution, sides_of(checked)
        self.roles, self.reasons = tuple(checked.roles), tuple(checked.reasons)
        self.attrs: dict[str, Any] = asdict(checked)
        self.recipe: dict[str, Any] = parse_json(checked.recipe)
        self.conditions: dict[str, Any] = parse_json(checked.conditions)

    def image(self, role: str, row: int) -> NDArray[np.uint8]:
        """Return one image, uint8 [H, W, 3]; KeyError for an unknown role, IndexError outside 0..rows-1."""
        self._check(role, row)
        with _faults(self.path, f"image {row} of {role!r}"):
            if self.codec == "raw":
                pixels: NDArray[np.uint8] = self._data_set(f"images/{role}")[row]
                return pixels
            return decode_image(self._stored(role, row), self.codec, sides=self.sides)

    def encoded(self, role: str, row: int) -> bytes:
        """Return one image of a jpeg or webp shard as the file that is stored; errors as in `image`."""
        self._check(role, row)
        if self.codec == "raw":
            raise ValueError(f"{self.path} stores raw pixels, not encoded images")
        with _faults(self.path, f"image {row} of {role!r}"):
            return self._stored(role, row)

    def columns(self) -> list[str]:
        """List the columns with one entry a row, such as "candidate" and "latents/content"."""
        return [name for name in self._columns if not name.startswith("tried/")]

    def column(self, name: str) -> Array:
        """Return a whole column, first axis = rows."""
        return self._read(self._known(name), ...)

    def shape(self, name: str) -> tuple[np.dtype[np.generic], tuple[int, ...]]:
        """Return the type of a column and the shape of one row of it; nothing is read."""
        data = self._data_set(self._known(name))
        return data.dtype, tuple(data.shape[1:])

    def value(self, name: str, row: int) -> Array:
        """Return one row of a column; 0-dimensional for a plain number."""
        self._check_row(row)
        return np.asarray(self._read(self._known(name), row))

    def tried_columns(self) -> list[str]:
        """List the columns of the ledger of all candidates, such as "candidate" and "scores/change.ssim"."""
        return [name.removeprefix("tried/") for name in self._columns if name.startswith("tried/")]

    def tried(self, name: str) -> Array:
        """Return a column of the ledger, first axis = candidates tried; NaN where not scored."""
        return self._read(self._known(f"tried/{name}"), ...)

    def close(self) -> None:
        self._handles.clear()
        _close_quietly(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _stored(self, role: str, row: int) -> bytes:
        data = self._data_set(f"images/{role}")
        first, last = (int(end) for end in self._ends(role, len(data))[row : row + 2])
        stored: bytes = data[first:last].tobytes()
        return stored

    def _ends(self, role: str, total: int) -> NDArray[np.uint64]:
        """Return where the images of a role begin and end, checked: from 0, rising, to the last byte."""
        if role not in self._offsets:
            ends = self._data_set(f"offsets/{role}")[...]
            if ends[0] != 0 or ends[-1] != total or not (ends[1:] > ends[:-1]).all():
                raise ValueError("the offsets of its images do not rise from 0 to the last byte")
            self._offsets[role] = ends
        return self._offsets[role]

    def _read(self, name: str, selection: Any) -> Array:
        with _faults(self.path, f"column {name!r}"):
            array: Array = self._data_set(name)[selection]
            return array

    def _data_set(self, name: str) -> h5py.Dataset:
        if name not in self._handles:
            self._handles[name] = self._file[name]
        return self._handles[name]

    def _known(self, name: str) -> str:
        if name not in self._columns:
            raise KeyError(f"{self.path} has no column {name!r}; it has {', '.join(self._columns)}")
        return name

    def _check(self, role: str, row: int) -> None:
        self._check_row(row)
        if role not in self.roles:
            raise KeyError(f"{self.path} has no role {role!r}; its roles are {', '.join(self.roles)}")

    def _check_row(self, row: int) -> None:
        if not 0 <= row < self.rows:
            raise IndexError(f"{self.path} has rows 0 to {self.rows - 1}, not {row}")


def _file_size(path: Path) -> int:
    try:
        return check_regular(path)
    except OSError as error:
        raise ShardCorrupt(path, f"missing or unreadable ({error.strerror})") from error


def _check_identity(reader: ShardReader, report: ShardReport | None) -> None:
    """Compare a shard with its file name, where it carries one, and with its sidecar."""
    named = SHARD_NAME.fullmatch(reader.path.name)
    if named and int(named[1]) != reader.index:
        raise ShardCorrupt(reader.path, f"holds shard {reader.index}, its name says {int(named[1])}")
    if report is None:
        return
    for key in ("index", "digest", "rows", "tried", "dropped"):
        mine, theirs = reader.attrs[key], getattr(report, key)
        if mine != theirs:
            raise ShardCorrupt(reader.path, f"its {key} is {mine!r}, its sidecar says {theirs!r}")


def fault_text(error: Exception) -> str:
    """Say what is wrong with a file, in place of the words of HDF5; an error of ours keeps its own."""
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    text = " ".join(str(error.args[0] if error.args else "").split())[:200]
    if not HDF5_WORDS.match(text):
        return text or type(error).__name__
    named = (words for sign, words in FAULT_WORDS.items() if sign in text)
    return next(named, "damaged")


@contextmanager
def _faults(path: Path, what: str) -> Iterator[None]:
    try:
        yield
    except ShardCorrupt:
        raise
    except FAULTS as error:
        raise ShardCorrupt(path, f"{what}: {fault_text(error)}") from error


def _close_quietly(file: h5py.File) -> None:
    # It was opened for reading, so nothing is lost, and a broken file has been reported before.
    with suppress(OSError, RuntimeError):
        file.close()
