"""Conditions on the labels of pictures as what a student knows to edit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import cast

import numpy as np

from distill.errors import DistillError
from distill.networks.edits import WORD, EditAttribute, Sign
from distill.shards.images.conditions import Condition, parse_condition
from distill.training.images import Images

MOST_VALUES, LONGEST = 100, 100  # values of a label that a student lists; characters of one


def read_attributes(texts: Sequence[str]) -> list[Condition]:
    """Read what is asked for as attributes. Raises DistillError for no condition, and for one named twice."""
    conditions = [parse_condition(text) for text in texts]
    twice = next((one for one in conditions if conditions.count(one) > 1), None)
    if twice:
        raise DistillError(f"attributes: {twice} is named twice; once is enough")
    return conditions


def attribute_of(condition: Condition, images: Images) -> EditAttribute:
    """Say what a student is to know about a condition: also what else its label may be.

    Raises DistillError for values that no edit could name.
    """
    column = images.labels[condition.label]
    values: list[str] = []
    if condition.sign == "=":
        texts = (
            column[column != ""]
            if column.dtype.kind == "U"
            else column[np.isfinite(column.astype(np.float64))]
        )
        found = [str(value) if column.dtype.kind == "U" else f"{value:g}" for value in np.unique(texts)]
        values = [value for value in found if len(value) <= LONGEST]
        _check_words(condition.label, values)
    if len(condition.value) > LONGEST:
        raise DistillError(f"{condition}: {len(condition.value)} characters; at most {LONGEST} can be named")
    return EditAttribute(
        label=condition.label,
        sign=cast(Sign, condition.sign),
        value=condition.value,
        values=tuple(values if len(values) <= MOST_VALUES else ()),
    )


def _check_words(label: str, values: Sequence[str]) -> None:
    """Raise DistillError for a value with a comma or a space in it, which `--edit LABEL=VALUE` could not name."""
    if odd := next((value for value in values if not re.fullmatch(WORD, value)), None):
        better = re.sub(r"[\s,]+", "-", odd)
        raise DistillError(
            f"label {label!r} has the value {odd!r}: --edit takes none with a comma or space: make it one word in"
            f" the labels, such as {better}"
        )
