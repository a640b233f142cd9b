"""Decide again which rows of a data set to keep, from the numbers that are stored beside them; nothing is drawn.

The rows that stay and the whole ledger go into new shards of the recipe's size, in their order: each new shard is a
run of entries of the old ledgers that ends with its last row. So a source that has grown leaves full shards as they
are. n rows of a source shard, m entries of its ledger.
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill.errors import DistillError, ShardCorrupt
from distill.progress import plural
from distill.shards.digest import digest_of
from distill.shards.folder import ShardReport, manifest_reports, read_manifest, shard_path
from distill.shards.read import ShardReader, open_shard
from distill.shards.refilter.expression import Expression
from distill.shards.refilter.parse import ExpressionError, parse
from distill.shards.refilter.quantile import Quantile, settle

REASON = "refilter"  # of candidates that were accepted once
Array = NDArray[np.generic]
Advance = Callable[[int], object]  # called with the number of shards done since the last call


@dataclass(frozen=True, kw_only=True)
class RefilterRequest:
    """Keep the rows of the data set `folder` that `where` holds for, as the new data set `out`."""

    folder: Path
    where: str
    out: Path


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """What a new shard takes from one source shard: rows, and the entries `first` to `last` - 1 of its ledger."""

    shard: int
    rows: NDArray[np.int64]
    first: int
    last: int
    dropped: Mapping[str, int]


@dataclass(kw_only=True, eq=False)
class Range:
    """What values one number of a row takes. `low` and `high` are None where it is nowhere a number."""

    shown: str
    low: float | None = None
    high: float | None = None
    missing: int = 0  # rows in which it is not a number, or one of several is not

    def add(self, values: Array) -> None:
        known = np.isfinite(values)
        self.missing += int((~known.reshape(len(values), -1).all(axis=1)).sum())
        found = values[known]
        if found.size:
            low, high = float(found.min()), float(found.max())
            self.low = low if self.low is None else min(self.low, low)
            self.high = high if self.high is None else max(self.high, high)

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{self.shown} is nowhere a number"
        without = f" (not a number in {plural(self.missing, 'row')})" if self.missing else ""
        return f"{self.shown} is {self.low:.4g} to {self.high:.4g}{without}"


@dataclass(frozen=True, kw_only=True, eq=False)
class Refilter:
    """A decision over a whole data set: `shards` are what each new shard is made of.

    `where` has numbers in place of its quantiles. `kept_by`: rows that each term of the expression alone would keep.
    """

    source: Path
    out: Path
    reports: Sequence[ShardReport]
    recipe: dict[str, Any]
    digest: str
    where: str
    quantiles: Sequence[Quantile]
    shards: tuple[tuple[Part, ...], ...]
    ranges: Sequence[Range]
    kept_by: Mapping[str, int]

    @property
    def rows(self) -> int:
        return sum(report.rows for report in self.reports)

    @property
    def kept(self) -> int:
        return sum(len(part.rows) for parts in self.shards for part in parts)

    @property
    def bytes_needed(self) -> int:
        """Estimated bytes of all new shards."""
        return round(sum(report.bytes for report in self.reports) * self.kept / max(1, self.rows))

    @property
    def bytes_free(self) -> int:
        there = (path for path in (self.out, *self.out.absolute().parents) if path.is_dir())
        return shutil.disk_usage(next(there)).free

    def expected(self, index: int) -> tuple[int, int, dict[str, int]]:
        """Return rows, candidates tried and drops by reason of a new shard."""
        parts = self.shards[index]
        dropped: Counter[str] = Counter()
        for part in parts:
            dropped.update(part.dropped)
        return (
            sum(len(part.rows) for part in parts),
            sum(part.last - part.first for part in parts),
            dict(dropped),
        )


@dataclass(kw_only=True, eq=False)
class _Layout:
    """Deals rows and ledgers out to new shards of `size` rows."""

    size: int
    shards: list[tuple[Part, ...]] = field(default_factory=list)
    open: list[Part] = field(default_factory=list)

    def add(
        self, shard: int, keep: NDArray[np.bool_], reason: NDArray[np.uint8], names: Sequence[str]
    ) -> None:
        """Deal out one source shard: `keep` [n] of its rows, `reason` [m] of its ledger."""
        entries, rows, first = np.flatnonzero(reason == 0), np.flatnonzero(keep), 0
        fate = reason.astype(np.int64)
        fate[entries[~keep]] = len(names)  # after all the others
        room = self.size - sum(len(part.rows) for part in self.open)
        while len(rows) >= room:
            last = int(entries[rows[room - 1]]) + 1
            self.open.append(_part(shard, rows[:room], first, last, fate, names))
            self.shards.append(tuple(self.open))
            self.open, rows, first, room = [], rows[room:], last, self.size
        if first < len(reason):
            self.open.append(_part(shard, rows, first, len(reason), fate, names))

    def close(self) -> tuple[tuple[Part, ...], ...]:
        """The last new shard takes what is left of the ledgers, even where it has no row any more."""
        if self.open and (any(len(part.rows) for part in self.open) or not self.shards):
            self.shards.append(tuple(self.open))
        elif self.open:
            self.shards[-1] += tuple(self.open)
        return tuple(self.shards)


def _part(
    shard: int, rows: NDArray[np.int64], first: int, last: int, fate: NDArray[np.int64], names: Sequence[str]
) -> Part:
    counts = np.bincount(fate[first:last], minlength=len(names) + 1).tolist()
    all_names = (*names, REASON)
    dropped: Counter[str] = Counter()
    for name, count in zip(all_names[1:], counts[1:], strict=True):
        dropped[name] += count
    return Part(shard=shard, rows=rows, first=first, last=last, dropped=+dropped)


def decide(request: RefilterRequest, *, progress: Advance = lambda count: None) -> Refilter:
    """Read the columns that an expression needs, shard by shard, and lay out what it keeps. Writes nothing.

    Names are those of `scores/`, `params/` and numeric `labels/`. Raises DistillError for an incomplete data set,
    ExpressionError, and DistillError with the range of each number where no row is kept; ShardCorrupt by name.
    """
    source = request.folder
    manifest = read_manifest(source)
    reports = manifest_reports(manifest)
    expression, quantiles = _settled(_parsed(source, request.where, reports[0]), source, reports)
    ranges = {(c.name, c.index): Range(shown=str(c)) for c in expression.columns}
    kept_by = {str(term): 0 for term in expression.terms}
    layout = _Layout(size=_shard_size(manifest["recipe"], reports))
    for report in reports:
        with open_shard(shard_path(source, report.index), report=report) as reader:
            columns = _columns(reader, expression)
            for (name, index), seen in ranges.items():
                seen.add(columns[name] if index is None else columns[name][:, index])
            for term in expression.terms:
                kept_by[str(term)] += int(term(columns, reader.rows).sum())
            reason = _ledger(reader)
            layout.add(report.index, expression(columns, reader.rows), reason, reader.reasons)
        progress(1)
    recipe = refiltered_recipe(manifest["recipe"], manifest["digest"], str(expression))
    found = Refilter(
        source=source, out=request.out, reports=reports, recipe=recipe, digest=digest_of(recipe),
        where=str(expression), quantiles=quantiles,
        shards=layout.close(), ranges=list(ranges.values()), kept_by=kept_by,
    )  # fmt: skip
    if not found.kept:
        raise DistillError(nothing_left(found))
    return found


def shards_of(request: RefilterRequest) -> int:
    """Return how many shards `decide` reads."""
    return len(read_manifest(request.folder)["shards"])


def refiltered_recipe(recipe: Mapping[str, Any], digest: str, where: str) -> dict[str, Any]:
    """Return the recipe of the new data set: that of the old one and, under `refiltered`, each step since."""
    steps = recipe.get("refiltered", [])
    if not isinstance(steps, list):
        raise DistillError("the recipe's `refiltered` is not a list of steps: the data set is damaged")
    return {**recipe, "refiltered": [*steps, {"from": digest, "where": where}]}


def nothing_left(found: Refilter) -> str:
    """Say in one line that no row is left, and what there would be to keep."""
    ranges = ", ".join(map(str, found.ranges))
    alone = ""
    if len(found.kept_by) > 1:
        alone = "; alone, " + ", ".join(f"{term!r} keeps {count}" for term, count in found.kept_by.items())
    what = f"--where {found.where!r} keeps none of the {found.rows} rows of {found.source}"
    return f"{what}: {ranges}{alone}; loosen it"


def _parsed(source: Path, where: str, report: ShardReport) -> Expression:
    with open_shard(shard_path(source, report.index), report=report) as reader:
        names = [name for name in reader.columns() if name.startswith(("scores/", "params/", "labels/"))]
        columns = {name: reader.column(name) for name in names}
    shapes = {name: values.shape[1:] for name, values in columns.items() if values.dtype.kind in "iuf"}
    if not shapes:
        raise DistillError(f"{source}: its shards hold no scores, params or numeric labels to choose by")
    try:
        return parse(where, shapes)
    except ExpressionError as error:
        leaves = [name.rpartition("/")[2] for name, values in columns.items() if values.dtype.kind == "S"]
        if text := next((leaf for leaf in leaves if re.search(rf"\b{re.escape(leaf)}\b", where)), None):
            raise ExpressionError(
                f"--where: {text} is a text, and rows can only be chosen by numbers"
            ) from error
        raise ExpressionError(f"--where, {error}") from error


def _settled(
    expression: Expression, source: Path, reports: Sequence[ShardReport]
) -> tuple[Expression, Sequence[Quantile]]:
    """Put the numbers that quantiles over all shards come to in their place."""
    if not expression.quantiles:
        return expression, ()

    def tables() -> Iterator[tuple[Mapping[str, Array], int]]:
        for report in reports:
            with open_shard(shard_path(source, report.index), report=report) as reader:
                yield _columns(reader, expression), reader.rows

    return settle(expression, tables())


def _columns(reader: ShardReader, expression: Expression) -> dict[str, Array]:
    """Read what the expression needs, of the shape that it was parsed for."""
    columns: dict[str, Array] = {}
    for wanted in expression.columns:
        if wanted.name not in reader.columns():
            raise ShardCorrupt(reader.path, f"has no column {wanted.name}, which the first shard has")
        values = columns[wanted.name] = reader.column(wanted.name)
        several = values.shape[1] if values.ndim > 1 else 0
        if several != wanted.several:
            raise ShardCorrupt(
                reader.path, f"{wanted.name} has {several} numbers a row, {wanted.several} in the first"
            )
    return columns


def _ledger(reader: ShardReader) -> NDArray[np.uint8]:
    reason = reader.tried("reason").astype(np.uint8)
    if int((reason == 0).sum()) != reader.rows or int(reason.max(initial=0)) >= len(reader.reasons):
        raise ShardCorrupt(
            reader.path, "its ledger of candidates does not fit its rows; run distill verify --full"
        )
    return reason


def _shard_size(recipe: Mapping[str, Any], reports: Sequence[ShardReport]) -> int:
    size = recipe.get("shard_size")
    return size if isinstance(size, int) and size > 0 else max(report.rows for report in reports)
