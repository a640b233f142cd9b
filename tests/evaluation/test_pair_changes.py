"""What a table of true pairs asks of a student of any strength."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from conditioned_students import CONDITIONS

from distill.errors import DistillError
from distill.evaluation.pair_changes import changes_of_pairs
from distill.evaluation.true_pairs import TruePair, TruePairs

BOTH = (
    {"sex": "female", "age": "50", "younger_age": "18"},
    {"sex": "male", "age": "30", "younger_age": "18"},
)


def pairs(edit: str, *rows: Mapping[str, str]) -> TruePairs:
    found = [TruePair(source=Path("a"), truth=Path("b"), cells=cells) for cells in rows]
    return TruePairs(table=Path("pairs.csv"), edit=edit, pairs=found, too_close=0)


def test_each_column_asks_in_its_own_way() -> None:
    younger = changes_of_pairs(pairs("younger", *BOTH), CONDITIONS)
    assert younger.asked.tolist() == [-32, -12]
    assert younger.changes.tolist() == [[0, -30, 0], [0, -12, 0]]
    assert younger.captions() == ["age -30 years", "age -12 years"]
    assert (younger.cut, younger.way) == (1, -1)
    swapped = changes_of_pairs(pairs("sex_changed", *BOTH), CONDITIONS)
    assert swapped.changes.tolist() == [[-1, 0, 0], [1, 0, 0]]
    assert swapped.line() == "gender, of each pair its own: -1 or +1"
    assert (swapped.cut, swapped.way, swapped.notes()) == (0, 0, [])
    assert changes_of_pairs(pairs("grin", *BOTH), CONDITIONS).changes.tolist() == [[0, 0, 1]] * 2
    assert changes_of_pairs(pairs("smile", *BOTH), CONDITIONS).line() == "smile, of each pair its own: +1"


@pytest.mark.parametrize(
    ("edit", "row", "message"),
    [
        ("older", {"sex": "male"}, "no columns age and older_age"),
        ("sex_changed", {"age": "30"}, "no column of the source's gender"),
        ("hat", {"sex": "male"}, "--column hat asks for hat; the student knows gender, age, smile"),
    ],
)
def test_a_column_that_says_nothing_is_refused(edit: str, row: Mapping[str, str], message: str) -> None:
    with pytest.raises(DistillError, match=message):
        changes_of_pairs(pairs(edit, row), CONDITIONS)
