"""Check a folder of shards and collect everything that is wrong with it.

Quick: names, sidecars, manifest, sizes, the structure of every data set; the digest of every recipe, and whether
recipes and conditions are the same everywhere. Full: also the sha256 of every file, every column, every image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from distill.errors import DistillError, ShardCorrupt
from distill.files import file_sha256
from distill.shards.agreement import columns_problem, difference, range_problems, shard_problem
from distill.shards.columns import column_problem
from distill.shards.folder import (
    CONDITION_KEYS,
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
    checked = _Checked(folder, listed, report.digest, _conditions(folder, report), recipe, full=full)
    indices = sorted({*listed, *shard_indices(folder), *shard_indices(folder, SIDECAR_NAME)})
    done, total = 0, sum(_size(shard_path(folder, index)) for index in indices)
    for index in indices:
        problems = list(checked.problems(index))
        report.problems += [Problem(shard=shard_path(folder, index).name, what=what) for what in problems]
        size, sidecar = _size(shard_path(folder, index)), read_report(folder, index)
        if not problems and sidecar is not None:
            report.shards += 1
            report.rows += sidecar.rows
            report.bytes += size
            checked.digest = checked.digest or sidecar.digest
        done += size
        if progress:
            progress(done, total)
    report.digest = checked.digest
    report.problems += checked.recipe_problems()
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
    if recorded and (stray := set(recorded) ^ set(CONDITION_KEYS)):
        what = f"its keys are not {', '.join(CONDITION_KEYS)}: see {min(stray)!r}"
        report.problems.append(Problem(shard=CONDITIONS_FILE, what=what))
    return {key: recorded[key] for key in HELD if key in recorded}


def _manifest(folder: Path, recipe: dict[str, Any] | None, report: VerifyReport) -> dict[int, ShardReport]:
    """Return the shards that the manifest lists, by index; none where it is missing or broken."""
    try:
        manifest = read_manifest(folder)
    except DistillError as error:
        report.problems.append(_problem_of(folder / MANIFEST_FILE, error))
        return {}
    report.digest = manifest["digest"]
    if recipe is not None and (found := difference(manifest["recipe"], recipe)):
        key, mine, theirs = found
        what = f"the {key} of its recipe is {mine}, {RECIPE_FILE} says {theirs}"
        report.problems.append(Problem(shard=MANIFEST_FILE, what=what))
    return {listed.index: listed for listed in manifest_reports(manifest)}


@dataclass(kw_only=False)
class _Checked:
    """The shards of a folder, one after another, and what they have to agree with.

    `listed`: by the manifest; `drawn`: the conditions of all; `recipe`: of recipe.json, None where it is broken.
    """

    folder: Path
    listed: dict[int, ShardReport]
    digest: str | None
    drawn: Mapping[str, Any]
    recipe: Mapping[str, Any] | None
    full: bool = field(kw_only=True)
    columns: tuple[str, list[str]] | None = (
        None  # of the first shard that could be opened: its name and columns
    )
    opened: int = 0
    recipes: dict[tuple[str, str, str], list[str]] = field(
        default_factory=dict
    )  # difference -> shards that have it

    def problems(self, index: int) -> Iterator[str]:
        """Yield what is wrong with a shard, but for its recipe."""
        path, sidecar = shard_path(self.folder, index), read_report(self.folder, index)
        yield from self._sidecar_problems(index, sidecar)
        if not path.exists():
            yield "missing"
            return
        expected = self.listed.get(index, sidecar)
        fault = None
        try:
            with open_shard(path, report=expected) as reader:
                yield from self._disagreements(reader)
                if self.full:
                    read_everything(reader)
        except ShardCorrupt as error:
            fault = str(error.what)
        if self.full and expected is not None:
            fault = _with_checksum(path, expected, fault)
        if fault:
            yield fault

    def recipe_problems(self) -> Iterator[Problem]:
        """Yield where recipe.json and shards differ: once where all shards do, else for each shard that does."""
        for (key, mine, theirs), names in self.recipes.items():
            if len(names) == self.opened:
                yield Problem(shard=RECIPE_FILE, what=f"its {key} is {mine}, every shard says {theirs}")
            else:
                what = f"the {key} of its recipe is {theirs}, {RECIPE_FILE} says {mine}"
                yield from (Problem(shard=name, what=what) for name in names)

    def _sidecar_problems(self, index: int, sidecar: ShardReport | None) -> Iterator[str]:
        if self.listed and index not in self.listed:
            yield "the manifest does not know it"
        if sidecar is None:
            missing = not sidecar_path(self.folder, index).exists()
            yield "its sidecar is missing" if missing else "its sidecar is unreadable, or of another shard"
        elif self.digest is not None and sidecar.digest != self.digest:
            yield f"of another recipe: digest {sidecar.digest}, the data set's is {self.digest}"
        elif index in self.listed and sidecar != self.listed[index]:
            yield f"its sidecar and the manifest disagree about {_difference(sidecar, self.listed[index])}"

    def _disagreements(self, reader: ShardReader) -> Iterator[str]:
        """Yield where a shard differs from the conditions, its recipe and the other shards; note its recipe."""
        self.opened += 1
        for key, value in self.drawn.items():
            if (found := reader.conditions.get(key, value)) != value:
                yield f"drawn with {key} {found}, {CONDITIONS_FILE} says {value}"
        if stray := set(reader.conditions) - set(CONDITION_KEYS):
            yield f"its conditions have the unknown key {min(stray)!r}"
        if self.recipe is not None and (found := difference(self.recipe, reader.recipe)):
            self.recipes.setdefault(found, []).append(reader.path.name)
        name, columns = self.columns = self.columns or (reader.path.name, reader.columns())
        for problem in (shard_problem(reader), columns_problem(reader, columns, name)):
            if problem:
                yield problem


def _with_checksum(path: Path, expected: ShardReport, fault: str | None) -> str | None:
    """Add to what was found in a shard, if anything, whether its bytes are still those that were written."""
    try:
        found = file_sha256(path)
    except (DistillError, OSError) as error:
        return fault or f"cannot be read ({error})"
    if found == expected.sha256:
        return fault
    sums = f"its sha256 is {found[:12]}…, {expected.sha256[:12]}… was written"
    return f"{fault} ({sums})" if fault else f"changed since it was written: {sums}"


def read_everything(reader: ShardReader) -> None:
    """Read every column and decode every image of a shard; raises `ShardCorrupt` at the first broken one."""
    for name in reader.columns():
        problem = column_problem(name, reader.column(name))
        if problem:
            raise ShardCorrupt(reader.path, problem)
    for name in reader.tried_columns():
        reader.tried(name)
    _check_ledger(reader)
    for problem in range_problems(reader):
        raise ShardCorrupt(reader.path, problem)
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
