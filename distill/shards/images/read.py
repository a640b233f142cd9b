"""Open an image set: nothing is believed before it is checked, every fault becomes one line."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from distill.errors import DistillError
from distill.shards.images.layout import Header, check_structure, read_header

FAULTS = (OSError, KeyError, RuntimeError, ValueError, TypeError, OverflowError, MemoryError, RecursionError)
Pixels = NDArray[np.uint8]
READ_BLOCK = 256  # images


def open_images(path: Path | str) -> ImageSet:
    """Open an image set after checking its attributes and the structure of every data set; no data is read.

    Raises DistillError naming the file and what is wrong with it.
    """
    return ImageSet(path)


class ImageSet:
    """N images [H, W, 3] with names, labels and sampling weights; made by `open_images`.

    Can be pickled and used after a fork: each process opens the file for itself.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._file: h5py.File | None = None
        self._owner = 0
        self._pixels: h5py.Dataset | None = None  # looked up once: that takes as long as reading an image
        self._open()

    def __len__(self) -> int:
        return self.count

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None, "_pixels": None, "_owner": 0}

    @property
    def count(self) -> int:
        return self._header.count

    @property
    def resolution(self) -> int:
        return self._header.resolution

    @property
    def source(self) -> dict[str, Any]:
        """Where the images come from, as the writer recorded it."""
        return dict(self._header.source)

    @property
    def label_names(self) -> list[str]:
        return list(self._labels)

    def image(self, index: int) -> Pixels:
        """Return one image, uint8 [H, W, 3]; IndexError outside 0..count-1."""
        if not 0 <= index < self.count:
            raise IndexError(f"{self.path} has images 0 to {self.count - 1}, not {index}")
        with self._faults(f"image {index}"):
            pixels: Pixels = self._images()[index]
            return pixels

    def images(self, indices: Sequence[int] | NDArray[np.integer[Any]]) -> Pixels:
        """Return images by index in the order given, uint8 [n, H, W, 3]."""
        side = self.resolution
        batch = np.empty((len(indices), side, side, 3), np.uint8)
        for row, index in enumerate(indices):
            batch[row] = self.image(int(index))
        return batch

    def blocks(self, size: int = READ_BLOCK) -> Iterator[Pixels]:
        """Yield all images in order, `size` at a time, uint8 [n, H, W, 3]."""
        for first in range(0, self.count, size):
            with self._faults(f"images from {first} on"):
                block = self._images()[first : first + size]
            yield block

    def label(self, name: str) -> NDArray[Any]:
        """Return one label of all images [N]: int16, float32 (NaN = not known) or str ("" = not known)."""
        if name not in self._labels:
            known = ", ".join(self._labels) or "none"
            raise DistillError(f"{self.path} has no label {name!r}; its labels are {known}")
        return self._column(f"labels/{name}")

    def names(self) -> list[str]:
        """Return the name of each image [N]."""
        return [str(name) for name in self._column("name")]

    def weights(self) -> NDArray[np.float32]:
        """Return the relative sampling weight of each image [N], positive; all 1 where none are stored."""
        with self._faults("weight"):
            if "weight" not in self._handle():
                return np.ones(self.count, np.float32)
            weights: NDArray[np.float32] = self._data("weight")[...]
        if not (np.isfinite(weights).all() and (weights > 0).all()):
            raise DistillError(f"{self.path}: its weights are not all positive numbers")
        return weights

    def verify(self) -> None:
        """Read everything; DistillError where a checksum fails or the pixels are not those written."""
        digest = hashlib.sha256()
        for block in self.blocks():
            digest.update(block.tobytes())
        if digest.hexdigest() != self.source.get("pixels_sha256"):
            raise DistillError(f"{self.path}: its pixels are not those that were written")
        self.names()
        self.weights()
        for name in self._labels:
            self.label(name)

    def close(self) -> None:
        file, self._file, self._pixels = self._file, None, None
        if file is not None and self._owner == os.getpid():
            file.close()

    def _open(self) -> None:
        if not self.path.is_file():
            raise DistillError(f"{self.path}: no such file")
        with self._faults("not an image set"):
            file = h5py.File(self.path, "r", locking=False, rdcc_nbytes=0)
            try:
                header = read_header(file)
                labels = check_structure(file, header, self.path.stat().st_size)
            except BaseException:
                file.close()
                raise
        self._header: Header = header
        self._labels: list[str] = labels
        self._file, self._owner = file, os.getpid()
        self._pixels = file["images"]

    def _handle(self) -> h5py.File:
        if self._file is None or self._owner != os.getpid():
            self._open()
        return self._file

    def _data(self, name: str) -> h5py.Dataset:
        return self._handle()[name]

    def _images(self) -> h5py.Dataset:
        self._handle()
        return self._pixels

    def _column(self, name: str) -> NDArray[Any]:
        with self._faults(name):
            values: NDArray[Any] = self._data(name)[...]
            if values.dtype.kind == "S":
                return np.array([value.decode() for value in values.tolist()], dtype=np.str_)
            return values

    @contextmanager
    def _faults(self, what: str) -> Iterator[None]:
        try:
            yield
        except DistillError as error:
            if str(error).startswith(str(self.path)):
                raise
            raise DistillError(f"{self.path}: {what}: {error}") from error
        except FAULTS as error:
            detail = " ".join(str(error).split())[:200] or type(error).__name__
            raise DistillError(f"{self.path}: {what}: {detail}") from error
