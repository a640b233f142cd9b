"""Files: opened where they are regular ones, written complete or not at all; and sweeping after writers that died.

Whatever is read is opened by `open_regular`, whatever is written goes through `aside` or `append`. Paths become text
by `path_text`, wherever one is printed or written into a file.

A name is `.{final name}.{process id}-{random}.tmp` while it is being written.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from os import PathLike
from pathlib import Path
from typing import BinaryIO

from distill.errors import DiskFull, DistillError, FolderGone, os_error

TEMPORARY_NAME = re.compile(r"\..+\.(\d+)-[0-9a-f]+\.tmp")
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
NOT_OFFERED = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EPERM)  # by a file system
KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket"}
CONTROLS = "\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069"  # break a line, or command a terminal
NO_TEXT = "\ud800-\udfff"  # bytes of a file name that are no UTF-8, as Python holds them


def open_regular(path: str | PathLike[str]) -> BufferedReader:
    """Open a regular file to read its bytes. A named pipe, a device, a socket or a folder is refused without waiting.

    Raises OSError that names the path, with what it is instead as its `strerror`.
    """
    check_regular(path)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # it may be a pipe by now
    try:
        _refuse_special(os.fstat(descriptor).st_mode, path)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def check_regular(path: str | PathLike[str]) -> int:
    """Return the size of a file that a library opens by its path. Raises OSError as `open_regular`."""
    try:
        facts = Path(path).stat()
    except FileNotFoundError as error:
        raise FileNotFoundError(errno.ENOENT, "no such file", os.fspath(path)) from error
    except ValueError as error:  # a zero byte, out of somebody's JSON
        raise OSError(errno.EINVAL, "not a file name", os.fspath(path)) from error
    _refuse_special(facts.st_mode, path)
    return facts.st_size


def _refuse_special(mode: int, path: str | PathLike[str]) -> None:
    if not stat.S_ISREG(mode):
        kind = KINDS.get(stat.S_IFMT(mode), "a device")
        raise OSError(errno.EINVAL, f"{kind}, not a file", os.fspath(path))


def read_regular(path: str | PathLike[str], *, most: int | None = None) -> bytes:
    """Return the bytes of a regular file of at most `most` bytes. Raises OSError as `open_regular`."""
    with open_regular(path) as file:
        data = file.read() if most is None else file.read(most + 1)
    if most is not None and len(data) > most:
        raise OSError(errno.EFBIG, f"longer than {most:,} bytes", os.fspath(path))
    return data


def file_sha256(path: str | PathLike[str]) -> str:
    """Return the sha256 of a regular file in hex. Raises OSError as `open_regular`."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def atomic_write(path: Path, data: bytes, *, synced: bool = True) -> None:
    """Give `path` this content or leave it as it was, whatever happens; see `aside`."""
    with aside(path, synced=synced) as file:
        file.write(data)


@contextmanager
def aside(path: Path, *, synced: bool = True) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path`; it takes the name when the block ends well, else it vanishes.

    `synced` waits for the disk before and after the renaming: leave it out for files that can be made again at once.
    Raises `DiskFull` where space or quota ends, `FolderGone` where the folder is not there, and an OSError that names
    `path` for another fault.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
            if synced:
                sync(file)
        if path.exists():
            check_regular(path)
        temporary.replace(path)
        if synced:
            _sync_folder(path.parent)
    except OSError as error:
        raise _named(error, path, temporary) from error
    finally:
        with suppress(OSError):  # a folder that is gone, or is no folder, raises above
            temporary.unlink()


def append(path: Path, data: bytes) -> None:
    """Add to the end of a file, which is made where it is not there. Raises as `aside`."""
    try:
        with path.open("ab") as file:
            file.write(data)
    except OSError as error:
        raise _named(error, path, path) from error


def _named(error: OSError, path: Path, temporary: Path) -> OSError | DistillError:
    """Return the error of a write in the words of whoever asked for `path`."""
    if error.errno in NO_SPACE:
        return DiskFull(f"{path}: no space left on the disk; free some and run the same command again")
    if error.errno == errno.ENOENT and not path.parent.is_dir():
        return FolderGone(f"{path.parent}: no such folder (any more), so {path.name} cannot be written there")
    if error.filename in (None, str(temporary)):
        return OSError(error.errno, error.strerror or str(error), str(path))
    return error


def link_new(source: Path, target: Path) -> bool:
    """Give a small file a second name (without links: copy it); return whether the name was free."""
    try:
        os.link(source, target)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in (*NOT_OFFERED, errno.EMLINK):
            raise
        try:
            with target.open("xb") as file:
                file.write(source.read_bytes())
        except FileExistsError:
            return False
    return True


def sync(file: BinaryIO) -> None:
    """Wait until the disk has what was written, where the file system can tell."""
    file.flush()
    try:
        os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in NOT_OFFERED:
            raise


@contextmanager
def made_folder(folder: Path) -> Iterator[None]:
    """Make a folder for results, and those it lies in, as `make_folder`; those that stay empty go again."""
    missing = missing_folders(folder)
    make_folder(folder)
    try:
        yield
    finally:
        with suppress(OSError):  # not empty: that is what it is for
            for made in reversed(missing):
                made.rmdir()


def write_result(path: Path, data: bytes) -> None:
    """Write a file for a user, in a folder that is made where there is none. Raises DistillError, DiskFull."""
    check_file(path, overwrite=True)
    try:
        with made_folder(path.parent):
            atomic_write(path, data, synced=False)
    except OSError as error:
        raise os_error(error) from error


def make_folder(folder: Path) -> None:
    """Make a folder for results, and those it lies in. Raises DistillError where that cannot be."""
    check_folder(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise os_error(error) from error


def check_folder(folder: Path, *, option: str = "--out") -> None:
    """Raise DistillError where a folder for results is not and cannot be, or not be written to; nothing is made."""
    place = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
    _refuse_dangling(place, option)
    if not place.is_dir():
        raise DistillError(f"{place} is a file, but a folder is needed: choose another {option}")
    if not os.access(place, os.W_OK | os.X_OK):
        raise DistillError(f"{place}: no permission to write there: choose another {option}")


def check_file(path: Path, *, overwrite: bool, option: str = "--out") -> None:
    """Raise DistillError where a file of results cannot be written, or is there and to be kept; nothing is made."""
    check_folder(path.parent, option=option)
    _refuse_dangling(path, option)
    try:
        check_regular(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise os_error(error) from error
    if not overwrite:
        raise DistillError(f"{path} exists; choose another {option}, or replace it with --overwrite")


def _refuse_dangling(path: Path, option: str) -> None:
    if path.is_symlink() and not path.exists():
        raise DistillError(
            f"{path} is a link to {path.readlink()}, which does not exist: create it, or choose another {option}"
        )


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
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    except PermissionError:  # one may write into it and not list it
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in NOT_OFFERED:
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
        started = int(read_regular(f"/proc/{pid}/stat").rpartition(b")")[2].split()[19])
        uptime = float(read_regular("/proc/uptime").split()[0])
        file_age = time.time() - path.stat().st_mtime
    except (OSError, ValueError, IndexError):
        return False  # not Linux: believe the number
    process_age = uptime - started / os.sysconf("SC_CLK_TCK")
    return process_age < file_age - 2


def user_path(text: str | PathLike[str]) -> Path:
    """Spell out ~ and ~NAME where a path begins with it; a NAME that no user has stays as it is."""
    with suppress(RuntimeError):
        return Path(text).expanduser()
    return Path(text)


def path_text(path: str | PathLike[str], *, line: bool = True) -> str:
    """Write a path, or text with names in it, so that every file takes it and, as a `line`, every terminal."""
    escaped = f"[{CONTROLS if line else ''}{NO_TEXT}]"
    return re.sub(escaped, lambda found: _escape(found[0]), os.fspath(path))


def _escape(character: str) -> str:
    if 0xDC80 <= ord(character) <= 0xDCFF:
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()
