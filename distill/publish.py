"""Write the files that a person or another program reads: complete or absent, with one line for a fault.

Unlike shards they can be made again, so nothing waits for the disk (no fsync): an export has many
small files.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from distill.errors import DiskFull, DistillError
from distill.files import NO_SPACE


def publish(path: Path, data: bytes) -> None:
    """Write a file under a temporary name and rename it: under its own name it is complete."""
    with aside(path) as file:
        file.write(data)


@contextmanager
def aside(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path`; it takes the name when the block ends well, else vanishes."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
        temporary.replace(path)
    except OSError as error:
        raise write_error(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_error(path: Path, error: OSError) -> DistillError:
    """Say in one line why a file could not be written; a full disk has its own class."""
    if error.errno in NO_SPACE:
        return DiskFull(f"{path}: no space left on the disk; free some and run the same command to go on")
    return DistillError(f"{path}: cannot be written ({error.strerror or error})")
