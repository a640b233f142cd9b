"""A shard is complete or absent, whatever stops the writer, and what a dead writer left is swept."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distill.errors import DiskFull
from distill.files import atomic_write, sweep
from distill.shards import write
from distill.shards.folder import ShardReport, read_report, shard_is_valid
from distill.shards.read import open_shard
from distill.shards.write import commit_shard

SYSCALLS = ("open", "write", "fsync", "replace", "close")
# Two files, each: open, write, fsync, close, replace, then open, fsync, close of the folder.
CALLS_OF_A_COMMIT = 10


class Killed(BaseException):
    """Stands for a signal that arrives at a system call."""


def fail_at(monkeypatch: pytest.MonkeyPatch, place: int, error: Callable[[], BaseException]) -> list[str]:
    """Let the system call number `place` of the writer raise, before it acts; return the log of calls."""
    log: list[str] = []

    def wrap(name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def call(*args: Any, **options: Any) -> Any:
            log.append(name)
            if len(log) - 1 == place:
                if name == "close":
                    real(*args)  # the descriptor is gone even where close fails
                raise error()
            return real(*args, **options)

        return call

    for name in SYSCALLS:
        monkeypatch.setattr(f"distill.files.os.{name}", wrap(name))
    return log


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def expected(make_content: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("undisturbed")
    commit_shard(folder, make_content())
    return files_of(folder)


def test_the_report_describes_the_file(make_content: Any, tmp_path: Path) -> None:
    report = commit_shard(tmp_path, make_content(4))
    data = (tmp_path / "shard-00004.h5").read_bytes()
    assert report == read_report(tmp_path, 4)
    assert (report.bytes, report.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert (report.rows, report.tried, report.dropped) == (3, 6, {"ssim.nothing-changed": 3})
    assert ShardReport.from_json(report.to_json()) == report
    open_shard(tmp_path / "shard-00004.h5", report=report).close()


def test_a_commit_makes_the_calls_that_are_tried_below(
    make_content: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = fail_at(monkeypatch, -1, Killed)
    commit_shard(tmp_path, make_content())
    assert len(log) == CALLS_OF_A_COMMIT


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("place", range(CALLS_OF_A_COMMIT))
def test_a_full_disk_at_any_call_leaves_nothing_and_resumes(
    place: int, code: int, make_content: Any, tmp_path: Path, expected: dict[str, bytes]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        fail_at(patch, place, lambda: OSError(code, os.strerror(code)))
        with pytest.raises(DiskFull, match=r"shard-00000\.(h5|json): no space left on the disk") as caught:
            commit_shard(tmp_path, make_content())
    assert caught.value.exit_code == 4
    assert files_of(tmp_path) == {}
    commit_shard(tmp_path, make_content())
    assert files_of(tmp_path) == expected


@pytest.mark.parametrize("place", range(CALLS_OF_A_COMMIT))
def test_an_interruption_at_any_call_leaves_no_half_file_and_resumes(
    place: int, make_content: Any, tmp_path: Path, expected: dict[str, bytes]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        fail_at(patch, place, Killed)
        with pytest.raises(Killed):
            commit_shard(tmp_path, make_content())
    for name, data in files_of(tmp_path).items():
        assert data == expected[name]
    commit_shard(tmp_path, make_content())
    assert files_of(tmp_path) == expected


KILLED_WRITER = """
import os, pickle, sys
from pathlib import Path
from distill.shards import write
content, folder, place = pickle.load(sys.stdin.buffer)
count = 0
for name in ("open", "write", "fsync", "replace", "close"):
    def call(*args, real=getattr(os, name), **options):
        global count
        count += 1
        if count > place:
            os._exit(137)
        return real(*args, **options)
    setattr(os, name, call)
write.commit_shard(Path(folder), content)
"""


@pytest.mark.cluster
@pytest.mark.parametrize("place", range(CALLS_OF_A_COMMIT))
def test_a_process_that_dies_at_any_call_leaves_no_half_file_and_resumes(
    place: int, make_content: Any, tmp_path: Path, expected: dict[str, bytes]
) -> None:
    import pickle

    content = make_content()
    task = pickle.dumps((content, str(tmp_path), place))
    result = subprocess.run([sys.executable, "-c", KILLED_WRITER], input=task, check=False)
    assert result.returncode == 137
    left = files_of(tmp_path)
    assert all(name.endswith(".tmp") or data == expected[name] for name, data in left.items())
    valid = shard_is_valid(tmp_path, 0, digest=content.digest, rows=3, full=True)
    assert valid == (expected.keys() <= left.keys())
    assert sweep(tmp_path) == sum(name.endswith(".tmp") for name in left)
    commit_shard(tmp_path, content)
    assert files_of(tmp_path) == expected


def test_writing_again_replaces_an_older_shard_and_its_sidecar(
    make_content: Any, tmp_path: Path, expected: dict[str, bytes]
) -> None:
    commit_shard(tmp_path, make_content(rows=5))
    commit_shard(tmp_path, make_content())
    assert files_of(tmp_path) == expected


def test_an_old_sidecar_never_stands_beside_a_new_shard(
    make_content: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit_shard(tmp_path, make_content(rows=5))
    real = write.atomic_write

    def no_sidecar(path: Path, data: bytes) -> None:
        if path.suffix == ".json":
            raise Killed
        real(path, data)

    monkeypatch.setattr(write, "atomic_write", no_sidecar)
    with pytest.raises(Killed):
        commit_shard(tmp_path, make_content())
    assert [path.name for path in tmp_path.iterdir()] == ["shard-00000.h5"]


def test_a_failed_write_keeps_the_file_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"old")
    fail_at(monkeypatch, 1, lambda: OSError(errno.EIO, "broken disk"))
    with pytest.raises(OSError, match="broken disk"):
        atomic_write(tmp_path / "file", b"new")
    assert files_of(tmp_path) == {"file": b"old"}


def test_sweeping_takes_what_the_dead_left_and_nothing_else(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    gone = [f".shard-00000.h5.{dead.pid}-0a1b2c3d.tmp", f".manifest.json.{dead.pid}-ffffffff.tmp"]
    kept = ["shard-00000.h5", "notes.tmp", ".lock", "x.tmp", f".shard-00001.h5.{os.getppid()}-0a1b2c3d.tmp"]
    for name in [*gone, *kept]:
        (tmp_path / name).write_bytes(b"")
    assert sweep(tmp_path) == 2
    assert sorted(files_of(tmp_path)) == sorted(kept)
    assert sweep(tmp_path) == 0


def test_sweeping_knows_a_process_that_only_took_over_the_number_of_the_writer(tmp_path: Path) -> None:
    left = tmp_path / f".shard-00000.h5.{os.getpid()}-0a1b2c3d.tmp"
    left.write_bytes(b"")
    os.utime(left, (1, 1))  # long before this process started
    assert sweep(tmp_path) == 1
