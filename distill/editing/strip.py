"""A strip of one face: the same student with one change after another, as far apart."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from distill.errors import DistillError
from distill.networks.edits import EditCondition, parse_edit
from distill.networks.student import Student, needed_edit
from distill.weights.by_name import name_of
from distill.weights.safe_pickle.machine import shown

MOST = 25  # pictures of a strip
OTHERS = (
    "--strip is for students of measured changes (train-pix2pix on a data set of --task attributes); this one makes"
    " no change of any strength"
)
STRIP = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.+-]*)=([+-]?\d+(?:\.\d+)?):([+-]?\d+(?:\.\d+)?):(\d{1,3})")


@dataclass(frozen=True, kw_only=True, eq=False)
class StripStudents:
    """The student with each of the changes, and their captions, such as `age +20 years`."""

    students: tuple[Student, ...]
    captions: tuple[str, ...]


def check_strips(model: Path) -> None:
    """Raise DistillError for a student that makes no strips, and nothing at all without an edit (StarGAN)."""
    if needed_edit(model):
        raise DistillError(f"{name_of(model)}: {OTHERS}")


def open_strip(text: str, student: Student) -> StripStudents:
    """Read NAME=FROM:TO:COUNT, and make COUNT edits of the student, beside the edit that it has.

    Raises DistillError for any other text, a student without conditions, an attribute that it does not know or
    that its edit names, and for a change beyond the range.
    """
    name, values = read_strip(text)
    condition = _condition(name, text, student)
    for value in (values[0], values[-1]):
        if not condition.low <= value <= condition.high:
            raise DistillError(
                f"{student.name}: --strip {text}: {name} was taught from {condition.range_text}: stay within"
            )
    terms = list(map(str, parse_edit(student.edit))) if student.edit else []
    if any(term.startswith(f"{name}=") for term in terms):
        raise DistillError(f"--strip {text}: --edit names {name} too: leave one of them out")
    edits = [",".join([*terms, f"{name}={value:+g}"]) for value in values]
    return StripStudents(
        students=tuple(student.edited(edit) for edit in edits),
        captions=tuple(condition.text(value) or f"{name} as it is" for value in values),
    )


def read_strip(text: str) -> tuple[str, tuple[float, ...]]:
    """Read NAME=FROM:TO:COUNT as a name and evenly spaced values, to three decimals. Raises DistillError."""
    found = STRIP.fullmatch(text.strip())
    if found and float(found[2]) == float(found[3]):
        raise DistillError(
            f"--strip {shown(text, 80)}: FROM and TO are the same: give two ends, or use --edit"
        )
    if not found or not 2 <= int(found[4]) <= MOST:
        raise DistillError(
            f"--strip {shown(text, 80)}: NAME=FROM:TO:COUNT is needed, such as age=-30:30:7, of 2 to {MOST}"
        )
    values = np.linspace(float(found[2]), float(found[3]), int(found[4])).round(3) + 0.0  # no -0
    return found[1], tuple(values.tolist())


def _condition(name: str, text: str, student: Student) -> EditCondition:
    known = {condition.name: condition for condition in student.facts.conditions}
    if not known:
        raise DistillError(f"{student.name}: {OTHERS}")
    if name not in known:
        raise DistillError(
            f"{student.name}: --strip {text}: this student does not know {name}; it knows {', '.join(known)}"
        )
    return known[name]
