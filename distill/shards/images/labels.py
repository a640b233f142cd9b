"""Labels of pictures from a CSV file, and sampling weights that make their classes equally likely."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from distill.errors import DistillError
from distill.shards.images.csv_text import read_csv
from distill.shards.layout import MAX_NAMES, MAX_TEXT_BYTES, NAME

# Names of the column that names the picture; the first that is there does.
KEY_COLUMNS = ("file", "path", "image", "candidate", "sample", "key", "name")
WHOLE = re.compile(r"-?(0|[1-9]\d{0,6})")  # seven digits are exact in float32
NUMBER = re.compile(r"-?(0|[1-9]\d{0,6})(\.\d+)?")
MOST_CLASSES = 100


@dataclass(frozen=True, kw_only=True)
class ClassShare:
    """The sampling weight of each picture of a class, and how many there are."""

    weight: float
    count: int


@dataclass(frozen=True, kw_only=True)
class LabelTable:
    """The rows of a label file: `rows` maps a file name to its texts, in the order of `columns`.

    `lines` maps it to the number of its line.
    """

    path: Path
    columns: tuple[str, ...]
    rows: Mapping[str, tuple[str, ...]]
    lines: Mapping[str, int] = field(default_factory=dict)

    def rows_of(self, names: Sequence[str]) -> list[tuple[str, ...] | None]:
        """Return the row of each picture, or None.

        A picture is known by its path below the folder, else by its file name or its stem where no other
        picture has it.
        """
        shared = Counter(key for name in names for key in _short_names(name))
        found = []
        for name in names:
            keys = [name, *(key for key in _short_names(name) if shared[key] == 1)]
            found.append(next((self.rows[key] for key in keys if key in self.rows), None))
        return found

    def labels_of(self, names: Sequence[str]) -> dict[str, list[str]]:
        """Return each label of the pictures as text, "" where the file says nothing."""
        rows = self.rows_of(names)
        return {
            column: [row[place] if row else "" for row in rows] for place, column in enumerate(self.columns)
        }

    def require(self, column: str) -> None:
        """Raise DistillError for a column that the file does not have."""
        if column not in self.columns:
            raise DistillError(
                f"{self.path} has no label column {column!r}; its columns are {', '.join(self.columns)}"
            )


def read_labels(path: Path, *, keys: Sequence[str] = KEY_COLUMNS) -> LabelTable:
    """Read a CSV file, see `read_csv`: a column that names the picture, the first of `keys`, and one column a label.

    Raises DistillError for a file that is unreadable, has no such column, names a file twice, or has a row
    of another length.
    """
    lines = read_csv(path)
    if not lines:
        raise DistillError(f"label file {path}: it is empty; a first line such as file,gender is needed")
    header = lines[0][1]
    for number, cells in lines[1:]:
        if len(cells) != len(header):
            raise DistillError(
                f"label file {path}: line {number} has {len(cells)} cells, the first line has {len(header)}"
            )
    used = [place for place in range(len(header)) if any(cells[place] for _, cells in lines)]
    header = [header[place] for place in used]
    key = _key_column(path, header, keys)
    columns = tuple(cell for place, cell in enumerate(header) if place != key)
    rows: dict[str, tuple[str, ...]] = {}
    numbers: dict[str, int] = {}
    for number, line in lines[1:]:
        cells = [line[place] for place in used]
        name = cells.pop(key)
        if name in rows:
            raise DistillError(f"label file {path}: line {number} names {name!r} a second time")
        rows[name], numbers[name] = tuple(cells), number
    return LabelTable(path=path, columns=columns, rows=rows, lines=numbers)


def as_column(texts: Sequence[str], name: str = "label") -> list[str] | NDArray[np.generic]:
    """Return int16 if all are whole numbers in its range, float32 if all known ones are numbers, else text.

    What is not known is NaN in a float32 column and "" in a text column. Raises DistillError for a text that is too
    long to be stored.
    """
    known = [text for text in texts if text]
    if len(known) == len(texts) and all(WHOLE.fullmatch(text) for text in texts):
        numbers = [int(text) for text in texts]
        if min(numbers) >= -32768 and max(numbers) <= 32767:
            return np.array(numbers, dtype="<i2")
    if known and all(NUMBER.fullmatch(text) for text in known):
        return np.array([float(text) if text else np.nan for text in texts], dtype="<f4")
    longest = max((len(text.encode()) for text in texts), default=0)
    if longest > MAX_TEXT_BYTES:
        raise DistillError(
            f"label {name!r}: a text of {longest} bytes, at most {MAX_TEXT_BYTES} can be stored"
        )
    return list(texts)


def balanced_weights(classes: Sequence[str]) -> tuple[NDArray[np.float32], dict[str, ClassShare]]:
    """Return sampling weights [N] of mean 1 that make all classes equally likely, and each class's share.

    Pictures without a class ("") keep weight 1, so their share of the draws stays what it is; the rest of
    the draws is divided equally among the classes. Raises DistillError for fewer than 2 classes, or over 100.
    """
    counts = Counter(name for name in classes if name)
    if not 2 <= len(counts) <= MOST_CLASSES:
        raise DistillError(f"balancing needs 2 to {MOST_CLASSES} classes; the pictures have {len(counts)}")
    share = counts.total() / len(counts)
    shares = {name: ClassShare(weight=share / count, count=count) for name, count in sorted(counts.items())}
    if counts.total() < len(classes):
        shares[""] = ClassShare(weight=1.0, count=len(classes) - counts.total())
    return np.array([shares[name].weight for name in classes], dtype="<f4"), shares


def split_balance(text: str) -> tuple[Path, str]:
    """Split FILE.csv:COLUMN; DistillError where there is no column."""
    path, colon, column = text.rpartition(":")
    if not (path and colon and column):
        raise DistillError(f"--balance {text}: FILE.csv:COLUMN is needed, such as labels.csv:gender")
    return Path(path), column


def _key_column(path: Path, header: Sequence[str], keys: Sequence[str]) -> int:
    places = [place for key in keys for place, cell in enumerate(header) if cell.lower() == key]
    if not places:
        known = f"{keys[0]!r} (or {', '.join(keys[1:])})"
        raise DistillError(f"label file {path}: no column {known}; its first line is {_shown(header)}")
    labels = [cell for place, cell in enumerate(header) if place != places[0]]
    for label in labels:
        if not NAME.fullmatch(label):
            raise DistillError(
                f"label file {path}: column {label[:60]!r} needs a name of letters, digits, _ . -"
            )
    if not 1 <= len(labels) <= MAX_NAMES or len(set(labels)) != len(labels):
        raise DistillError(f"label file {path}: 1 to {MAX_NAMES} different label columns are needed")
    return places[0]


def _shown(cells: Iterable[str]) -> str:
    return repr(",".join(cells)[:80])


def _short_names(name: str) -> set[str]:
    path = PurePosixPath(name)
    return {path.name, path.stem}
