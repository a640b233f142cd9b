"""What is asked of every method: an attribute and which way it goes. `gender=female`, `age=older`.

N faces.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from distill.attributes.moves import MIDDLE
from distill.attributes.protocol import Kind
from distill.errors import DistillError
from distill.shards.images.labels import LabelTable

FORM = re.compile(r"\s*([A-Za-z][A-Za-z0-9_.-]*)\s*=\s*(\S+)\s*")
# Value: the way its score goes. `gender` is the probability of female.
VALUES: Mapping[str, Mapping[str, int]] = {
    "gender": {"female": 1, "male": -1},
    "age": {"older": 1, "younger": -1},
}
OTHER_VALUES: Mapping[str, int] = {"yes": 1, "no": -1}  # of any other attribute
SAID = {"yes": 1, "true": 1, "1": 1, "no": -1, "false": -1, "0": -1}  # in tables of labels
COLUMNS = {"older": "age=older", "younger": "age=younger"}  # of true pairs
NAMED_TOO = {
    "gender": ("gender", "sex")
}  # columns of a table of true pairs that say the attribute of the source
SWAPS = ("sex", "gender")  # in the name of a column of true pairs: each face goes to the other side

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class AskedEdit:
    """An attribute, None where no scorer knows it, its wanted `value`, and the `way` of its score.

    `way` 0: each face goes to the other side, as in true pairs of both.
    """

    text: str
    attribute: str | None
    value: str
    way: int

    @property
    def wish(self) -> str:
        """What is wanted, for people: "apparent gender female", "older"."""
        if self.attribute == "age":
            return self.value
        if self.attribute is None:
            return self.text
        if not self.way:
            return f"the other apparent {self.attribute}"
        return (
            f"apparent {self.attribute} {self.value}"
            if self.attribute in VALUES
            else f"{self.attribute}: {self.value}"
        )

    @property
    def of_person(self) -> str:
        """The wish behind "the same person": ", older", " with apparent gender female"."""
        return f", {self.wish}" if self.attribute in (None, "age") else f" with {self.wish}"

    def word(self, way: int) -> str:
        """Say the edit that moves the score this way: gender=female for 1."""
        values = VALUES.get(self.attribute or "", OTHER_VALUES)
        return f"{self.attribute}={next(value for value, each in values.items() if each == way)}"


def parse_edit(text: str) -> AskedEdit:
    """Read ATTRIBUTE=VALUE. Raises DistillError for another form, and a value that the attribute does not have."""
    found = FORM.fullmatch(text)
    if not found:
        raise DistillError(
            f"--edit {text[:80]!r}: ATTRIBUTE=VALUE is needed, such as gender=female or age=older"
        )
    attribute, value = found[1], found[2].lower()
    values = VALUES.get(attribute, OTHER_VALUES)
    if value not in values:
        raise DistillError(f"--edit {text[:80]!r}: {attribute} goes to {' or '.join(values)}")
    return AskedEdit(f"{attribute}={value}", attribute, value, values[value])


def edit_of_column(column: str) -> AskedEdit:
    """Tell by its name what a column of true pairs edits; of other names no attribute is known."""
    if column in COLUMNS:
        edit = parse_edit(COLUMNS[column])
        return AskedEdit(column, edit.attribute, edit.value, edit.way)
    if any(word in column.lower().split("_") for word in SWAPS):
        return AskedEdit(column, "gender", "other", 0)
    return AskedEdit(column, None, column, 0)


def ways_by_table(edit: AskedEdit, rows: Sequence[Mapping[str, str]], table: Path) -> list[int] | None:
    """Tell by the labels of true pairs' sources which way the edit of each goes: to the other side.

    None where the table has no column of the attribute, and for ages. Raises DistillError for a word that is not
    among its values.
    """
    attribute = edit.attribute
    names = NAMED_TOO.get(attribute or "", (attribute,))
    column = next((name for name in names if name in rows[0]), None)
    if attribute in (None, "age") or column is None:
        return None
    values = VALUES.get(attribute or "", SAID)
    found = []
    for cells in rows:
        text = cells[column].lower()
        if text not in values:
            raise DistillError(f"{table}: {column} is {text[:40]!r}; known are {', '.join(values)}")
        found.append(-values[text])
    return found


def has_value(edit: AskedEdit, kind: Kind, scores_N: Floats) -> list[bool | None]:
    """Tell which faces have the edit's value already, None without a score.

    Of numbers the median parts the two; it belongs to the lower side.
    """
    known = scores_N[np.isfinite(scores_N)]
    middle = MIDDLE if kind == "probability" else float(np.median(known)) if len(known) else np.nan
    return [
        None if not np.isfinite(score) else bool((score > middle) == (edit.way > 0)) for score in scores_N
    ]


def labelled_value(edit: AskedEdit, table: LabelTable, names: Sequence[str]) -> list[bool | None]:
    """Tell by a table of labels which pictures have the edit's value; None where it says nothing.

    Raises DistillError for a table without that column, or with words that are not among its values.
    """
    assert edit.attribute is not None
    table.require(edit.attribute)
    texts = [text.lower() for text in table.labels_of(names)[edit.attribute]]
    if edit.attribute == "age":
        ages = [_number(table, text) for text in texts]
        return has_value(edit, "value", np.array(ages, np.float64))
    ways = VALUES.get(edit.attribute, SAID)
    for text in texts:
        if text and text not in ways:
            raise DistillError(
                f"{table.path}: {edit.attribute} is {text[:40]!r}; known are {', '.join(ways)}, or nothing"
            )
    return [ways[text] == edit.way if text else None for text in texts]


def does_what_is_wanted(kind: Kind, before: float, after: float, way: int) -> bool:
    """Tell whether a score came to the wanted side (of a probability), or moved the wanted way (of a value)."""
    if not np.isfinite(after) or not np.isfinite(before):
        return False
    if kind == "probability":
        return (after > MIDDLE) == (way > 0)
    return (after - before) * way > 0


def _number(table: LabelTable, text: str) -> float:
    try:
        return float(text) if text else float("nan")
    except ValueError:
        raise DistillError(f"{table.path}: age is {text[:40]!r}, no number of years") from None
