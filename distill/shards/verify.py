"""Check a folder of shards and collect everything that is wrong with it.

Quick: names, sidecars, manifest, sizes, attributes, the structure of every data set. Full: also the sha256 of
every file, every column, every image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from distill.errors import DistillError, ShardCorrupt
from distill.files import file_sha256
from distill.shards.columns import column_problem
from distill.shards.digest import decisive
from distill.shards.folder import (
    CONDITIONS_FILE,
    HELD,
    MANIFEST_FILE,
    RECIPE_FILE,
    SIDECAR_NAME,
    ShardReport,
    manifest_reports,
    read_json,
    read_manifest,
    read_report,
    require_data_set,
    shard_indices,
    shard_path,
    sidecar_path,
    temporary_files,
)
from distill.shards.read import ShardReader, open_shard

Progress = Callable[[int, int], None]  # (bytes checked so far, bytes to check)


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing wrong with a folder; `shard` is the name of the file it concerns."""

    shard: str
    what: str

    def __str__(self) -> str:
        return f"{self.shard}: {self.what}"


@dataclass(kw_only=True)
class VerifyReport:
    """What a check found. `problems` make a data set unfit, `notes` do not; rows, shards: the sound ones."""

    folder: str
    full: bool
    digest: str | None = None
    shards: int = 0
    rows: int = 0
    bytes: int = 0
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        return {"ok": self.ok, **asdict(self)}


def verify_folder(folder: Path, *, full: bool, progress: Progress | None = None) -> VerifyReport:
    """Check every shard of a folder; return all problems found, the first does not end the check.

    Raises `DistillError` only where there is nothing to check: no such folder, or one without recipe.json.
    """
    require_data_set(folder)
    report = VerifyReport(folder=str(folder), full=full)
    recipe = _recipe(folder, report)
    listed = _manifest(folder, recipe, report)
    digest, drawn = report.digest, _conditions(folder, report)
    indices = sorted({*listed, *shard_indices(folder), *shard_indices(folder, SIDECAR_NAME)})
    done, total = 0, sum(_size(shard_path(folder, index)) for index in indices)
    for index in indices:
        problems = list(_shard_problems(folder, index, listed, digest, drawn, full=full))
        report.problems += [Problem(shard=shard_path(folder, index).name, what=what) for what in problems]
        size, sidecar = _size(shard_path(folder, index)), read_report(folder, index)
        if not problems and sidecar is not None:
            report.shards, report.rows, report.bytes = (
                report.shards + 1,
                report.rows + sidecar.rows,
                report.bytes + size,
            )
            digest = digest or sidecar.digest
        done += size
        if progress:
            progress(done, total)
    report.digest = digest
    report.notes += [f"{name}: left by a writer that was stopped" for name in temporary_files(folder)]
    return report


def _recipe(folder: Path, report: VerifyReport) -> dict[str, Any] | None:
    try:
        return read_json(folder / RECIPE_FILE)
    except DistillError as error:
        report.problems.append(_problem_of(folder / RECIPE_FILE, error))
        return None


def _conditions(folder: Path, report: VerifyReport) -> dict[str, Any]:
    """Return the conditions that every shard must have; {} where none are recorded, or they cannot be read."""
    path = folder / CONDITIONS_FILE
    try:
        recorded = read_json(path) if path.exists() else {}
    except DistillError as error:
        report.problems.append(_problem_of(path, error))
        return {}
    return {key: recorded[key] for key in HELD if key in recorded}


def _manifest(folder: Path, recipe: dict[str, Any] | None, report: VerifyReport) -> dict[int, ShardReport]:
    """Return the shards that the manifest lists, by index; none where it is missing or broken."""
    try:
        manifest = read_manifest(folder)
    except DistillError as error:
        report.problems.append(_problem_of(folder / MANIFEST_FILE, error))
        return {}
    report.digest = manifest["digest"]
    if recipe is not None and decisive(recipe) != decisive(manifest["recipe"]):
        report.problems.append(
            Problem(shard=MANIFEST_FILE, what=f"its recipe is another than that of {RECIPE_FILE}")
        )
    return {listed.index: listed for listed in manifest_reports(manifest)}


def _shard_problems(
    folder: Path,
    index: int,
    listed: dict[int, ShardReport],
    digest: str | None,
    drawn: Mapping[str, Any],
    *,
    full: bool,
) -> Iterator[str]:
    path, sidecar = shard_path(folder, index), read_report(folder, index)
    if listed and index not in listed:
        yield "the manifest does not know it"
    if sidecar is None:
        missing = not sidecar_path(folder, index).exists()
        yield "its sidecar is missing" if missing else "its sidecar is unreadable, or of another shard"
    elif digest is not None and sidecar.digest != digest:
        yield f"of another recipe: digest {sidecar.digest}, the data set's is {digest}"
    elif index in listed and sidecar != listed[index]:
        yield f"its sidecar and the manifest disagree about {_difference(sidecar, listed[index])}"
    if not path.exists():
        yield "missing"
        return
    expected = listed.get(index, sidecar)
    try:
        with open_shard(path, report=expected) as reader:
            for key, value in drawn.items():
                if (found := reader.conditions.get(key, value)) != value:
                    yield f"drawn with {key} {found}, {CONDITIONS_FILE} says {value}"
            if full:
                read_everything(reader)
    except ShardCorrupt as error:
        yield str(error.what)
    if full and expected is not None:
        yield from _checksum_problems(path, expected)


def _checksum_problems(path: Path, expected: ShardReport) -> Iterator[str]:
    try:
        found = file_sha256(path)
    except OSError as error:
        yield f"cannot be read ({error.strerror})"
        return
    if found != expected.sha256:
        yield f"its sha256 is {found[:12]}…, {expected.sha256[:12]}… was written"


def read_everything(reader: ShardReader) -> None:
    """Read every column and decode every image of a shard; raises `ShardCorrupt` at the first broken one."""
    for name in reader.columns():
        problem = column_problem(name, reader.column(name))
        if problem:
            raise ShardCorrupt(reader.path, problem)
    for name in reader.tried_columns():
        reader.tried(name)
    _check_ledger(reader)
    for role in reader.roles:
        for row in range(reader.rows):
            reader.image(role, row)


def _check_ledger(reader: ShardReader) -> None:
    reason, candidate = reader.tried("reason"), reader.tried("candidate")
    counts = np.bincount(reason.astype(np.int64), minlength=len(reader.reasons)).tolist()
    found = {name: count for name, count in zip(reader.reasons[1:], counts[1:], strict=False) if count}
    if len(counts) > len(reader.reasons) or found != reader.attrs["dropped"]:
        raise ShardCorrupt(reader.path, "its ledger of candidates does not give the counts it states")
    if not np.array_equal(candidate[reason == 0], reader.column("candidate")):
        raise ShardCorrupt(reader.path, "its rows are not the accepted candidates of its ledger")


def _difference(mine: ShardReport, theirs: ShardReport) -> str:
    names = [key for key, value in asdict(mine).items() if value != getattr(theirs, key)]
    return ", ".join(names)


def _problem_of(path: Path, error: DistillError) -> Problem:
    return Problem(shard=path.name, what=str(error).removeprefix(f"{path}: "))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
