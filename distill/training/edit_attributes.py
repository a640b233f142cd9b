"""Conditions on the labels of pictures as what a student knows to edit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np

from distill.errors import DistillError
from distill.networks.edits import EditAttribute, Sign
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
    """Say what a student is to know about a condition: also what else its label may be."""
    column = images.labels[condition.label]
    values: list[str] = []
    if condition.sign == "=":
        texts = (
            column[column != ""]
            if column.dtype.kind == "U"
            else column[np.isfinite(column.astype(np.float64))]
        )
        found = [str(value) if column.dtype.kind == "U" else f"{value:g}" for value in np.unique(texts)]
        values = [value for value in found if len(value) <= LONGEST and "," not in value]
    if len(condition.value) > LONGEST:
        raise DistillError(f"{condition}: {len(condition.value)} characters; at most {LONGEST} can be named")
    return EditAttribute(
        label=condition.label,
        sign=cast(Sign, condition.sign),
        value=condition.value,
        values=tuple(values if len(values) <= MOST_VALUES else ()),
    )
