"""Which edit is asked for, who has its value already, and when it worked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from distill.errors import DistillError
from distill.evaluation.comparison.edits import (
    does_what_is_wanted,
    edit_of_column,
    has_value,
    labelled_value,
    parse_edit,
)
from distill.shards.images.labels import read_labels


@pytest.mark.parametrize(
    ("text", "way"),
    [("gender=female", 1), ("gender=male", -1), ("age=older", 1), ("age = Younger", -1), ("smile=yes", 1)],
)
def test_an_edit_says_which_way_its_score_goes(text: str, way: int) -> None:
    assert parse_edit(text).way == way


@pytest.mark.parametrize(
    ("text", "line"),
    [("female", "ATTRIBUTE=VALUE"), ("gender=old", "female or male"), ("age=30", "older or younger")],
)
def test_an_edit_that_cannot_be_read_is_refused(text: str, line: str) -> None:
    with pytest.raises(DistillError, match=line):
        parse_edit(text)


def test_columns_of_true_pairs_say_what_they_edit() -> None:
    assert (edit_of_column("older").attribute, edit_of_column("older").way) == ("age", 1)
    assert (edit_of_column("sex_changed").attribute, edit_of_column("sex_changed").way) == ("gender", 0)
    assert edit_of_column("grin").attribute is None


def test_the_median_parts_ages_and_the_middle_parts_classes() -> None:
    ages = np.array([20, 30, 40, np.nan])
    assert has_value(parse_edit("age=older"), "value", ages) == [False, False, True, None]
    shares = np.array([0.2, 0.9, np.nan])
    assert has_value(parse_edit("gender=male"), "probability", shares) == [True, False, None]


def test_labels_say_who_has_the_value(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("path,gender,age\na.jpg,male,30\nb.jpg,Female,50\nc.jpg,,40\n")
    table, names = read_labels(tmp_path / "labels.csv"), ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
    assert labelled_value(parse_edit("gender=female"), table, names) == [False, True, None, None]
    assert labelled_value(parse_edit("age=younger"), table, names) == [True, False, True, None]
    with pytest.raises(DistillError, match="no label column 'smile'"):
        labelled_value(parse_edit("smile=yes"), table, names)
    (tmp_path / "labels.csv").write_text("path,gender\na.jpg,w\n")
    with pytest.raises(DistillError, match="gender is 'w'; known are female, male"):
        labelled_value(parse_edit("gender=female"), read_labels(tmp_path / "labels.csv"), names)


def test_an_edit_worked_where_a_class_is_the_wanted_one_and_a_number_moved_the_wanted_way() -> None:
    assert does_what_is_wanted("probability", 0.4, 0.6, 1)
    assert does_what_is_wanted("probability", 0.6, 0.7, 1)
    assert not does_what_is_wanted("probability", 0.4, 0.6, -1)
    assert does_what_is_wanted("value", 30, 31, 1)
    assert not does_what_is_wanted("value", 30, 30, 1)
    assert not does_what_is_wanted("value", 30, float("nan"), 1)
