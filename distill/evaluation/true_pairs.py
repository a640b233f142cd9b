"""Pictures whose true edit is known: the same person, rendered or photographed, with one thing changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from distill.errors import DistillError
from distill.files import open_regular
from distill.progress import plural
from distill.shards.images.labels import LabelTable, read_labels

SOURCE = "source"
AGE = "age"
LEAST_YEARS = 10.0  # that an edit of the age must move by, to be seen


@dataclass(frozen=True, kw_only=True)
class TruePair:
    """A picture and what the edit should make of it, both of one size and registered."""

    source: Path
    truth: Path


@dataclass(frozen=True, kw_only=True)
class TruePairs:
    """The pairs of one edit, which is the name of a column of the table; `too_close` were left out."""

    table: Path
    edit: str
    pairs: Sequence[TruePair]
    too_close: int


def read_true_pairs(folder: Path, edit: str | None) -> TruePairs:
    """Read the one table (CSV) in `folder`: a picture in column `source`, its true edit in column `edit`.

    Where the table has the columns `age` and `<edit>_age`, pairs that lie less than LEAST_YEARS apart are left out.
    Raises DistillError where there is no such table, column or picture, and for sizes that differ.
    """
    table = read_labels(one_table(folder), keys=("id", SOURCE))
    edit = edit or only_edit(table)
    table.require(edit)
    places = {name: place for place, name in enumerate(table.columns)}
    at = places.get(SOURCE)  # None: it is the key
    found = [
        TruePair(source=folder / (key if at is None else row[at]), truth=folder / row[places[edit]])
        for key, row in table.rows.items()
        if far_enough(row, places, edit)
    ]
    if not found:
        raise DistillError(f"{table.path}: no pair of {edit!r} lies {LEAST_YEARS:g} years or more apart")
    check_pictures(table.path, found)
    return TruePairs(table=table.path, edit=edit, pairs=found, too_close=len(table.rows) - len(found))


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


def only_edit(table: LabelTable) -> str:
    """Return the one column of pictures beside the source. Raises DistillError where there are more, or none."""
    first = next(iter(table.rows.values()), ())
    edits = [
        name
        for name, cell in zip(table.columns, first, strict=False)
        if name != SOURCE and (table.path.parent / cell).is_file()
    ]
    if len(edits) != 1:
        choice = (
            f"choose one of {', '.join(edits)} with --edit" if edits else "none of its columns names pictures"
        )
        raise DistillError(f"{table.path}: {choice}")
    return edits[0]


def far_enough(row: Sequence[str], places: dict[str, int], edit: str) -> bool:
    """Tell whether a pair shows its edit: of those that are told by years, LEAST_YEARS."""
    other = f"{edit}_age"
    if AGE not in places or other not in places:
        return True
    try:
        return abs(float(row[places[other]]) - float(row[places[AGE]])) >= LEAST_YEARS
    except ValueError:
        return False


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
    """Return width and height in pixels."""
    try:
        with open_regular(path) as file, Image.open(file) as picture:
            return picture.size
    except (OSError, ValueError) as error:
        raise DistillError(f"{path}: no picture that can be read") from error


def each_path(pairs: Sequence[TruePair]) -> Iterator[Path]:
    for pair in pairs:
        yield pair.source
        yield pair.truth
