"""What a student is to change: `gender=female,age>=50` or `age=+20`, and what a student says it knows.

An attribute holds of a picture or does not: `gender=female`, `age>=50`. A term of an edit says what it shall be.
A condition is a change: a term says how much, in its unit, and 0 leaves the picture as it is.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints

from distill.errors import DistillError
from distill.weights.safe_pickle.machine import shown

Sign = Literal["=", "<", "<=", ">", ">="]
WORD = r"[^\x00-\x20,\x7f-\x9f]*"  # what an edit can name: no space, no comma
Word = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=f"^{WORD}$")]
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
UNITS = {"age": "years", "yaw": "degrees"}  # of values; all else are probabilities
PROBABILITY = "probability"
WORDS = {"gender": {"female": 1.0, "male": -1.0}}  # of probabilities; the others know yes and no
YES_NO = {"yes": 1.0, "no": -1.0}
MIRRORED = frozenset({"yaw"})  # change their sign when a picture is flipped
Limit = Annotated[float, Field(allow_inf_nan=False)]


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


# ---- changes of any strength


@dataclass(frozen=True, kw_only=True)
class EditCondition:
    """A change that a student was taught: of `name`, in `unit`, from `low` = -`high` to `high`, the network's ±1."""

    name: Label
    kind: Literal["probability", "value"]
    unit: Word
    low: Limit
    high: Limit

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)

    def __post_init__(self) -> None:
        if not 0 < self.high == -self.low:
            raise ValueError(f"a range from {self.low:g} to {self.high:g}: it must reach as far down as up")

    def __str__(self) -> str:
        """Say what an edit may ask for: `age=-30 to +30 years`, `gender=female, male or -1 to +1`."""
        words = "".join(f"{word}, " for word in self.words)
        ends = f"{self.low:+g} to {self.high:+g}"
        return f"{self.name}={words[:-2]} or {ends}" if words else f"{self.name}={ends} {self.unit}"

    @property
    def words(self) -> dict[str, float]:
        """Words for changes; none of a value."""
        return WORDS.get(self.name, YES_NO) if self.kind == "probability" else {}

    @property
    def range_text(self) -> str:
        unit = f"({PROBABILITY})" if self.kind == PROBABILITY else self.unit
        return f"{self.low:+g} to {self.high:+g} {unit}"

    def text(self, change: float) -> str:
        """Say a change for a person: `age +20 years`, `smile +0.5`; "" where nothing is left of it when rounded."""
        said = self.amount(change)
        return f"{self.name} {said}" if said else ""

    def amount(self, change: float) -> str:
        """The same without the name: `+20 years`, `+0.5`."""
        if self.kind == "probability":
            return f"{round(change, 2):+g}" if round(change, 2) else ""
        return f"{round(change, 1):+g} {self.unit}" if round(change, 1) else ""

    def change(self, term: EditTerm) -> float:
        """Return the change that a term asks for, in the unit. Raises DistillError for none, or one out of range."""
        if term.sign != "=":
            raise DistillError(f"--edit {term}: say how much with =, as in {self}")
        value = self.words.get(term.value)
        if value is None:
            digits = term.value.removeprefix("+")
            if not NUMBER.fullmatch(digits) or term.value.startswith("+-"):
                raise DistillError(f"--edit {term}: a change is needed: {self}")
            value = float(digits)
        if not self.low <= value <= self.high:
            raise DistillError(f"--edit {term}: {self.name} was taught from {self.range_text}: stay within")
        return value


def condition_of(name: str, kind: Literal["probability", "value"], limit: float) -> EditCondition:
    """Make the condition of an attribute, from -`limit` to `limit`."""
    unit = UNITS.get(name, "units") if kind == "value" else PROBABILITY
    return EditCondition(name=name, kind=kind, unit=unit, low=-limit, high=limit)


def changes_of(conditions: Sequence[EditCondition], terms: Sequence[EditTerm]) -> list[float]:
    """Return the change of each condition, in its unit; 0 of what no term names. Raises DistillError."""
    known = {condition.name: condition for condition in conditions}
    asked: dict[str, float] = {}
    for term in terms:
        if term.name not in known:
            raise DistillError(
                f"--edit {term}: this student does not know {term.name}; it knows {conditions_text(conditions)}"
            )
        asked[term.name] = known[term.name].change(term)
    return [asked.get(condition.name, 0.0) for condition in conditions]


def conditions_text(conditions: Sequence[EditCondition]) -> str:
    """Name everything that an edit may say: `gender=female, male or -1 to +1; age=-30 to +30 years`."""
    return "; ".join(map(str, conditions))


def change_text(conditions: Sequence[EditCondition], changes: Sequence[float]) -> str:
    """Say changes in their units for a person: `age +20 years, smile +0.5`; "no change" where all are 0."""
    said = [condition.text(change) for condition, change in zip(conditions, changes, strict=True)]
    return ", ".join(filter(None, said)) or "no change"
