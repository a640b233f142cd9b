"""Data sets to look through: rows chosen by an expression, sorted by a number, shown in pages, saved as a new set.

What an expression keeps is decided by `distill.shards.refilter`, which also writes the new set. n rows of a set.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from distill.errors import DistillError
from distill.progress import plural
from distill.shards.folder import MANIFEST_FILE, ShardReport, manifest_reports, read_manifest, shard_path
from distill.shards.inspect.histogram import Histogram, bins, count
from distill.shards.inspect.sheet import draw_sheet
from distill.shards.inspect.survey import Sample, read_sample
from distill.shards.read import ShardReader, open_shard
from distill.shards.refilter.plan import Refilter, RefilterRequest, decide
from distill.shards.refilter.report import table_lines
from distill.shards.refilter.run import check_out, run_refilter
from distill.shards.summary import roles_of

PAGE = 24  # rows of several roles on a page; of plain images four times as many
WIDTH = 960  # px of a page: as wide as a window shows it, so that its texts are read
STORED = "as stored"  # in place of a number to sort by
NEW_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
GROUPS = ("scores/", "params/", "labels/")
Numbers = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class DataTable:
    """A complete data set and the numbers of its rows by what an expression calls them: each float64 [n]."""

    folder: Path
    task: str
    roles: Sequence[str]
    reports: Sequence[ShardReport]
    numbers: Mapping[str, Numbers]

    @property
    def rows(self) -> int:
        return sum(report.rows for report in self.reports)

    @property
    def page_rows(self) -> int:
        return PAGE if len(self.roles) > 1 else 4 * PAGE

    @property
    def starts(self) -> NDArray[np.int64]:
        """The number of each shard's first row."""
        return np.cumsum([0, *(report.rows for report in self.reports)])[:-1]


@dataclass(frozen=True, kw_only=True, eq=False)
class ChosenRows:
    """Rows of a table in the order in which they are shown, and what was decided, line by line."""

    table: DataTable
    rows: NDArray[np.int64]
    lines: Sequence[str]

    @property
    def pages(self) -> int:
        return -(-len(self.rows) // self.table.page_rows)


def open_table(folder: Path) -> DataTable:
    """Read the numbers of a complete data set; anew where its manifest is another one since.

    Raises DistillError for a folder that is no data set, or not a complete one.
    """
    read_manifest(folder)
    return _read_table(folder, (folder / MANIFEST_FILE).stat().st_mtime_ns)


@lru_cache(maxsize=16)
def _read_table(folder: Path, changed: int) -> DataTable:
    manifest = read_manifest(folder)
    reports = manifest_reports(manifest)
    parts: list[dict[str, Numbers]] = []
    for report in reports:
        with open_shard(shard_path(folder, report.index), report=report) as reader:
            parts.append(_numbers(reader))
    return DataTable(
        folder=folder,
        task=str(manifest["recipe"].get("task", "unknown task")),
        roles=roles_of(manifest["recipe"]),
        reports=reports,
        numbers={
            name: np.concatenate([part[name] for part in parts])
            for name in parts[0]
            if all(name in part for part in parts)
        },
    )


def _numbers(reader: ShardReader) -> dict[str, Numbers]:
    """The numeric columns of a shard, each number of one that holds several apart, by their short names."""
    names = [name for name in reader.columns() if name.startswith(GROUPS)]
    leaves = [name.partition("/")[2] for name in names]
    found: dict[str, Numbers] = {}
    for name, leaf in zip(names, leaves, strict=True):
        if reader.shape(name)[0].kind not in "iuf":
            continue
        values = reader.column(name).astype(np.float64)
        shown = leaf if leaves.count(leaf) == 1 else name
        if values.ndim == 1 or values.shape[1:] == (1,):
            found[shown] = values.reshape(-1)
        elif values.ndim == 2:
            found |= {f"{shown}[{place}]": values[:, place] for place in range(values.shape[1])}
    return found


def select(table: DataTable, where: str = "", *, sort: str = STORED, descending: bool = True) -> ChosenRows:
    """Choose rows by an expression as `distill refilter --where` has it, "" for all, and sort them by a number.

    Rows without that number come last. Raises DistillError for an invalid expression, one that keeps no row, and
    an unknown number.
    """
    if sort != STORED and sort not in table.numbers:
        raise DistillError(
            f"no number {sort[:80]!r} to sort by; the numbers are {', '.join(table.numbers) or 'none'}"
        )
    if where.strip():
        plan = decide(RefilterRequest(folder=table.folder, where=where, out=table.folder))
        rows, lines = _rows_of(table, plan), table_lines(plan)
    else:
        rows = np.arange(table.rows)
        lines = [f"{table.folder.name} ({table.task}): {plural(table.rows, 'row')}"]
    if sort != STORED:
        values = table.numbers[sort][rows]
        rows = rows[np.argsort(-values if descending else values, kind="stable")]
    return ChosenRows(table=table, rows=rows, lines=lines)


def _rows_of(table: DataTable, plan: Refilter) -> NDArray[np.int64]:
    starts = {report.index: start for report, start in zip(table.reports, table.starts, strict=True)}
    return np.concatenate([starts[part.shard] + part.rows for parts in plan.shards for part in parts])


def page_samples(selection: ChosenRows, page: int) -> list[Sample]:
    """Read the rows of a page, counted from 1; those without a name are called by their numbers.

    Raises DistillError for a page outside the selection, ShardCorrupt.
    """
    if not 1 <= page <= selection.pages:
        raise DistillError(f"page {page}: the pages are 1 to {selection.pages}")
    table, size = selection.table, selection.table.page_rows
    rows = selection.rows[(page - 1) * size : page * size]
    shards = np.searchsorted(table.starts, rows, side="right") - 1
    found: dict[int, Sample] = {}
    for shard in np.unique(shards).tolist():
        report = table.reports[shard]
        with open_shard(shard_path(table.folder, report.index), report=report) as reader:
            for row in rows[shards == shard].tolist():
                sample = read_sample(reader, report.index, row - int(table.starts[shard]))
                found[row] = replace(sample, name=sample.name or f"row {row}")
    return [found[row] for row in rows.tolist()]


def page_sheet(selection: ChosenRows, page: int) -> Image.Image:
    """Draw a page as a contact sheet. Raises as `page_samples`."""
    samples = page_samples(selection, page)
    return draw_sheet(
        samples, list(samples[0].images), title=f"page {page} of {selection.pages}", widest=WIDTH
    )


def page_numbers(selection: ChosenRows, page: int) -> tuple[list[str], list[list[Any]]]:
    """Return names and values of the numbers of a page's rows, for a table: its head, and a line a row."""
    table, size = selection.table, selection.table.page_rows
    rows = selection.rows[(page - 1) * size : page * size].tolist()
    columns = list(table.numbers.items())
    lines = [[row, *(float(f"{values[row]:.5g}") for _, values in columns)] for row in rows]
    return ["row", *(name for name, _ in columns)], lines


def histogram_of(selection: ChosenRows, name: str) -> Histogram:
    """Count a number in the rows that a selection keeps, and in all others of the set. Raises DistillError."""
    values = selection.table.numbers.get(name)
    if values is None:
        raise DistillError(
            f"no number {name[:80]!r}; the numbers are {', '.join(selection.table.numbers) or 'none'}"
        )
    kept = np.zeros(selection.table.rows, np.bool_)
    kept[selection.rows] = True
    return count(name, kept, values, edges=bins(values))


def save_selection(
    table: DataTable,
    where: str,
    name: str,
    *,
    stop: threading.Event,
    advance: Callable[[int, int], object] = lambda rows, total: None,
) -> list[str]:
    """Write the rows that an expression keeps as a data set `name` beside this one; return what was done in lines.

    `advance` hears of rows written now, and of all. The same call goes on where it was stopped. Raises DistillError
    for an invalid name, and as `distill refilter`.
    """
    if not NEW_NAME.fullmatch(name):
        raise DistillError(
            f"{name[:80]!r} is not a name for a folder: letters, digits, dots, - and _ are allowed"
        )
    if not where.strip():
        raise DistillError("all rows are shown: give an expression for the rows to keep, then save them")
    out = table.folder.absolute().parent / name
    plan = decide(RefilterRequest(folder=table.folder, where=where, out=out))
    check_out(plan)
    reports = run_refilter(plan, stop=stop, advance=lambda rows: advance(rows, plan.kept))
    return [
        *table_lines(plan),
        f"saved as {plan.out}: {plural(plan.kept, 'row')} in {plural(len(reports), 'shard')} (digest {plan.digest})",
    ]
