"""Make a data set of images that are there already: entry by entry from a source into shards.

The disk is the truth: shards that are done are kept, so the same command resumes. N rows of a shard, M entries of
its ledger.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill.errors import DiskFull, DistillError, FolderGone, Interrupted
from distill.files import atomic_write, made_folder, sweep
from distill.lock import FolderLock
from distill.progress import plural
from distill.schema import canonical_json
from distill.shards.agreement import difference
from distill.shards.card import write_card
from distill.shards.digest import digest_of
from distill.shards.folder import (
    GOAL_FILE,
    MANIFEST_FILE,
    RECIPE_FILE,
    ShardReport,
    manifest_reports,
    read_json,
    read_manifest,
    read_report,
    shard_indices,
    shard_is_valid,
    shard_path,
    sidecar_path,
    write_goal,
    write_manifest,
)
from distill.shards.layout import ACCEPTED, MAX_TEXT_BYTES, ShardContent
from distill.shards.place import check_place
from distill.shards.read import open_shard
from distill.shards.write import commit_shard

Pixels = NDArray[np.uint8]
SHARD_BYTES = 64 << 20  # of raw pixels: what is held in memory, and done anew after a kill
Advance = Callable[[int], object]  # called with the number of entries taken since the last call


@dataclass(frozen=True, kw_only=True, eq=False)
class Entry:
    """One entry of a source: the images and columns of a row, or the reason why it makes none.

    `candidate`: its number in the source. `images`: role → uint8 [H, W, 3]. `columns`: name → its value, such as
    "labels/age"; the same names and types in every entry that is accepted.
    """

    candidate: int
    images: Mapping[str, Pixels] = field(default_factory=dict)
    columns: Mapping[str, np.generic] = field(default_factory=dict)
    reason: str = ACCEPTED


@dataclass(frozen=True, kw_only=True)
class Collection:
    """A data set to make of a source.

    `recipe`: plain values that decide what comes out, among them inputs, target, resolution, codec, shard_size, and
    `source`, which names the source and a hash of its content. `entries`: from a candidate on, all entries of the
    source in order, the same in every call. `candidates`: how many there are.
    """

    folder: Path
    recipe: Mapping[str, Any]
    candidates: int
    entries: Callable[[int], Iterator[Entry]]

    @property
    def digest(self) -> str:
        return digest_of(self.recipe)


def rows_per_shard(resolution: int, *, roles: int = 1, width: int | None = None) -> int:
    """Return how many rows make a shard of about 64 MiB of raw pixels; `width` None: of squares."""
    return max(1, SHARD_BYTES // (3 * resolution * (width or resolution) * roles))


def text_value(text: str) -> np.bytes_:
    """Return a text as a column holds it: utf-8, at most 4096 bytes."""
    data = text.encode("utf-8", "replace")
    return np.bytes_(data[:MAX_TEXT_BYTES].decode("utf-8", "ignore").encode())


def check_collection(collection: Collection) -> None:
    """Raise DistillError where the folder cannot be written, or holds another data set, naming the difference."""
    if check_place(collection.folder):
        check_recipe(collection.folder, read_json(collection.folder / RECIPE_FILE), collection.recipe)


def check_recipe(folder: Path, there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    """Raise DistillError, naming the difference, where the recipe of a folder is another one."""
    if digest_of(there) != digest_of(here):
        raise DistillError(
            f"{folder} holds another data set: {_difference(there, here)}; choose another --out"
        )


def collect(
    collection: Collection,
    *,
    stop: threading.Event | None = None,
    advance: Advance = lambda count: None,
    skip: Advance = lambda count: None,
) -> list[ShardReport]:
    """Write the shards that are not there yet, then card and manifest; return the reports of all.

    `skip` hears of entries that earlier calls took.

    A complete one is left as it is. Raises Interrupted when `stop` was set, and DiskFull: what is complete stays,
    and the same call goes on from there. Any other error of the source, DistillError for a source without a row
    among them, leaves nothing of this call.
    """
    check_collection(collection)
    if complete := _complete(collection):
        skip(collection.candidates)
        return complete
    folder, stop = collection.folder, stop or threading.Event()
    with made_folder(folder), FolderLock(folder, info={"n": collection.candidates}), _claimed(collection):
        reports, first = _done(collection)
        skip(first)
        try:
            for content in _shards(collection, len(reports), first, stop, advance):
                reports.append(commit_shard(folder, content))
        except Interrupted as error:
            done = plural(len(reports), "shard")
            raise Interrupted(f"interrupted: {done} done; the same command goes on from there") from error
        if not reports:
            raise DistillError(f"{folder}: none of {collection.candidates} entries makes a row")
        facts: dict[str, Any] = {"recipe": collection.recipe, "digest": collection.digest, "reports": reports,
                                 "n": sum(report.rows for report in reports)}  # fmt: skip
        write_card(folder, **facts)
        write_manifest(folder, **facts)
    return reports


def _difference(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    key, was, now = difference(there, here) or ("recipe", "written otherwise", "as this command writes it")
    if key == "source.sha256":
        return "it was made of other pictures or labels, or of these as they were before"
    return f"its {key} is {was}, now it is {now}"


@contextmanager
def _claimed(collection: Collection) -> Iterator[None]:
    """Put the recipe into the folder; after an error of the source take away what was made since."""
    folder = collection.folder
    earlier = set(shard_indices(folder))
    sweep(folder)
    try:
        atomic_write(folder / RECIPE_FILE, (canonical_json(collection.recipe) + "\n").encode())
        write_goal(folder, collection.candidates)
        (folder / MANIFEST_FILE).unlink(missing_ok=True)
        yield
    except (Interrupted, DiskFull, FolderGone, KeyboardInterrupt):
        raise
    except BaseException:
        for index in set(shard_indices(folder)) - earlier:
            sidecar_path(folder, index).unlink(missing_ok=True)
            shard_path(folder, index).unlink()
        raise
    finally:
        if folder.is_dir() and not shard_indices(folder):
            (folder / RECIPE_FILE).unlink(missing_ok=True)
            (folder / GOAL_FILE).unlink(missing_ok=True)


def _complete(collection: Collection) -> list[ShardReport]:
    """Return the reports of a data set that is complete already, else none."""
    folder = collection.folder
    try:
        manifest = read_manifest(folder)
    except DistillError:
        return []
    reports = manifest_reports(manifest)
    if manifest["digest"] != collection.digest or shard_indices(folder) != list(range(len(reports))):
        return []
    valid = (shard_is_valid(folder, r.index, digest=r.digest, rows=r.rows) for r in reports)
    return reports if all(valid) else []


def _done(collection: Collection) -> tuple[list[ShardReport], int]:
    """Return the reports of the full shards that are there, from the first on, and the candidate that follows."""
    folder, size = collection.folder, int(collection.recipe["shard_size"])
    reports: list[ShardReport] = []
    first = 0
    while shard_is_valid(folder, len(reports), digest=collection.digest, rows=size):
        report = read_report(folder, len(reports))
        if report is None:
            break
        with open_shard(shard_path(folder, report.index), report=report) as reader:
            first = int(reader.tried("candidate")[-1]) + 1
        reports.append(report)
    return reports, first


def _shards(
    collection: Collection, index: int, first: int, stop: threading.Event, advance: Advance
) -> Iterator[ShardContent]:
    """Deal entries out to shards; a full one is closed by the next row, so that it keeps what is dropped before."""
    size = int(collection.recipe["shard_size"])
    entries: list[Entry] = []
    rows = 0
    for entry in collection.entries(first):
        if stop.is_set():
            raise Interrupted("stopped")
        advance(1)
        if entry.reason == ACCEPTED and rows == size:
            yield _content(collection, index, entries)
            entries, rows, index = [], 0, index + 1
        entries.append(entry)
        rows += entry.reason == ACCEPTED
    if rows:
        yield _content(collection, index, entries)


def _content(collection: Collection, index: int, entries: Sequence[Entry]) -> ShardContent:
    rows = [entry for entry in entries if entry.reason == ACCEPTED]
    reasons = [ACCEPTED, *sorted({entry.reason for entry in entries} - {ACCEPTED})]
    columns = {name: np.array([row.columns[name] for row in rows]) for name in rows[0].columns}
    return ShardContent(
        index=index,
        digest=collection.digest,
        recipe_json=canonical_json(collection.recipe),
        codec=str(collection.recipe["codec"]),
        resolution=int(collection.recipe["resolution"]),
        images={role: np.stack([row.images[role] for row in rows]) for role in rows[0].images},
        columns={"candidate": np.array([row.candidate for row in rows]), **columns},
        tried={
            "candidate": np.array([entry.candidate for entry in entries]),
            "reason": np.array([reasons.index(entry.reason) for entry in entries], np.uint8),
        },
        reasons=reasons,
    )
