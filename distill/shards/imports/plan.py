"""Plan an import: find the rows, look at every file, decide size and recipe; nothing is written."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from distill.errors import DistillError
from distill.parallel import default_workers, ordered
from distill.progress import plural
from distill.shards.collect import rows_per_shard
from distill.shards.images.skips import most_skips
from distill.shards.imports.layouts import find_rows
from distill.shards.imports.rows import FoundRows, ImportSource, SourceRow
from distill.shards.imports.stamp import read_stamp
from distill.shards.imports.survey import (
    Fault,
    RowSurvey,
    common_side,
    size_fault,
    source_sha256,
    survey_row,
)
from distill.shards.place import check_place

Advance = Callable[[int], object]  # called with the number of rows done since the last call
ADVICE = {
    "no partner": "add the missing pictures, or remove those without a partner",
    "not square": "cut all to one size with --resolution",
    "another size": "bring all to one size with --resolution",
    "sizes differ": "the pictures of a row must be of one size",
    "not side by side": "pix2pix's pictures have two squares side by side",
}


@dataclass(frozen=True, kw_only=True)
class ImportPairsRequest:
    """A data set `out` to make of the pictures in `folder`, which are in the layout `layout`.

    `inputs`, `target`: names of the roles, see `ImportSource`. `resolution` None keeps all pixels. `max_skips`: rows
    that may be left out, a number or a share such as "1%".
    """

    folder: Path
    out: Path
    layout: str
    phase: str | None = None
    inputs: tuple[str, ...] = ()
    target: str | None = None
    input_side: Literal["left", "right"] | None = None
    resolution: int | None = None
    codec: str = "raw"
    max_skips: str = "0"
    workers: int | None = None


@dataclass(frozen=True, kw_only=True)
class ImportPlan:
    """A request checked against the folder. `faults`: by number of the row, what is known before it is decoded."""

    request: ImportPairsRequest
    roles: tuple[str, ...]
    rows: Sequence[SourceRow]
    faults: Mapping[int, Fault]
    recipe: Mapping[str, Any]
    other_files: int
    most_skips: int
    workers: int
    notes: tuple[str, ...]

    @property
    def resolution(self) -> int:
        return int(self.recipe["resolution"])


def find_source(request: ImportPairsRequest) -> FoundRows:
    """Find the rows by the names of the files alone. Raises DistillError for a folder that does not fit."""
    check_place(request.out)
    source = ImportSource(
        folder=request.folder,
        out=request.out,
        inputs=request.inputs,
        target=request.target,
        phase=request.phase,
        input_side=request.input_side,
        stamp=read_stamp(request.folder),
    )
    return find_rows(request.layout, source)


def plan_import(
    request: ImportPairsRequest,
    found: FoundRows,
    *,
    stop: threading.Event | None = None,
    advance: Advance = lambda rows: None,
) -> ImportPlan:
    """Look at every file of the rows. Raises DistillError where more rows than allowed cannot be taken."""
    workers = request.workers or default_workers(len(found.rows), 200)
    surveys: list[RowSurvey] = []
    for survey in ordered(survey_row, found.rows, workers=workers, stop=stop or threading.Event()):
        surveys.append(survey)
        advance(1)
    side = request.resolution or common_side(surveys)
    faults = _faults(surveys, None if request.resolution else side or 0)
    limit = most_skips(request.max_skips, len(found.rows))
    if len(faults) > limit or len(faults) == len(found.rows) or side is None:
        raise DistillError(refusal(request.folder, found.rows, faults, limit))
    return ImportPlan(
        request=request,
        roles=found.roles,
        rows=found.rows,
        faults=faults,
        recipe=_recipe(request, found, side, source_sha256(surveys)),
        other_files=found.other_files,
        most_skips=limit,
        workers=workers,
        notes=_notes(request.folder, found),
    )


def refusal(folder: Path, rows: Sequence[SourceRow], faults: Mapping[int, Fault], limit: int) -> str:
    """Say how many rows cannot be taken and why, which is the first, and what to do."""
    counts = Counter(fault.reason for fault in faults.values())
    reasons = ", ".join(f"{reason} {count}" for reason, count in counts.most_common())
    number, first = min(faults.items())
    advice = ADVICE.get(first.reason, "repair the files, or remove them")
    if len(faults) == len(rows):
        hope = "so nothing is left"
    else:
        hope = f"or leave them out with --max-skips {len(faults)} (now {limit})"
    return (
        f"{folder}: {len(faults)} of {len(rows)} rows cannot be taken: {reasons}; the first is"
        f" {rows[number].name} ({first.detail}); {advice}, {hope}"
    )


def _faults(surveys: Sequence[RowSurvey], side: int | None) -> dict[int, Fault]:
    """Collect the faults by row; those of size where a `side` is to be kept."""
    found: dict[int, Fault] = {}
    for number, survey in enumerate(surveys):
        fault = survey.fault or (None if side is None else size_fault(survey.size, side))
        if fault:
            found[number] = fault
    return found


def _recipe(request: ImportPairsRequest, found: FoundRows, side: int, sha256: str) -> dict[str, Any]:
    """Return what decides the data set. The images alone come over: what they were made of stays behind."""
    *inputs, target = found.roles
    return {
        "task": "import",
        "inputs": inputs,
        "target": target,
        "resolution": side,
        "codec": request.codec,
        "shard_size": rows_per_shard(side, roles=len(found.roles)),
        "source": {
            "kind": request.layout,
            "folder": request.folder.resolve().name,
            **found.facts,
            "pixels": "as in the files" if request.resolution is None else "middle square, resized",
            "rows": len(found.rows),
            "sha256": sha256,
            **({"export_of": found.stamp.digest} if found.stamp else {}),
        },
    }


def _notes(folder: Path, found: FoundRows) -> tuple[str, ...]:
    stamp = found.stamp
    if stamp is None or stamp.samples == len(found.rows):
        return ()
    return (f"the export in {folder} was of {plural(stamp.samples, 'sample')}, {len(found.rows)} are there",)
