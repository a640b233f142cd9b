"""Join data sets of one recipe that were made at several places, each some of the shards.

A shard is a seed stream of its own, so shards of any place fit together. They are copied byte for byte and their
sha256 is checked on the way; the sources are only read.
"""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill.errors import DiskFull, DistillError, Interrupted, ShardCorrupt
from distill.files import atomic_write, made_folder, read_regular
from distill.lock import FolderLock
from distill.progress import plural, size_text
from distill.schema import canonical_json
from distill.shards.agreement import difference
from distill.shards.card import write_card
from distill.shards.digest import decisive, digest_of
from distill.shards.folder import (
    CONDITIONS_FILE,
    HELD,
    MANIFEST_FILE,
    RECIPE_FILE,
    ShardReport,
    is_there,
    read_json,
    read_report,
    require_data_set,
    shard_indices,
    shard_path,
    sweep,
    write_goal,
    write_manifest,
)
from distill.shards.place import check_place
from distill.shards.summary import conditions_of
from distill.shards.write import commit_bytes

Advance = Callable[[int], object]  # called with the number of rows copied since the last call


@dataclass(frozen=True, kw_only=True)
class MergePlan:
    """What goes into the joined data set `out`: for each shard, in order, the folder it comes from and its report."""

    out: Path
    recipe: Mapping[str, Any]
    digest: str
    conditions: Mapping[str, Any]
    shards: tuple[tuple[Path, ShardReport], ...]

    @property
    def n(self) -> int:
        return sum(report.rows for _, report in self.shards)

    @property
    def reports(self) -> list[ShardReport]:
        return [report for _, report in self.shards]

    @property
    def todo(self) -> list[tuple[Path, ShardReport]]:
        return [item for item in self.shards if read_report(self.out, item[1].index) != item[1]]

    @property
    def bytes_needed(self) -> int:
        return sum(report.bytes for _, report in self.todo)


def plan_merge(folders: Sequence[Path], out: Path) -> MergePlan:
    """Look at the parts; write nothing. Raises DistillError where they are not parts of one data set, or not all."""
    for folder in folders:
        require_data_set(folder)
        if out.resolve() == folder.resolve() or folder.resolve() in out.resolve().parents:
            raise DistillError(
                f"--out {out} lies in the data set {folder}, which stays as it is; choose another"
            )
    recipes = [read_json(folder / RECIPE_FILE) for folder in folders]
    conditions = [conditions_of(folder) for folder in folders]
    for folder, recipe, drawn in zip(folders[1:], recipes[1:], conditions[1:], strict=True):
        require_same(folders[0], decisive(recipes[0]), folder, decisive(recipe))
        held = [{key: of.get(key) for key in HELD} for of in (conditions[0], drawn)]
        require_same(folders[0], held[0], folder, held[1])
    digest = digest_of(recipes[0])
    shards = chosen_shards(folders, digest)
    require_whole(shards, int(recipes[0].get("shard_size", 0)))
    if check_place(out):
        require_same(folders[0], decisive(recipes[0]), out, decisive(read_json(out / RECIPE_FILE)))
        if (beyond := max(shard_indices(out), default=-1)) >= len(shards):
            raise DistillError(
                f"{out} holds a shard {beyond}, which none of the parts has; choose another --out"
            )
    return MergePlan(
        out=out,
        recipe=recipes[0],
        digest=digest,
        conditions=conditions[0],
        shards=tuple(shards[index] for index in sorted(shards)),
    )


def require_same(first: Path, mine: Mapping[str, Any], second: Path, other: Mapping[str, Any]) -> None:
    """Raise DistillError that names what two data sets do not share."""
    if found := difference(mine, other):
        key, here, there = found
        raise DistillError(
            f"{first} and {second} are parts of different data sets: {key} is {here} in one and {there} in the other"
        )


def chosen_shards(folders: Sequence[Path], digest: str) -> dict[int, tuple[Path, ShardReport]]:
    """Return each shard by its index: of several copies one; of the last shard of a smaller part, the longer one.

    Raises DistillError where one shard has another content in another folder, or where a shard is not valid.
    """
    found: dict[int, tuple[Path, ShardReport]] = {}
    for folder in folders:
        for index in shard_indices(folder):
            report = read_report(folder, index)
            if report is None or report.digest != digest or not is_there(folder, report):
                raise ShardCorrupt(
                    shard_path(folder, index), "not complete, or of another recipe; distill verify tells more"
                )
            if index not in found:
                found[index] = (folder, report)
                continue
            other, there = found[index]
            if there.rows == report.rows and there.sha256 != report.sha256:
                raise DistillError(
                    f"{shard_path(other, index)} and {shard_path(folder, index)} have different bytes: drawn on"
                    " different devices or versions; remove one of them"
                )
            if report.rows > there.rows:
                found[index] = (folder, report)
    return found


def require_whole(shards: Mapping[int, tuple[Path, ShardReport]], shard_size: int) -> None:
    """Raise DistillError unless the shards are those of a complete data set: 0, 1, 2, …, full ones but the last."""
    if not shards:
        raise DistillError("there is no shard in any of the folders")
    last = max(shards)
    missing = [index for index in range(last) if index not in shards]
    if missing:
        named = ", ".join(map(str, missing[:5])) + (", …" if len(missing) > 5 else "")
        raise DistillError(
            f"{plural(len(missing), 'shard')} of {last + 1} in none of the folders: {named}; make them by"
            " distill generate --shards"
        )
    for index, (folder, report) in sorted(shards.items()):
        if index < last and report.rows < shard_size:
            raise DistillError(
                f"{shard_path(folder, index)} has {report.rows} rows of {shard_size} and is not the last shard:"
                " it was the last one of a smaller --n; make it again with the --n of the whole data set"
            )


def run_merge(
    plan: MergePlan, *, stop: threading.Event, advance: Advance = lambda count: None
) -> list[ShardReport]:
    """Copy the shards that are not there yet, then write card and manifest.

    Raises Interrupted when `stop` was set, DiskFull, and ShardCorrupt for a shard whose bytes are not those of its
    sidecar; what is complete stays, and the same call goes on from there.
    """
    todo = plan.todo
    room = next(path for path in (plan.out, *plan.out.absolute().parents) if path.is_dir())
    if plan.bytes_needed > (free := shutil.disk_usage(room).free):
        raise DiskFull(
            f"{plan.out}: {size_text(plan.bytes_needed)} are needed and {size_text(free)} are free"
        )
    with made_folder(plan.out), FolderLock(plan.out, info={"n": plan.n}):
        atomic_write(plan.out / RECIPE_FILE, (canonical_json(plan.recipe) + "\n").encode())
        if plan.conditions:
            atomic_write(plan.out / CONDITIONS_FILE, (canonical_json(plan.conditions) + "\n").encode())
        sweep(plan.out)
        if todo:
            write_goal(plan.out, plan.n)
            (plan.out / MANIFEST_FILE).unlink(missing_ok=True)
        for folder, report in todo:
            if stop.is_set():
                raise Interrupted("interrupted: the shards that were copied stay; the same command goes on")
            copy_shard(folder, report, plan.out)
            advance(report.rows)
        facts: dict[str, Any] = {
            "recipe": plan.recipe,
            "digest": plan.digest,
            "n": plan.n,
            "reports": plan.reports,
        }
        write_card(plan.out, **facts)
        write_manifest(plan.out, **facts)
    return plan.reports


def copy_shard(folder: Path, report: ShardReport, out: Path) -> None:
    """Copy a shard with its sidecar. Raises ShardCorrupt where its bytes are not those that were written."""
    path = shard_path(folder, report.index)
    data = read_regular(path)
    if hashlib.sha256(data).hexdigest() != report.sha256:
        raise ShardCorrupt(path, "its sha256 is not that of its sidecar: it was damaged; make it again")
    commit_bytes(out, report, data)
