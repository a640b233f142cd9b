"""What can go wrong for a user, and the exit code of each.

Library code raises these with one complete line: what, where, the number, what to do.
Only `distill/cli` turns them into a line on stderr and an exit code.
"""

from __future__ import annotations

import errno
from os import PathLike


class DistillError(Exception):
    """Bad input. Exit code 2. A `fatal` one holds for every unit of work, so a run stops at the first."""

    exit_code = 2
    fatal = False


class ShardCorrupt(DistillError):
    """A shard that cannot be trusted: unreadable, of another structure, or of another checksum."""

    def __init__(self, path: str | PathLike[str], what: str) -> None:
        super().__init__(f"{path}: {what}")
        self.path = path
        self.what = what

    def __reduce__(self) -> tuple[type[ShardCorrupt], tuple[str | PathLike[str], str]]:
        return ShardCorrupt, (self.path, self.what)


class UnsafePickle(DistillError):
    """A weight file that asks for something a weight file must not ask for, or that is broken."""


class UnsupportedCheckpoint(DistillError):
    """A readable weight file of a network that this package does not run."""


class TooStrict(DistillError):
    """A filter that lets too few candidates through."""

    fatal = True


class NotFinite(DistillError):
    """A network whose numbers are infinite or NaN, so that nothing can be measured with it."""

    fatal = True


class NothingWorked(DistillError):
    """Every single input was skipped. Exit code 1."""

    exit_code = 1


class Incomplete(DistillError):
    """Some units of work failed; all others are done and kept. Exit code 3."""

    exit_code = 3


class DiskFull(DistillError):
    """No space left; what is complete is kept, the same command resumes. Exit code 4."""

    exit_code = 4
    fatal = True


class FolderGone(DistillError):
    """The folder that a run writes to is not there any more. Exit code 2."""

    fatal = True


class Interrupted(DistillError):
    """Stopped by Ctrl-C or SIGTERM; the same command resumes. Exit code 130."""

    exit_code = 130


def os_error(error: OSError) -> DistillError:
    """Turn an operating-system error into one line; a full disk or quota keeps its own class."""
    text = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(f"{text}; free some space and run the same command again")
    return DistillError(text)
