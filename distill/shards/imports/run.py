"""Carry out an import: decode row by row, in order, into shards; every row left out is counted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import count, takewhile

import numpy as np
from numpy.typing import NDArray

from distill.errors import DistillError
from distill.faces.decode import PhotoError, read_photo
from distill.parallel import ordered
from distill.shards.codec import encode_images
from distill.shards.collect import Collection, Entry, check_collection, collect, text_value
from distill.shards.folder import ShardReport, read_report
from distill.shards.images.picture import middle_square
from distill.shards.imports.plan import ImportPlan, refusal
from distill.shards.imports.rows import Picture, SourceRow
from distill.shards.imports.survey import Fault
from distill.shards.layout import ACCEPTED

Pixels = NDArray[np.uint8]
Advance = Callable[[int], object]  # called with the number of rows done since the last call
SAMPLE = 8  # rows that are read to estimate size and time
_read_once = lru_cache(maxsize=1)(read_photo)  # the halves of a picture are read one after the other


@dataclass(frozen=True, kw_only=True)
class RowTask:
    """One row to read, unless its fault is known; of `side` pixels, cut and resized to that where `resize`."""

    number: int
    row: SourceRow
    side: int
    resize: bool
    fault: Fault | None


@dataclass(frozen=True, kw_only=True, eq=False)
class TakenRow:
    """What came of a row: images by role, or the fault."""

    number: int
    name: str
    ring: int | None = None
    images: dict[str, Pixels] = field(default_factory=dict)
    fault: Fault | None = None

    def entry(self) -> Entry:
        if self.fault:
            return Entry(candidate=self.number, reason=self.fault.reason)
        columns: dict[str, np.generic] = {"name": text_value(self.name)}
        if self.ring is not None:
            columns["ring"] = np.int64(self.ring)
        return Entry(candidate=self.number, images=self.images, columns=columns, reason=ACCEPTED)


@dataclass(frozen=True, kw_only=True)
class ImportResult:
    """What was written, and the rows that were left out by name as far as this run came past them."""

    reports: Sequence[ShardReport]
    digest: str
    skips: dict[str, Fault]
    seconds: float

    @property
    def rows(self) -> int:
        return sum(report.rows for report in self.reports)

    @property
    def bytes(self) -> int:
        return sum(report.bytes for report in self.reports)


def run_import(
    plan: ImportPlan,
    *,
    stop: threading.Event,
    advance: Advance = lambda rows: None,
    skip: Advance = lambda rows: None,
) -> ImportResult:
    """Write the data set; the same plan gives the same bytes for any number of workers.

    `advance` hears of rows done, `skip` of those that earlier runs did.

    Raises Interrupted and DiskFull, after which the same call goes on. Where more rows than allowed turn out to be
    damaged it raises DistillError, and nothing is left.
    """
    started = time.perf_counter()
    found = dict(plan.faults)
    collection = _collection(plan, found, stop)
    reports = collect(collection, stop=stop, advance=advance, skip=skip)
    return ImportResult(
        reports=reports,
        digest=collection.digest,
        skips={plan.rows[number].name: fault for number, fault in sorted(found.items())},
        seconds=round(time.perf_counter() - started, 1),
    )


def take_row(task: RowTask) -> TakenRow:
    """Decode the pictures of one row."""
    row = task.row
    if task.fault:
        return TakenRow(number=task.number, name=row.name, fault=task.fault)
    try:
        images = {role: _pixels(picture, task) for role, picture in row.pictures.items()}
    except PhotoError as error:
        fault = Fault(reason=error.reason, detail=f"{error.path.name}: {error.detail}")
        return TakenRow(number=task.number, name=row.name, fault=fault)
    return TakenRow(number=task.number, name=row.name, ring=row.ring, images=images)


def sample(plan: ImportPlan) -> tuple[int, float]:
    """Read a few rows; return about how many bytes the data set takes, and how many seconds.

    Raises DistillError where `out` holds another data set.
    """
    check_collection(_collection(plan, {}, threading.Event()))
    tasks = [task for task in tasks_of(plan) if task.fault is None]
    chosen = tasks[:: max(1, len(tasks) // SAMPLE)][:SAMPLE]
    started = time.perf_counter()
    images = [image for task in chosen for image in take_row(task).images.values()]
    size = sum(len(data) for data in encode_images(images, str(plan.recipe["codec"]), threads=1))
    share = len(tasks) / len(chosen)
    return round(size * share), round((time.perf_counter() - started) * share / plan.workers, 1)


def tasks_of(plan: ImportPlan, first: int = 0) -> list[RowTask]:
    """Return the rows from `first` on as tasks."""
    resize = plan.request.resolution is not None
    return [
        RowTask(
            number=number,
            row=plan.rows[number],
            side=plan.resolution,
            resize=resize,
            fault=plan.faults.get(number),
        )
        for number in range(first, len(plan.rows))
    ]


def _collection(plan: ImportPlan, found: dict[int, Fault], stop: threading.Event) -> Collection:
    return Collection(
        folder=plan.request.out,
        recipe=plan.recipe,
        candidates=len(plan.rows),
        entries=partial(_entries, plan, found, stop),
    )


def _entries(plan: ImportPlan, found: dict[int, Fault], stop: threading.Event, first: int) -> Iterator[Entry]:
    """Yield all rows from `first` on; `found` collects their faults."""
    early = _skipped_before(plan, first) - sum(number < first for number in plan.faults)
    for taken in ordered(take_row, tasks_of(plan, first), workers=plan.workers, stop=stop):
        if taken.fault:
            found[taken.number] = taken.fault
            if len(found) + early > plan.most_skips:
                text = refusal(plan.request.folder, plan.rows, found, plan.most_skips)
                raise DistillError(f"{text}; nothing was written")
        yield taken.entry()


def _skipped_before(plan: ImportPlan, first: int) -> int:
    """Count the rows that the full shards which are there have left out."""
    size, folder = int(plan.recipe["shard_size"]), plan.request.out
    reports = (read_report(folder, index) for index in count())
    full = list(takewhile(lambda report: report is not None and report.rows == size, reports))
    return first - size * len(full)


def _pixels(picture: Picture, task: RowTask) -> Pixels:
    photo = _half(_read_once(picture.path), picture)
    if task.resize:
        return middle_square(photo, task.side)
    height, width = photo.shape[:2]
    if (height, width) != (task.side, task.side):
        raise PhotoError(
            picture.path, "damaged", f"{width}×{height}, its header said {task.side}×{task.side}"
        )
    return photo


def _half(photo: Pixels, picture: Picture) -> Pixels:
    if picture.part == "whole":
        return photo
    half = photo.shape[1] // 2
    kept = photo[:, :half] if picture.part == "left" else photo[:, half:]
    return np.ascontiguousarray(kept)
