"""What true pairs ask of a student of any strength: each pair its own change, cut to what the student was taught.

N pairs, K conditions of the student.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill.errors import DistillError
from distill.evaluation.comparison.edits import edit_of_column, ways_by_table
from distill.evaluation.true_pairs import AGE, TruePairs
from distill.files import path_text
from distill.networks.edits import EditCondition

NAMED = {"grin": "smile"}  # columns that are called otherwise than their attribute


@dataclass(frozen=True, kw_only=True, eq=False)
class PairChanges:
    """What each pair asks of one attribute: `asked` [N] by the table, `told` [N] within the range of `condition`.

    `place`: of the condition among all `count` of the student.
    """

    condition: EditCondition
    asked: NDArray[np.float32]
    told: NDArray[np.float32]
    place: int
    count: int

    @property
    def changes(self) -> NDArray[np.float32]:
        """The changes [N, K] that the student is told."""
        found = np.zeros((len(self.told), self.count), np.float32)
        found[:, self.place] = self.told
        return found

    @property
    def cut(self) -> int:
        """Pairs that ask for more than the student was taught."""
        return int(np.sum(np.abs(self.asked - self.told) > 1e-6))

    @property
    def way(self) -> int:
        """Which way all pairs go: 1 up, -1 down; 0: some go either way."""
        return 1 if (self.told > 0).all() else -1 if (self.told < 0).all() else 0

    def line(self) -> str:
        """Say what is asked for people: `age, of each pair its own: +10 to +25 years`."""
        amounts = np.unique(self.told).tolist()
        if len(amounts) < 3:
            said = " or ".join(map(self.condition.amount, amounts))
        else:
            said = f"{amounts[0]:+.3g} to {amounts[-1]:+.3g} {self.condition.unit}"
        return f"{self.condition.name}, of each pair its own: {said}"

    def captions(self) -> list[str]:
        """Say what the student is told of each pair: `age +20 years`."""
        return [self.condition.text(float(amount)) or "no change" for amount in self.told]

    def notes(self) -> list[str]:
        """Say how many pairs ask for more than the student was taught."""
        if not self.cut:
            return []
        most = float(np.abs(self.asked).max())
        return [
            f"{self.cut} of {len(self.asked)} pairs ask for more than the student was taught, up to {most:.3g}"
            f" {self.condition.unit}: it is told {self.condition.high:g} there."
        ]

    def facts(self) -> dict[str, Any]:
        return {
            "attribute": self.condition.name,
            "unit": self.condition.unit,
            "asked": self.asked.round(3).tolist(),
            "told": self.told.round(3).tolist(),
            "cut": self.cut,
        }


def changes_of_pairs(found: TruePairs, conditions: Sequence[EditCondition]) -> PairChanges:
    """Read off the table what each pair asks: years between two ages, the other gender, or a probability of one.

    A column EDIT is of ages where the table has `age` and `EDIT_age`; one with `sex` or `gender` in its name swaps;
    another one is called by its attribute, or `grin`. Raises DistillError for a column that says nothing of the kind,
    and for an attribute that the student does not know.
    """
    attribute, asked = _asked(found)
    known = [condition.name for condition in conditions]
    if attribute not in known:
        raise DistillError(
            f"--column {found.edit} asks for {attribute}; the student knows {', '.join(known)}: say with --edit what"
            " it is to change"
        )
    place = known.index(attribute)
    condition = conditions[place]
    amounts = np.array(asked, np.float32)
    return PairChanges(
        condition=condition,
        asked=amounts,
        told=amounts.clip(condition.low, condition.high),
        place=place,
        count=len(known),
    )


def _asked(found: TruePairs) -> tuple[str, list[float]]:
    """Return the attribute of the column, and how much of it each pair asks for."""
    column, rows = found.edit, [pair.cells for pair in found.pairs]
    if AGE in rows[0] and (aged := f"{column}_age") in rows[0]:
        return AGE, [float(row[aged]) - float(row[AGE]) for row in rows]
    edit = edit_of_column(column)
    if edit.attribute is not None and not edit.way:
        ways = ways_by_table(edit, rows, found.table)
        if ways is None:
            raise DistillError(
                f"{path_text(found.table)}: no column of the source's {edit.attribute}, which tells what column"
                f" {column} asks for: add one, or say it with --edit"
            )
        return edit.attribute, [float(way) for way in ways]
    if edit.attribute == AGE:
        raise DistillError(
            f"{path_text(found.table)}: no columns {AGE} and {column}_age, which tell how many years column {column}"
            f" asks for: add them, or say it with --edit {AGE}=+20"
        )
    return NAMED.get(column, column), [1.0] * len(rows)
