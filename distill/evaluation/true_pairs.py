"""Pictures whose true edit is known: the same person, rendered or photographed, with one thing changed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from distill.errors import DistillError
from distill.evaluation.student_scores import evenly
from distill.faces.decode import PhotoError, photo_size
from distill.progress import plural
from distill.shards.images.csv_text import read_csv
from distill.shards.images.labels import LabelTable, read_labels

SOURCE = "source"
AGE = "age"
LEAST_YEARS = 10.0  # that an edit of the age must move by, to be seen


@dataclass(frozen=True, kw_only=True)
class TruePair:
    """A picture and what the edit should make of it, of one size and registered; `cells`: its row of the table."""

    source: Path
    truth: Path
    cells: Mapping[str, str] = field(compare=False)


@dataclass(frozen=True, kw_only=True)
class Row:
    """A line of the table, with its number, and its cells by column."""

    line: int
    cells: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class TruePairs:
    """The pairs of one edit, which is the name of a column of the table; `too_close` were left out."""

    table: Path
    edit: str
    pairs: Sequence[TruePair]
    too_close: int


def read_true_pairs(folder: Path, edit: str | None, *, limit: int | None = None) -> TruePairs:
    """Read the one table (CSV) in `folder`: a picture in column `source`, its true edit in column `edit`.

    Where the table has the columns `age` and `<edit>_age`, pairs that lie less than LEAST_YEARS apart are left out.
    `limit`: at most this many pairs, evenly spread; the pictures of the others are not opened.
    Raises DistillError where there is no such table, column or picture, for cells without what they should say, and
    for sizes that differ.
    """
    path = one_table(folder)
    check_table(path)
    table = read_labels(path, keys=("id", SOURCE))
    edit = edit or only_edit(table)
    if edit == SOURCE:
        raise DistillError(
            f"--column {SOURCE} measures the pictures against themselves: name a column of edited pictures,"
            f" out of {', '.join(name for name in table.columns if name != SOURCE)}"
        )
    table.require(edit)
    rows = [
        Row(line=table.lines[key], cells={SOURCE: key, **dict(zip(table.columns, cells, strict=True))})
        for key, cells in table.rows.items()
    ]
    found = [
        TruePair(
            source=folder / filled(path, row, SOURCE),
            truth=folder / filled(path, row, edit),
            cells=row.cells,
        )
        for row in rows
        if far_enough(path, row, edit)
    ]
    if not found:
        raise DistillError(f"{table.path}: no pair of {edit!r} lies {LEAST_YEARS:g} years or more apart")
    used = found if limit is None else [found[at] for at in evenly(len(found), limit)]
    check_pictures(table.path, used)
    return TruePairs(table=table.path, edit=edit, pairs=used, too_close=len(table.rows) - len(found))


def one_table(folder: Path) -> Path:
    """Return the one CSV file in `folder`."""
    if not folder.is_dir():
        raise DistillError(f"--truth {folder}: no such folder")
    tables = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".csv")
    if len(tables) != 1:
        found = f"{len(tables)} tables, {tables[0].name} and {tables[1].name}" if tables else "no table"
        raise DistillError(
            f"--truth {folder}: {found}; one CSV file is needed, with a column {SOURCE!r} and one for each edit"
        )
    return tables[0]


def check_table(path: Path) -> None:
    """Raise DistillError for a table without sources, or without rows."""
    lines = read_csv(path)
    header = lines[0][1] if lines else []
    if SOURCE not in header:
        raise DistillError(f"{path}: no column {SOURCE!r}; its columns are {', '.join(header) or 'none'}")
    if len(lines) == 1:
        raise DistillError(f"{path}: a first line with the names of the columns, and no pair below it")


def only_edit(table: LabelTable) -> str:
    """Return the one column of pictures beside the source. Raises DistillError where there are more, or none."""
    folder = table.path.parent
    edits = [
        name
        for place, name in enumerate(table.columns)
        if name != SOURCE and any((folder / row[place]).is_file() for row in table.rows.values())
    ]
    if len(edits) != 1:
        choice = (
            f"choose one of {', '.join(edits)} with --column"
            if edits
            else "none of its columns names pictures"
        )
        raise DistillError(f"{table.path}: {choice}")
    return edits[0]


def filled(table: Path, row: Row, column: str) -> str:
    """Return the text of a cell. Raises DistillError where it is empty."""
    text = row.cells[column]
    if not text:
        raise DistillError(f"{table}: line {row.line} has nothing in column {column!r}")
    return text


def years(table: Path, row: Row, column: str) -> float:
    """Return an age. Raises DistillError where the cell holds none."""
    text = filled(table, row, column)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DistillError(f"{table}: line {row.line} has {text[:40]!r} in column {column!r}, not an age")
    return value


def far_enough(table: Path, row: Row, edit: str) -> bool:
    """Tell whether a pair shows its edit: of those that are told by years, LEAST_YEARS."""
    other = f"{edit}_age"
    if AGE not in row.cells or other not in row.cells:
        return True
    return abs(years(table, row, other) - years(table, row, AGE)) >= LEAST_YEARS


def check_pictures(table: Path, pairs: Sequence[TruePair]) -> None:
    """Raise DistillError where pictures are missing or unreadable, or those of a pair have two sizes."""
    missing = [path for path in each_path(pairs) if not path.is_file()]
    if missing:
        are = "is" if len(missing) == 1 else "are"
        raise DistillError(
            f"{table} names {plural(len(missing), 'picture')} that {are} not there, first {missing[0]}"
        )
    for pair in pairs:
        sizes = [size_of(path) for path in (pair.source, pair.truth)]
        if sizes[0] != sizes[1]:
            (a, b), (c, d) = sizes
            raise DistillError(
                f"{table}: {pair.source.name} has {a}x{b} px and {pair.truth.name} {c}x{d}; a pair needs one size"
            )


def size_of(path: Path) -> tuple[int, int]:
    """Return width and height in pixels, of the upright picture."""
    try:
        height, width = photo_size(path)
    except PhotoError as error:
        raise DistillError(f"{path}: no picture that can be read: {error.reason} ({error.detail})") from error
    return width, height


def each_path(pairs: Sequence[TruePair]) -> Iterator[Path]:
    for pair in pairs:
        yield pair.source
        yield pair.truth
