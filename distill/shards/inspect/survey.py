"""Look over a data set folder, complete or not: recipe, reports, evenly chosen samples, all candidates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill.errors import DistillError, ShardCorrupt
from distill.shards.change_counts import ChangeCounts, change_counts
from distill.shards.changes import (
    asked_column,
    asked_of,
    attribute_kinds,
    changes_of,
    check_measured,
    measured_attributes,
)
from distill.shards.columns import column_problem, texts_of
from distill.shards.folder import (
    MANIFEST_FILE,
    ShardReport,
    manifest_reports,
    read_manifest,
    read_report,
    shard_indices,
    shard_path,
)
from distill.shards.read import ShardReader, open_shard
from distill.shards.summary import edit_of, second_generator_of


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What a folder says of itself. `complete`: there is a manifest; `problems`: lines for a person."""

    folder: Path
    recipe: Mapping[str, Any]
    digest: str
    reports: Sequence[ShardReport]
    complete: bool
    problems: list[str] = field(default_factory=list)
    changes: list[ChangeCounts] = field(default_factory=list)  # once it was looked at

    @property
    def rows(self) -> int:
        return sum(report.rows for report in self.reports)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One row of one shard: images by role (uint8 [H, W, 3]), its parameters and its scores by name.

    `moved`: what the edit did, in words, where it was measured; `asked`: the strengths that were asked for, in
    words. `name`: of the picture that the row was made of, "" where it was drawn. `labels` by name, text or number.
    """

    shard: int
    row: int
    candidate: int
    images: Mapping[str, NDArray[np.uint8]]
    params: Mapping[str, Any]
    scores: Mapping[str, Any]
    moved: Sequence[str] = ()
    asked: Sequence[str] = ()
    name: str = ""
    labels: Mapping[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What to call the row: by its picture's name, else by its place."""
        return self.name or f"shard {self.shard}, candidate {self.candidate}"


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """All M candidates tried: `accepted` bool [M]; scores by name, float [M] or [M, K], NaN = not scored.

    Of the N accepted ones: `labels` by name, [N] numbers or str; `asked` and `changes` [N, K], the strengths that
    were asked of K attributes and what was measured.
    """

    accepted: NDArray[np.bool_]
    scores: Mapping[str, NDArray[Any]]
    labels: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    asked: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    changes: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))


def survey(folder: Path) -> Survey:
    """Read the manifest, or the sidecars of an unfinished run; DistillError when there is no shard."""
    complete = (folder / MANIFEST_FILE).is_file()
    if complete:
        manifest = read_manifest(folder)
        return Survey(
            folder=folder,
            recipe=manifest["recipe"],
            digest=manifest["digest"],
            reports=manifest_reports(manifest),
            complete=True,
        )
    reports, problems = _reports_of_sidecars(folder)
    recipe, digest = _recipe_of_first(folder, reports, problems)
    return Survey(
        folder=folder, recipe=recipe, digest=digest, reports=reports, complete=False, problems=problems
    )


def _reports_of_sidecars(folder: Path) -> tuple[list[ShardReport], list[str]]:
    indices = shard_indices(folder) if folder.is_dir() else []
    if not indices:
        raise DistillError(f"{folder}: no shard here; give a data set folder")
    reports, problems = [], []
    for index in indices:
        report = read_report(folder, index)
        if report is None:
            problems.append(
                f"{shard_path(folder, index).name}: no readable sidecar beside it, so it is left out"
            )
        else:
            reports.append(report)
    return reports, problems


def _recipe_of_first(
    folder: Path, reports: Sequence[ShardReport], problems: list[str]
) -> tuple[Mapping[str, Any], str]:
    for report in reports:
        try:
            with open_shard(shard_path(folder, report.index), report=report) as reader:
                return reader.recipe, report.digest
        except ShardCorrupt as error:
            _note(problems, error)
    raise DistillError(f"{folder}: no shard can be read; the first problem is: {problems[0]}")


def spread_rows(rows_of_shards: Sequence[int], wanted: int) -> list[list[int]]:
    """Choose `wanted` rows at even distances over all shards: per shard the rows to show."""
    total = sum(rows_of_shards)
    wanted = min(wanted, total)
    places = [(2 * k + 1) * total // (2 * wanted) for k in range(wanted)]
    ends = list(accumulate(rows_of_shards))
    starts = [end - rows for end, rows in zip(ends, rows_of_shards, strict=True)]
    return [[p - start for p in places if start <= p < end] for start, end in zip(starts, ends, strict=True)]


def look(found: Survey, *, rows: int) -> tuple[list[Sample], Ledger]:
    """Read `rows` samples spread over the shards, and all candidates; opens each shard once."""
    chosen = dict(
        zip((r.index for r in found.reports), spread_rows([r.rows for r in found.reports], rows), strict=True)
    )
    samples: list[Sample] = []
    ledgers: list[Ledger] = []
    for report in found.reports:
        try:
            with open_shard(shard_path(found.folder, report.index), report=report) as reader:
                read = [read_sample(reader, report.index, row) for row in chosen[report.index]]
                ledgers.append(_ledger_of(reader))
                samples += read
        except ShardCorrupt as error:
            _note(found.problems, error)
    if not samples:
        raise DistillError(f"{found.folder}: no row can be read; {'; '.join(found.problems[:1])}")
    ledger = _join(ledgers)
    if measured_attributes(found.recipe):
        found.changes[:] = change_counts(found.recipe, ledger.asked, ledger.changes)
    return samples, ledger


def _note(problems: list[str], error: ShardCorrupt) -> None:
    if str(error) not in problems:
        problems.append(str(error))


def read_sample(reader: ShardReader, shard: int, row: int) -> Sample:
    """Read one row: every role, parameter and score."""
    check_measured(reader)
    params, scores = row_of(reader, "params", row), row_of(reader, "scores", row)
    return Sample(
        shard=shard,
        row=row,
        candidate=int(reader.column("candidate")[row]),
        images={role: reader.image(role, row) for role in reader.roles},
        params=params,
        scores=scores,
        moved=moved(reader.recipe, params, scores),
        asked=asked(reader.recipe, params),
        name=name_of(reader, row),
        labels={name: values[row] for name, values in labels_of(reader).items()},
    )


def moved(recipe: Mapping[str, Any], params: Mapping[str, Any], scores: Mapping[str, Any]) -> list[str]:
    """Say how the score of the edit's attribute goes from source to target: "gender 0.03 to 0.97"; [] without.

    Of two generators, how alike their images are: "ssim 0.62". Of several attributes, how each changes: "age +21.3".
    """
    if measured_attributes(recipe):
        return changes_in_words(recipe, scores)
    if second_generator_of(recipe) and "ssim" in scores:
        return [f"ssim {float(scores['ssim']):.2f}"]
    attribute = edit_of(recipe).get("attribute")
    values = np.ravel(scores.get(str(attribute), ()))
    ends = [int(params.get(name, -1)) for name in ("source_picture", "target_picture")]
    if any(not 0 <= end < len(values) for end in ends):
        return []
    before, after = (values[end] for end in ends)
    places = 2 if max(abs(before), abs(after)) < 10 else 1  # a probability, or years
    return [f"{attribute} {before:.{places}f} to {after:.{places}f}"]


def asked(recipe: Mapping[str, Any], params: Mapping[str, Any]) -> list[str]:
    """Say which strengths were asked of a pair: "age +2.4"; [] where the edit is another one."""
    names = measured_attributes(recipe)
    strengths = {name: np.ravel(params.get(asked_column(name), 0)) for name in names}
    return [f"{name} {values[0]:+.1f}" for name, values in strengths.items() if values.any()]


def changes_in_words(recipe: Mapping[str, Any], scores: Mapping[str, Any]) -> list[str]:
    """Write the measured change of each attribute: a probability's with two places, years and degrees with one."""
    texts = []
    for name, kind in zip(measured_attributes(recipe), attribute_kinds(recipe), strict=True):
        before, after = np.ravel(scores[name])
        places = 2 if kind == "probability" else 1
        change = round(float(after) - float(before), places) + 0.0  # without the sign of a zero
        texts.append(f"{name} {change:+.{places}f}")
    return texts


def name_of(reader: ShardReader, row: int) -> str:
    """Return the name of the picture that a row was made of; "" where shards have none."""
    if "name" not in reader.columns():
        return ""
    return bytes(reader.value("name", row).item()).decode("utf-8", "replace")


def labels_of(reader: ShardReader) -> dict[str, NDArray[Any]]:
    """Return the labels [n] of a shard by name, texts as str."""
    found = {}
    for name in reader.columns():
        if name.startswith("labels/"):
            values = reader.column(name)
            problem = column_problem(name, values)
            if problem:
                raise ShardCorrupt(reader.path, problem)
            found[name.removeprefix("labels/")] = texts_of(values) if values.dtype.kind == "S" else values
    return found


def row_of(reader: ShardReader, group: str, row: int) -> dict[str, Any]:
    """Return one row of all columns of a group ("params", "scores"), by name without the group."""
    names = [name for name in reader.columns() if name.startswith(f"{group}/")]
    return {name.removeprefix(f"{group}/"): reader.column(name)[row] for name in names}


def _ledger_of(reader: ShardReader) -> Ledger:
    names = [name for name in reader.tried_columns() if name.startswith("scores/")]
    return Ledger(
        accepted=reader.tried("reason") == 0,
        scores={name.removeprefix("scores/"): reader.tried(name) for name in names},
        labels=labels_of(reader),
        asked=asked_of(reader),
        changes=changes_of(reader),
    )


def _join(ledgers: Sequence[Ledger]) -> Ledger:
    names = [name for name in ledgers[0].scores if all(name in ledger.scores for ledger in ledgers)]
    labels = [name for name in ledgers[0].labels if all(name in ledger.labels for ledger in ledgers)]
    return Ledger(
        accepted=np.concatenate([ledger.accepted for ledger in ledgers]),
        scores={name: np.concatenate([ledger.scores[name] for ledger in ledgers]) for name in names},
        labels={name: np.concatenate([ledger.labels[name] for ledger in ledgers]) for name in labels},
        asked=np.concatenate([ledger.asked for ledger in ledgers]),
        changes=np.concatenate([ledger.changes for ledger in ledgers]),
    )
