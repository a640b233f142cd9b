"""What a student is to change: `gender=female,age>=50`, and the attributes that a student says it knows.

An attribute holds of a picture or does not: `gender=female`, `age>=50`. A term of an edit says what it shall be.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, StringConstraints

from distill.errors import DistillError
from distill.weights.safe_pickle.machine import shown

Sign = Literal["=", "<", "<=", ">", ">="]
Word = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00-\x20,\x7f-\x9f]*$")]
Label = Annotated[str, StringConstraints(max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$")]

TERM = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.+-]*)\s*(<=|>=|=|<|>)\s*([^\x00-\x20\x7f-\x9f]{1,100})")
NUMBER = re.compile(r"-?\d{1,12}(\.\d{1,12})?")
HOLDS: dict[str, Callable[[float, float], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
OPPOSITE: dict[str, Sign] = {"<": ">=", ">=": "<", ">": "<=", "<=": ">"}


@dataclass(frozen=True)
class EditTerm:
    """One wish of a user, as it was written: `value` is text, such as female, 50 or +20."""

    name: str
    sign: str
    value: str

    def __str__(self) -> str:
        return f"{self.name}{self.sign}{self.value}"


@dataclass(frozen=True, kw_only=True)
class EditAttribute:
    """A condition on a label that a student was taught: the label equals `value`, or lies on one side of it.

    `values`: all that the label may be, where it is to be equal; of `gender=female` also male.
    """

    label: Label
    sign: Sign = "="
    value: Word
    values: tuple[Word, ...] = ()

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)

    def __str__(self) -> str:
        return f"{self.label}{self.sign}{self.value}"

    @property
    def choices(self) -> tuple[str, ...]:
        """What an edit may say of it."""
        if self.sign == "=":
            return tuple(f"{self.label}={value}" for value in self.values or (self.value,))
        return str(self), f"{self.label}{OPPOSITE[self.sign]}{self.value}"

    def wanted(self, term: EditTerm) -> bool | None:
        """Tell whether it holds of a picture that is as the term says; None where the term leaves that open."""
        if self.sign == "=":
            known = term.sign == "=" and any(_same(term.value, value) for value in (self.value, *self.values))
            return _same(term.value, self.value) if known else None
        if term.sign == "=":
            is_number = NUMBER.fullmatch(term.value) is not None
            return HOLDS[self.sign](float(term.value), float(self.value)) if is_number else None
        if not _same(term.value, self.value):
            return None
        if term.sign not in (self.sign, OPPOSITE[self.sign]):
            return None
        return term.sign == self.sign


def parse_edit(text: str) -> tuple[EditTerm, ...]:
    """Read NAME=VALUE with commas between, also with <, <=, > or >= and a number. Raises DistillError."""
    terms = []
    for part in text.split(","):
        found = TERM.fullmatch(part.strip())
        if not found:
            raise DistillError(
                f"--edit {shown(text, 80)}: NAME=VALUE is needed, such as gender=female, several with commas between"
            )
        terms.append(EditTerm(*found.groups()))
    names = [term.name for term in terms]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise DistillError(f"--edit {shown(text, 80)}: {twice} is named twice; once is enough")
    return tuple(terms)


def edit_text(terms: Sequence[EditTerm]) -> str:
    """Say an edit as `parse_edit` reads it."""
    return ",".join(map(str, terms))


def choices_text(attributes: Sequence[EditAttribute]) -> str:
    """Name everything that an edit may say: `gender=female, gender=male, age>=50, age<50`."""
    return ", ".join(dict.fromkeys(choice for attribute in attributes for choice in attribute.choices))


def wanted_of(attributes: Sequence[EditAttribute], terms: Sequence[EditTerm]) -> list[bool | None]:
    """Tell of each attribute whether the edit wants it; None: the edit does not name its label.

    One term decides all attributes of its label: hair=blond wants hair=blond and no hair=black. Raises DistillError
    for a label or a value that no attribute knows.
    """
    wanted: dict[int, bool] = {}
    for term in terms:
        of_label = [place for place, attribute in enumerate(attributes) if attribute.label == term.name]
        for place in of_label:
            holds = attributes[place].wanted(term)
            if holds is None:
                raise DistillError(_unknown(term, attributes))
            wanted[place] = holds
        if not of_label:
            raise DistillError(_unknown(term, attributes))
    return [wanted.get(place) for place in range(len(attributes))]


def _unknown(term: EditTerm, attributes: Sequence[EditAttribute]) -> str:
    return f"--edit {term}: this student does not know it; it knows {choices_text(attributes)}"


def _same(one: str, other: str) -> bool:
    """Compare as numbers where both are: 1 and 1.0 are the same."""
    numbers: list[Any] = [one, other]
    if all(map(NUMBER.fullmatch, numbers)):
        return float(one) == float(other)
    return one == other
