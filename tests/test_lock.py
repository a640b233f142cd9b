from __future__ import annotations

import errno
import hashlib
import json
import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from distill import lock
from distill.errors import DiskFull, DistillError
from distill.lock import FolderLock

ROOT = Path(__file__).parents[2]


def read_lock(folder: Path) -> dict[str, Any] | None:
    """Return the values in the folder's lock file; None without one."""
    path = folder / ".lock"
    facts: dict[str, Any] | None = json.loads(path.read_text()) if path.exists() else None
    return facts


def leave_behind(folder: Path, *, age_s: float = 0.0, **changes: Any) -> None:
    """Leave a lock file as a process that is gone would, with some of its facts changed."""
    with FolderLock(folder):
        facts = read_lock(folder)
    assert facts is not None
    path = folder / ".lock"
    path.write_text(json.dumps({**facts, **changes}))
    os.utime(path, (time.time() - age_s, time.time() - age_s))


def test_a_lock_says_who_and_goes_away_at_the_end(tmp_path: Path) -> None:
    with FolderLock(tmp_path, info={"command": "generate"}):
        facts = read_lock(tmp_path)
        assert facts is not None
        assert (facts["pid"], facts["host"], facts["command"]) == (
            os.getpid(),
            socket.gethostname(),
            "generate",
        )
        assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    assert list(tmp_path.iterdir()) == []
    assert read_lock(tmp_path) is None


def test_a_second_driver_is_refused_by_name(tmp_path: Path) -> None:
    with FolderLock(tmp_path):
        with pytest.raises(DistillError) as refusal:
            FolderLock(tmp_path).__enter__()
        assert read_lock(tmp_path) is not None
    message = str(refusal.value)
    assert f"{tmp_path} is in use by pid {os.getpid()} on host {socket.gethostname()}" in message
    assert "\n" not in message


def test_the_lock_is_released_by_an_error_too(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), FolderLock(tmp_path):
        raise RuntimeError
    with FolderLock(tmp_path):
        pass


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path: Path) -> None:
    script = (
        "import os, sys, pathlib; from distill.lock import FolderLock; "
        "FolderLock(pathlib.Path(sys.argv[1])).__enter__(); os.kill(os.getpid(), 9)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], env=environment, check=False)
    assert done.returncode == -9
    assert (tmp_path / ".lock").exists()
    with FolderLock(tmp_path):
        facts = read_lock(tmp_path)
        assert facts is not None
        assert facts["pid"] == os.getpid()
        assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_a_pid_that_is_another_process_by_now_does_not_hold_the_lock(tmp_path: Path) -> None:
    leave_behind(tmp_path, start=1)
    with FolderLock(tmp_path):
        pass


def test_a_taker_that_was_killed_on_the_way_holds_nobody_up(tmp_path: Path) -> None:
    leave_behind(tmp_path, start=1)
    content = (tmp_path / ".lock").read_bytes()
    claim = tmp_path / f".lock.{hashlib.sha256(content).hexdigest()[:16]}.claim"
    claim.write_bytes(content)
    with FolderLock(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_a_zombie_does_not_hold_the_lock(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    leave_behind(tmp_path, pid=process.pid, start=lock._process_start(process.pid))
    with pytest.raises(DistillError, match=f"pid {process.pid}"):
        FolderLock(tmp_path).__enter__()
    process.kill()
    try:
        while lock._process_start(process.pid) is not None:
            time.sleep(0.01)
        with FolderLock(tmp_path):
            pass
    finally:
        process.communicate()


def test_another_host_holds_the_lock_as_long_as_it_is_heard_of(tmp_path: Path) -> None:
    leave_behind(tmp_path, host="node17", pid=4242, age_s=60)
    with pytest.raises(
        DistillError,
        match=r"pid 4242 on host node17 since \d{4}-\d\d-\d\d \d\d:\d\d UTC, last heard of 60 s ago.*again in 60 s",
    ):
        FolderLock(tmp_path).__enter__()
    leave_behind_again = tmp_path / ".lock"
    os.utime(leave_behind_again, (time.time() - 121, time.time() - 121))
    with FolderLock(tmp_path):
        facts = read_lock(tmp_path)
        assert facts is not None
        assert facts["host"] == socket.gethostname()


def test_a_lock_dated_ahead_is_waited_for_no_longer_than_any_other(tmp_path: Path) -> None:
    leave_behind(tmp_path, host="node17", pid=4242, age_s=-172_800)
    with pytest.raises(DistillError, match=r"host node17 since .*, last heard of 0 s ago.*again in 120 s"):
        FolderLock(tmp_path).__enter__()
    path = tmp_path / ".lock"
    assert path.stat().st_mtime <= time.time() + 1, "from now on it grows old"
    os.utime(path, (time.time() - 121, time.time() - 121))
    with FolderLock(tmp_path):
        assert read_lock(tmp_path) is not None


def test_a_lock_that_is_no_file_is_named_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".lock")
    with pytest.raises(DistillError, match=r"\.lock: a named pipe, not a file; remove it"):
        FolderLock(tmp_path).__enter__()
    assert lock.read_driver(tmp_path) is None


def test_the_same_host_in_another_container_is_judged_by_its_heartbeat(tmp_path: Path) -> None:
    leave_behind(tmp_path, space="pid:[1]", pid=1, age_s=60)
    with pytest.raises(DistillError, match="last heard of 60 s ago"):
        FolderLock(tmp_path).__enter__()


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\x00", b"{}", b'{"host": 3, "pid": "x"}'])
def test_an_unreadable_lock_is_taken_over_when_old(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / ".lock"
    path.write_bytes(content)
    with pytest.raises(DistillError, match="in use"):
        FolderLock(tmp_path).__enter__()
    os.utime(path, (time.time() - 121, time.time() - 121))
    with FolderLock(tmp_path):
        assert read_lock(tmp_path) is not None


@pytest.mark.parametrize("hard_links", [True, False])
def test_of_many_takers_one_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hard_links: bool) -> None:
    if not hard_links:

        def refuse(*_: Any) -> None:
            raise OSError(errno.EPERM, "no hard links here")

        monkeypatch.setattr(os, "link", refuse)
    for attempt in range(20):
        leave_behind(tmp_path, start=1) if attempt % 2 else None
        start, end = Barrier(6), Barrier(6)

        def take(start: Barrier = start, end: Barrier = end) -> bool:
            mine = FolderLock(tmp_path)
            start.wait()
            try:
                mine.__enter__()
            except DistillError:
                end.wait()
                return False
            end.wait()
            mine.__exit__(None, None, None)
            return True

        with ThreadPoolExecutor(6) as pool:
            won = [future.result() for future in [pool.submit(take) for _ in range(6)]]
        assert won.count(True) == 1
        assert list(tmp_path.iterdir()) == []


def test_the_heartbeat_carries_the_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "HEARTBEAT_S", 0.02)
    with FolderLock(tmp_path, info={"n": 9}) as held:
        first = read_lock(tmp_path)
        held.update(done=3)
        while (now := read_lock(tmp_path)) is None or "done" not in now:
            time.sleep(0.01)
        assert first is not None
        assert (now["n"], now["done"], now["nonce"]) == (9, 3, first["nonce"])
        assert now["heartbeat"] > first["heartbeat"]
    assert list(tmp_path.iterdir()) == []


def test_a_lost_lock_is_neither_renewed_nor_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "HEARTBEAT_S", 0.02)
    other = json.dumps({"host": "node17", "pid": 1, "nonce": "theirs"})
    with FolderLock(tmp_path):
        aside = tmp_path / "theirs"
        aside.write_text(other)
        aside.replace(tmp_path / ".lock")
        time.sleep(0.1)
    assert (tmp_path / ".lock").read_text() == other


@pytest.mark.parametrize("folder", ["missing/folder", "file"])
def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path, folder: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DistillError, match=f"{folder}: cannot write there"):
        FolderLock(tmp_path / folder).__enter__()


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", fail)
    with pytest.raises(DiskFull, match="no space left"):
        FolderLock(tmp_path).__enter__()
    assert list(tmp_path.iterdir()) == []
