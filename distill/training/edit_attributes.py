"""Conditions on the labels of pictures as what a student knows to edit."""

from __future__ import annotations

from typing import cast

import numpy as np

from distill.networks.edits import EditAttribute, Sign
from distill.shards.images.conditions import Condition
from distill.training.images import Images

MOST_VALUES = 100  # of a label that a student names


def edit_attribute(condition: Condition, images: Images) -> EditAttribute:
    """Say of a condition what a student is to know: also what else its label is in these pictures."""
    column = images.labels[condition.label]
    values: list[str] = []
    if condition.sign == "=":
        texts = column.dtype.kind == "U"
        known = column[column != ""] if texts else column[np.isfinite(column.astype(np.float64))]
        values = [str(value) if texts else f"{value:g}" for value in np.unique(known)]
    return EditAttribute(
        label=condition.label,
        sign=cast(Sign, condition.sign),
        value=condition.value,
        values=tuple(values) if len(values) <= MOST_VALUES else (),
    )
