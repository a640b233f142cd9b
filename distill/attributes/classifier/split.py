"""Which pictures are learnt from, which choose and calibrate, and which nobody looks at until the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distill.errors import DistillError
from distill.progress import plural

PARTS = ("train", "validation", "test")
LEAST = 2  # pictures of a class in each part
Rows = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class LabelSplit:
    """The numbers of the pictures in each part, ascending."""

    train: Rows
    validation: Rows
    test: Rows


def split_rows(
    labels: Sequence[str], groups: Sequence[str], *, validation: float, test: float, seed: int
) -> LabelSplit:
    """Part pictures at random, each class by itself in the same proportions, a group always as a whole.

    `validation` and `test` are shares; of each class at least 2 pictures go to either. A group belongs to the class
    of its first picture. Raises DistillError where the groups leave a part without 2 pictures of a class.
    """
    rng = np.random.Generator(np.random.Philox(seed))
    members: dict[str, list[int]] = {}
    for row, group in enumerate(groups):
        members.setdefault(group, []).append(row)
    parts: dict[str, list[int]] = {part: [] for part in PARTS}
    for label in sorted(set(labels)):
        own = [rows for rows in members.values() if labels[rows[0]] == label]
        count = sum(map(len, own))
        wanted = {
            "test": max(LEAST, round(test * count)),
            "validation": max(LEAST, round(validation * count)),
        }
        left = [own[place] for place in rng.permutation(len(own))]
        for part, number in wanted.items():
            taken = 0
            while left and taken < number:
                rows = left.pop()
                parts[part] += rows
                taken += len(rows)
        parts["train"] += [row for rows in left for row in rows]
    _check(parts, labels)
    return LabelSplit(**{part: np.array(sorted(rows), dtype=np.int64) for part, rows in parts.items()})


def _check(parts: dict[str, list[int]], labels: Sequence[str]) -> None:
    for part, rows in parts.items():
        for label in sorted(set(labels)):
            count = sum(labels[row] == label for row in rows)
            if count < LEAST:
                raise DistillError(
                    f"the {part} part has {plural(count, 'picture')} of class {label!r}, at least {LEAST} are needed:"
                    " take more pictures, smaller groups or other shares (--validation, --test)"
                )
