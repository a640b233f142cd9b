"""One driver per folder: a lock file that says who works there, and that outlives nobody.

The file is `.lock`: JSON with host, pid, boot, start (of the process, in clock ticks), nonce, since and heartbeat
(seconds since 1970), and whatever the driver tells about its progress. It is linked into place complete, renewed by
renaming, and removed at the end. No flock: its meaning differs between network file systems.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from distill.errors import DiskFull, DistillError
from distill.files import NO_SPACE, link_new, open_regular, read_regular
from distill.schema import parse_json

LOCK_FILE = ".lock"
HEARTBEAT_S = 10.0
STALE_S = 120.0  # without a heartbeat, where one cannot look at the process itself
MAX_LOCK_BYTES = 1 << 20
MAX_TIME = 1 << 35  # seconds since 1970: beyond, no calendar goes
_TRIES = 20


@dataclass(frozen=True, kw_only=True)
class Driver:
    """Who holds, or held, the lock of a folder; `alive` as far as one can tell from here."""

    host: str
    pid: int | None
    alive: bool
    silent_s: float  # since the last heartbeat
    n: int | None


class FolderLock:
    """Hold `folder` for this process, as a context manager.

    `info`: plain values for the lock file (JSON), such as the command; `update` adds more as time goes by.
    Raises DistillError, naming host and pid, when another driver works there; DistillError for an unwritable
    folder; DiskFull. A lock is taken over when its process is gone from this machine (or its pid is another
    process's by now), or when it comes from another machine, or is unreadable, and is older than 120 s.
    """

    def __init__(self, folder: Path, *, info: dict[str, Any] | None = None) -> None:
        self.folder = Path(folder)
        self.path = self.folder / LOCK_FILE
        self._facts = {
            **(info or {}),
            **_identity(),
            "nonce": secrets.token_hex(8),
            "since": round(time.time()),
        }
        self._progress: dict[str, Any] = {}
        self._ended = threading.Event()
        self._pulse = threading.Thread(target=self._beat, name="lock heartbeat", daemon=True)

    def update(self, **progress: Any) -> None:
        """Let the next heartbeat carry these values too."""
        self._progress = {**self._progress, **progress}

    def __enter__(self) -> FolderLock:
        try:
            self._acquire()
        except OSError as error:
            raise self._refusal(error) from error
        for claim in self.folder.glob(f"{LOCK_FILE}.*.claim"):  # on locks that are history by now
            claim.unlink(missing_ok=True)
        self._pulse.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._pulse.join()
        with contextlib.suppress(OSError):
            if self._is_mine():
                self.path.unlink()

    def _refusal(self, error: OSError) -> DistillError:
        if error.errno in NO_SPACE:
            return DiskFull(f"{self.folder}: no space left for a lock file; the same command resumes")
        if error.filename == str(self.path):
            return DistillError(f"{self.path}: {error.strerror}; remove it, or choose another folder")
        return DistillError(f"{self.folder}: cannot write there ({error.strerror}); choose another folder")

    def _acquire(self) -> None:
        for _ in range(_TRIES):
            mine = self._write_aside()
            try:
                if link_new(mine, self.path):
                    return
                found = _read(self.path)
                if found is None:  # released just now
                    continue
                age_s = mine.stat().st_mtime - found.mtime
                if age_s < -HEARTBEAT_S:  # dated ahead: from now on it grows old, or is renewed
                    with contextlib.suppress(OSError):
                        os.utime(self.path)
                _refuse_living(self.folder, found, age_s=max(age_s, 0))
                if self._take_over(found, mine):
                    return
            finally:
                mine.unlink(missing_ok=True)
            time.sleep(0.05)
        raise DistillError(f"{self.folder}: several drivers are starting there at once; try again")

    def _take_over(self, found: _Found, mine: Path) -> bool:
        """Replace a stale lock by `mine`. One taker can claim a given lock; it looks once more, then acts."""
        claim = self.folder / f"{LOCK_FILE}.{found.fingerprint}.claim"
        if not link_new(mine, claim):
            taker = _read(claim)
            if taker is not None and not taker.is_alive(mine.stat().st_mtime - taker.mtime):
                claim.unlink(missing_ok=True)  # its taker died on the way
            return False
        try:
            now = _read(self.path)
            if now is None or now.fingerprint != found.fingerprint:
                return False
            mine.replace(self.path)
            return True
        finally:
            claim.unlink(missing_ok=True)

    def _beat(self) -> None:
        while not self._ended.wait(HEARTBEAT_S):
            try:
                if not self._is_mine():
                    return
                self._write_aside().replace(self.path)
            except OSError:  # a full disk must not look like a dead driver
                with contextlib.suppress(OSError):
                    os.utime(self.path)

    def _is_mine(self) -> bool:
        found = _read(self.path)
        return found is not None and found.facts.get("nonce") == self._facts["nonce"]

    def _write_aside(self) -> Path:
        path = self.folder / f".{LOCK_FILE}.{os.getpid()}-{secrets.token_hex(4)}.tmp"
        content = {**self._progress, **self._facts, "heartbeat": time.time()}
        try:
            path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        except OSError:
            path.unlink(missing_ok=True)
            raise
        return path


class _Found:
    """A lock file as it was read: its values ({} when unreadable), its age by the file system's clock."""

    def __init__(self, data: bytes, mtime: float) -> None:
        self.mtime = mtime
        self.fingerprint = hashlib.sha256(data).hexdigest()[:16]
        try:
            facts = parse_json(data)
        except (ValueError, RecursionError):
            facts = {}
        self.facts: dict[str, Any] = facts if isinstance(facts, dict) else {}
        self.host, self.pid = str(self.facts.get("host") or "")[:100], whole_number(self.facts.get("pid"))

    @property
    def since(self) -> str:
        """When it was taken, in words; "" where it does not say."""
        seconds = whole_number(self.facts.get("since"))
        if seconds is None or seconds > MAX_TIME:
            return ""
        return time.strftime(" since %Y-%m-%d %H:%M UTC", time.gmtime(seconds))

    def is_from_here(self) -> bool:
        """Tell whether its process is, or was, one of this machine since its start, and of this container."""
        here = _identity()
        return self.pid is not None and all(
            self.facts.get(name) == here[name] for name in ("host", "boot", "space")
        )

    def is_alive(self, age_s: float) -> bool:
        """Tell whether somebody works there: by the process where one can look at it, else by the heartbeat."""
        if self.pid is not None and self.is_from_here():
            start = _process_start(self.pid)
            return start is not None and start == self.facts.get("start")
        return abs(age_s) <= STALE_S


def read_driver(folder: Path) -> Driver | None:
    """Return who holds the lock of a folder; None where there is no lock that one can read."""
    try:
        found = _read(folder / LOCK_FILE)
    except OSError:
        return None
    if found is None:
        return None
    age_s = time.time() - found.mtime
    return Driver(
        host=str(found.facts.get("host", "unknown")),
        pid=found.pid,
        alive=found.is_alive(age_s),
        silent_s=max(0.0, round(age_s, 1)),
        n=whole_number(found.facts.get("n")),
    )


def whole_number(value: Any) -> int | None:
    """Return a whole number above 0 as it is; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _read(path: Path) -> _Found | None:
    try:
        with open_regular(path) as file:
            return _Found(file.read(MAX_LOCK_BYTES), os.fstat(file.fileno()).st_mtime)
    except FileNotFoundError:
        return None


def _refuse_living(folder: Path, found: _Found, *, age_s: float) -> None:
    """Raise DistillError unless the lock is stale. `age_s`: by the file system's clock, the same for all."""
    if not found.is_alive(age_s):
        return
    if found.is_from_here():
        raise DistillError(
            f"{folder} is in use by pid {found.pid} on host {found.host}; "
            "wait for it, or choose another folder"
        )
    who = f"pid {found.pid} on host {found.host}{found.since}" if found.host else "an unreadable lock"
    raise DistillError(
        f"{folder} is in use by {who}, last heard of {age_s:.0f} s ago; "
        f"if that process is gone, try again in {STALE_S - age_s:.0f} s"
    )


def _identity() -> dict[str, Any]:
    """Say which process this is; after a reboot or in another container the same pid is another process."""
    return {
        "host": socket.gethostname(),
        "boot": _text("/proc/sys/kernel/random/boot_id"),
        "space": _pid_namespace(),
        "pid": os.getpid(),
        "start": _process_start(os.getpid()),
    }


def _pid_namespace() -> str | None:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return None


def _process_start(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot (field 22 of its stat); None when it is gone.

    Without /proc: 0 for a process that exists.
    """
    if Path("/proc/self/stat").exists():
        fields = (_text(f"/proc/{pid}/stat") or "").rpartition(")")[2].split()
        return int(fields[19]) if len(fields) > 19 and fields[0] not in "ZX" else None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return 0
    return 0


def _text(path: str) -> str | None:
    try:
        return read_regular(path).decode(errors="replace").strip()
    except OSError:
        return None
