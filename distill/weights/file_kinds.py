"""Files of weights: mapped into memory, told apart by their first bytes; every error starts with the path."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from distill.errors import DistillError, UnsafePickle, UnsupportedCheckpoint
from distill.files import open_regular
from distill.weights.safe_pickle.machine import MIB, shown
from distill.weights.safe_pickle.unpickle import BROKEN
from distill.weights.torch_archive import LEGACY_START, ZIP_START

FileKind = Literal["torch", "pickle", "safetensors", "npy"]
MAX_FILE = 8 * 1024 * MIB
_FOREIGN = {  # how files start that people take for weights
    b"<": "a web page or XML; the download may have needed a login",
    b"version https://git-lfs": "a Git LFS pointer; run `git lfs pull`",
    b"\x89HDF": "an HDF5 file",
    b"\x1f\x8b": "a gzip archive; unpack it first",
}


@contextmanager
def opened(path: Path, *, most: int = MAX_FILE) -> Iterator[memoryview]:
    """Map a file of at most `most` bytes: only what is used is read, nothing is copied.

    Errors of a reader in the block start with the path: UnsafePickle for what is broken or asks for more than data,
    UnsupportedCheckpoint for what is something else, DistillError for a file that cannot be read.
    """
    try:
        yield _mapped(path, most)
    except (UnsafePickle, UnsupportedCheckpoint) as error:
        raise type(error)(f"{path}: {error}") from error
    except OSError as error:
        raise DistillError(f"{path}: cannot be read ({error.strerror or error})") from error
    except BROKEN as error:
        raise UnsafePickle(f"{path}: broken weight file ({type(error).__name__})") from error


def kind_of(data: memoryview) -> FileKind:
    """Tell the format by the first bytes. Raises UnsupportedCheckpoint that says what the file is instead."""
    start = bytes(data[:64])
    if start.startswith((ZIP_START, LEGACY_START)):
        return "torch"
    if start[8:9] == b"{" and not any(
        start[4:8]
    ):  # first: the length of a header may look like a pickle's start
        return "safetensors"
    if start[0] == 0x80 and len(start) > 1 and start[1] <= 5:
        return "pickle"
    if start.startswith(b"\x93NUMPY"):
        return "npy"
    for magic, what in _FOREIGN.items():
        if start.startswith(magic):
            raise UnsupportedCheckpoint(f"not a weight file but {what}")
    text = shown(start[:16].decode("latin-1"))
    raise UnsupportedCheckpoint(
        f"not a weight file: it starts with '{text}'; .pkl, .pt, .pth and .safetensors are read"
    )


def _mapped(path: Path, most: int) -> memoryview:
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if not size:
            raise UnsupportedCheckpoint("the file is empty")
        if size > most:
            raise UnsupportedCheckpoint(f"{size:,} bytes; such a file has at most {most:,}")
        return memoryview(mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ))
