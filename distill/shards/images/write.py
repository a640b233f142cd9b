"""Write an image set image by image, in bounded memory; it gets its name when it is complete and checked."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from distill.errors import DiskFull, DistillError, os_error
from distill.files import NO_SPACE, atomic_write, sweep
from distill.shards.images.layout import (
    FORMAT,
    LABEL_TYPES,
    MAX_SOURCE,
    MAX_TEXT,
    SCHEMA_VERSION,
    check_resolution,
    chunks_of,
)
from distill.shards.images.read import open_images
from distill.shards.layout import MAX_NAMES, NAME

BLOCK = 64  # images written at a time; always the same, so that the same images give the same bytes
Pixels = NDArray[np.uint8]
Label = Sequence[str] | NDArray[np.generic]


@dataclass(frozen=True, kw_only=True)
class WrittenImageSet:
    """A finished image set: its size, its sha256 (also in `<path>.sha256`), how many images."""

    path: Path
    count: int
    resolution: int
    bytes: int
    sha256: str


def check_output(path: Path, *, overwrite: bool, images: int, resolution: int) -> None:
    """Raise DistillError where this file cannot be written, DiskFull where `images` images do not fit."""
    folder = path.parent
    if path.is_dir():
        raise DistillError(f"{path} is a folder: --out names a file, such as {path / 'images.h5'}")
    if not folder.is_dir():
        raise DistillError(f"{folder}: no such folder; make it first, or choose another --out")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise DistillError(f"{folder}: no permission to write there; choose another --out")
    if path.exists() and not overwrite:
        raise DistillError(f"{path} is there already: choose another --out, or replace it with --overwrite")
    needed, free = images * 3 * resolution**2, shutil.disk_usage(folder).free
    if needed > free:
        raise DiskFull(
            f"{folder}: {needed / 1e6:.0f} MB are needed, {free / 1e6:.0f} MB are free; free some space"
        )


class ImageWriter:
    """Collect images [H, W, 3] by `add`, finish by `commit`; left without it, nothing remains on disk."""

    def __init__(self, path: Path, resolution: int) -> None:
        self.path, self.resolution = path, check_resolution(resolution)
        self.count = 0
        self._temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
        self._file: h5py.File | None = None
        self._block: list[Pixels] = []
        self._pixels = hashlib.sha256()

    def __enter__(self) -> Self:
        sweep(self.path.parent)
        try:
            self._file = h5py.File(self._temporary, "x", libver=("v110", "v110"), rdcc_nbytes=0)
            shape = (0, self.resolution, self.resolution, 3)
            self._file.create_dataset(
                "images",
                shape=shape,
                maxshape=(None, *shape[1:]),
                chunks=(1, *shape[1:]),
                dtype=np.uint8,
                fletcher32=True,
                track_times=False,
            )
        except (OSError, RuntimeError) as error:
            self._abandon()
            raise _write_error(self.path, error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._abandon()

    def add(self, image: Pixels) -> None:
        """Append one image, uint8 [H, W, 3] of the writer's resolution."""
        if image.dtype != np.uint8 or image.shape != (self.resolution, self.resolution, 3):
            raise ValueError(f"image {self.count} is {image.dtype} {image.shape}")
        self._block.append(image)
        self.count += 1
        if len(self._block) == BLOCK:
            self._flush()

    def commit(
        self,
        *,
        names: Sequence[str],
        labels: Mapping[str, Label],
        weight: NDArray[np.float32] | None,
        source: Mapping[str, Any],
    ) -> WrittenImageSet:
        """Add the columns (N entries each), write, read everything back, and give the file its name.

        Labels are texts (stored as utf-8 of fixed length), int16 or float32. `weight` are relative sampling
        weights, positive. The sha256 of all pixels joins `source` as "pixels_sha256".
        """
        if self._file is None or self.count == 0:
            raise ValueError("no images to commit")
        self._flush()
        try:
            self._write_columns(names, labels, weight)
            self._write_header({**source, "pixels_sha256": self._pixels.hexdigest()})
            self._file.close()
        except (OSError, RuntimeError) as error:
            raise _write_error(self.path, error) from error
        return self._publish()

    def _flush(self) -> None:
        if self._file is None or not self._block:
            return
        block = np.stack(self._block)
        self._block = []
        self._pixels.update(block.tobytes())
        try:
            images = self._file["images"]
            first = len(images)
            images.resize(first + len(block), axis=0)
            images[first:] = block
        except (OSError, RuntimeError) as error:
            raise _write_error(self.path, error) from error

    def _write_columns(
        self, names: Sequence[str], labels: Mapping[str, Label], weight: NDArray[np.float32] | None
    ) -> None:
        if len(labels) > MAX_NAMES or not all(NAME.fullmatch(name) for name in labels):
            raise ValueError(f"label names {list(labels)!r}")
        columns = {"name": as_stored(names)}
        columns |= {f"labels/{name}": as_stored(values) for name, values in sorted(labels.items())}
        if weight is not None:
            if not (np.isfinite(weight).all() and (weight > 0).all()):
                raise ValueError("weights must be positive")
            columns["weight"] = np.ascontiguousarray(weight, dtype="<f4")
        for name, values in columns.items():
            self._write_column(name, values)

    def _write_column(self, name: str, values: NDArray[np.generic]) -> None:
        if values.shape != (self.count,) or self._file is None:
            raise ValueError(f"column {name!r} has {values.shape} entries for {self.count} images")
        dtype: Any = values.dtype
        if dtype.kind == "S":
            dtype = h5py.string_dtype("utf-8", dtype.itemsize)
        chunks = chunks_of(name, values.shape, values.itemsize)
        # The low-level type keeps h5py from converting the bytes.
        self._file.create_dataset(
            name, data=values.astype(dtype), dtype=dtype, chunks=chunks, fletcher32=True, track_times=False
        )

    def _write_header(self, source: Mapping[str, Any]) -> None:
        if self._file is None:
            raise ValueError("closed")
        data = json.dumps(source, sort_keys=True).encode()
        if len(data) > MAX_SOURCE:
            raise ValueError(f"source takes {len(data)} bytes, at most {MAX_SOURCE} are allowed")
        for name, text in {"format": FORMAT.encode(), "source": data}.items():
            self._file.attrs.create(name, np.bytes_(text), dtype=h5py.string_dtype("utf-8", len(text)))
        numbers = {"schema_version": SCHEMA_VERSION, "resolution": self.resolution, "count": self.count}
        for name, number in numbers.items():
            self._file.attrs.create(name, np.int64(number))

    def _publish(self) -> WrittenImageSet:
        """Check what is on disk, then rename: HDF5 can report a full disk too late."""
        with open_images(self._temporary) as images:
            images.verify()
        sidecar = self.path.with_name(f"{self.path.name}.sha256")
        try:
            with self._temporary.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                os.fsync(file.fileno())
            size = self._temporary.stat().st_size
            sidecar.unlink(missing_ok=True)  # never the sidecar of an older file beside a newer one
            self._temporary.replace(self.path)
            atomic_write(sidecar, f"{digest}  {self.path.name}\n".encode("utf-8", "surrogateescape"))
        except OSError as error:
            raise os_error(error) from error
        return WrittenImageSet(
            path=self.path, count=self.count, resolution=self.resolution, bytes=size, sha256=digest
        )

    def _abandon(self) -> None:
        file, self._file = self._file, None
        try:
            if file is not None:
                file.close()
        except (OSError, RuntimeError) as error:
            raise _write_error(self.path, error) from error
        finally:
            self._temporary.unlink(missing_ok=True)


def as_stored(values: Label) -> NDArray[np.generic]:
    """Return a column as it is stored: int16 and float32 as they are, anything else as utf-8 bytes."""
    if isinstance(values, np.ndarray) and values.dtype.str in LABEL_TYPES:
        return np.ascontiguousarray(values)
    data = [str(value).encode("utf-8", "replace") for value in values]
    longest = max(map(len, data), default=0)
    if longest > MAX_TEXT:
        raise DistillError(f"a label or name of {longest} bytes: at most {MAX_TEXT} can be stored")
    return np.array(data, dtype=f"S{max(longest, 1)}")


def _write_error(path: Path, error: Exception) -> DistillError:
    """Turn HDF5's own report into one line; the number of the system error stands in its text."""
    found = re.search(r"errno = (\d+), error message = '([^']*)'", str(error))
    number = int(found[1]) if found else getattr(error, "errno", None)
    reason = found[2] if found else " ".join(str(error).split())[:200]
    if number in NO_SPACE:
        return DiskFull(f"{path}: no space left; nothing was kept, free some and run the same command again")
    return DistillError(f"{path}: cannot be written ({reason})")
