"""Say how far a data set is, from its folder alone: nothing is asked of a running driver or of a cluster."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from distill.errors import DistillError
from distill.lock import Driver, read_driver, whole_number
from distill.shards.folder import (
    RECIPE_FILE,
    ShardReport,
    is_there,
    read_goal,
    read_json,
    read_manifest,
    read_report,
    require_data_set,
    shard_indices,
)


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
    n = manifest["n"] if manifest else driver.n if driver and driver.n else read_goal(folder)
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
        if report and is_there(folder, report):
            done.append(report)
        else:
            broken.append(index)
    return done, broken


def _digest(done: list[ShardReport]) -> str | None:
    return done[0].digest if done else None


def _expected_shards(n: int | None, recipe: dict[str, Any]) -> int | None:
    size = whole_number(recipe.get("shard_size"))
    return -(-n // size) if n and size else None
