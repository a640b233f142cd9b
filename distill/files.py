"""Files that are complete or absent: written aside, fsynced, renamed; and sweeping after writers that died.

Paths become text by `path_text`, wherever one is printed or written into a file.

A name is `.{final name}.{process id}-{random}.tmp` while it is being written.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import BinaryIO

from distill.errors import DiskFull, DistillError, os_error

TEMPORARY_NAME = re.compile(r"\..+\.(\d+)-[0-9a-f]+\.tmp")
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
CONTROLS = "\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069"  # break a line, or command a terminal
NO_TEXT = "\ud800-\udfff"  # bytes of a file name that are no UTF-8, as Python holds them


def atomic_write(path: Path, data: bytes, *, synced: bool = True) -> None:
    """Give `path` this content or leave it as it was, whatever happens; see `aside`."""
    with aside(path, synced=synced) as file:
        file.write(data)


@contextmanager
def aside(path: Path, *, synced: bool = True) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path`; it takes the name when the block ends well, else it vanishes.

    `synced` waits for the disk before and after the renaming: leave it out for files that can be made again at once.
    Raises `DiskFull` where space or quota ends, and an OSError that names `path` for another fault.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
            if synced:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
        if synced:
            _sync_folder(path.parent)
    except OSError as error:
        if error.errno in NO_SPACE:
            raise DiskFull(
                f"{path}: no space left on the disk; free some and run the same command again"
            ) from error
        if error.filename in (None, str(temporary)):
            raise OSError(error.errno, error.strerror or str(error), str(path)) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Make a folder for results, and those it lies in. Raises DistillError where that cannot be."""
    check_folder(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise os_error(error) from error


def check_folder(folder: Path) -> None:
    """Raise DistillError where a folder for results is not and cannot be, or not be written to; nothing is made."""
    place = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
    if not place.is_dir():
        raise DistillError(f"{place} is a file, a folder is needed: choose another --out")
    if not os.access(place, os.W_OK | os.X_OK):
        raise DistillError(f"{place}: no permission to write there: choose another --out")


def missing_folders(folder: Path) -> list[Path]:
    """Return what `make_folder` would make, the outermost first."""
    return [path for path in reversed((folder, *folder.parents)) if not path.exists()]


def sweep(folder: Path) -> int:
    """Remove the temporary files of writers that are dead; return how many. A live writer keeps its file."""
    removed = 0
    for name in temporary_files(folder):
        match = TEMPORARY_NAME.fullmatch(name)
        if match and not _may_be_writing(int(match[1]), folder / name):
            (folder / name).unlink(missing_ok=True)
            removed += 1
    return removed


def temporary_files(folder: Path) -> list[str]:
    """List the names of files that are being written, or were when their writer died."""
    return sorted(path.name for path in folder.iterdir() if TEMPORARY_NAME.fullmatch(path.name))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems cannot sync a folder
            raise
    finally:
        os.close(descriptor)


def _may_be_writing(pid: int, path: Path) -> bool:
    if pid == 0:
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # alive, another user's
    return not _younger_than(pid, path)


def _younger_than(pid: int, path: Path) -> bool:
    """Tell whether a process started after a file was last written: then its number was another's before."""
    try:
        started = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
        uptime = float(Path("/proc/uptime").read_text().split()[0])
        file_age = time.time() - path.stat().st_mtime
    except (OSError, ValueError, IndexError):
        return False  # not Linux: believe the number
    process_age = uptime - started / os.sysconf("SC_CLK_TCK")
    return process_age < file_age - 2


def path_text(path: str | PathLike[str], *, line: bool = True) -> str:
    """Write a path, or any text with names in it, as text that every terminal and every file takes.

    Bytes that are no UTF-8 become \\xff. As a `line` control characters are escaped too; a JSON file keeps them.
    """
    escaped = f"[{CONTROLS if line else ''}{NO_TEXT}]"
    return re.sub(escaped, lambda found: _escape(found[0]), os.fspath(path))


def _escape(character: str) -> str:
    if 0xDC80 <= ord(character) <= 0xDCFF:
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()


def size_text(count: float) -> str:
    """Write a number of bytes for people."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
