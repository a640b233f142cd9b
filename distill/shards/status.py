"""Say how far a data set is, from its folder alone: nothing is asked of a running driver or of a cluster."""

from __future__ import annotations

import json
import os
import socket
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from distill.errors import DistillError
from distill.shards.folder import (
    LOCK_FILE,
    RECIPE_FILE,
    ShardReport,
    read_json,
    read_manifest,
    read_report,
    require_data_set,
    shard_indices,
    shard_is_valid,
)

STALE_S = 120.0  # a driver on another machine renews its lock every 10 s
MAX_LOCK_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Driver:
    """Who holds, or held, the lock of a folder; `alive` as far as one can tell from here."""

    host: str
    pid: int | None
    alive: bool
    silent_s: float  # since the last heartbeat
    n: int | None


@dataclass(frozen=True, kw_only=True)
class FolderStatus:
    """How far a folder is; `n` and `shards` are None where nothing in the folder tells them."""

    folder: str
    task: str | None
    digest: str | None
    complete: bool
    n: int | None
    rows: int
    shards: int | None
    shards_done: int
    shards_broken: list[int]
    bytes: int
    tried: int
    dropped: dict[str, int]
    driver: Driver | None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def folder_status(folder: Path) -> FolderStatus:
    """Read recipe, sidecars, manifest and lock. Raises `DistillError` where there is no data set."""
    require_data_set(folder)
    recipe, driver = read_json(folder / RECIPE_FILE), read_driver(folder)
    manifest = _manifest_or_none(folder)
    done, broken = _sidecars(folder)
    dropped: Counter[str] = Counter()
    for report in done:
        dropped.update(report.dropped)
    n = manifest["n"] if manifest else driver.n if driver else None
    rows = sum(report.rows for report in done)
    return FolderStatus(
        folder=str(folder),
        task=str(recipe["task"]) if "task" in recipe else None,
        digest=manifest["digest"] if manifest else _digest(done),
        complete=manifest is not None and not broken and manifest["n"] == rows,
        n=n,
        rows=rows,
        shards=_expected_shards(n, recipe),
        shards_done=len(done),
        shards_broken=broken,
        bytes=sum(report.bytes for report in done),
        tried=sum(report.tried for report in done),
        dropped=dict(dropped.most_common()),
        driver=driver,
    )


def read_driver(folder: Path) -> Driver | None:
    """Return who holds the lock of a folder; None where there is no lock."""
    path = folder / LOCK_FILE
    try:
        with path.open("rb") as file:
            data, age = file.read(MAX_LOCK_BYTES), time.time() - os.fstat(file.fileno()).st_mtime
    except OSError:
        return None
    try:
        facts = json.loads(data)
    except (ValueError, RecursionError):
        facts = {}
    facts = facts if isinstance(facts, dict) else {}
    pid, n = _whole(facts.get("pid")), _whole(facts.get("n"))
    host = str(facts.get("host", "unknown"))
    alive = _is_alive(pid, facts.get("start")) if _is_here(facts) and pid else age < STALE_S
    return Driver(host=host, pid=pid, alive=alive, silent_s=max(0.0, round(age, 1)), n=n)


def _is_here(facts: dict[str, Any]) -> bool:
    """Tell whether a lock was taken on this machine, and in this container where it says so."""
    if facts.get("host") != socket.gethostname():
        return False
    try:
        here = os.readlink("/proc/self/ns/pid")  # noqa: PTH115
    except OSError:
        return True
    return facts.get("space") in (None, here)


def _is_alive(pid: int, start: Any) -> bool:
    """Tell whether a process lives; `start`, ticks since boot, tells it from a later one of its number."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        fields = []
    if fields:
        return fields[0] not in ("Z", "X") and (not isinstance(start, int) or int(fields[19]) == start)
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _manifest_or_none(folder: Path) -> dict[str, Any] | None:
    try:
        return read_manifest(folder)
    except DistillError:
        return None  # not written yet, or broken: either way the data set is not complete


def _sidecars(folder: Path) -> tuple[list[ShardReport], list[int]]:
    """Return the reports of the shards that are done, and the indices of files that are not valid."""
    done: list[ShardReport] = []
    broken: list[int] = []
    for index in shard_indices(folder):
        report = read_report(folder, index)
        if report and shard_is_valid(folder, index, digest=report.digest, rows=report.rows):
            done.append(report)
        else:
            broken.append(index)
    return done, broken


def _digest(done: list[ShardReport]) -> str | None:
    return done[0].digest if done else None


def _expected_shards(n: int | None, recipe: dict[str, Any]) -> int | None:
    size = _whole(recipe.get("shard_size"))
    return -(-n // size) if n and size else None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
