"""Pictures chosen by a label: what fits, what is not known, and what a wrong wish is told."""

from __future__ import annotations

import numpy as np
import pytest

from distill.errors import DistillError
from distill.shards.images.conditions import parse_condition

LABELS = {
    "gender": np.array(["female", "male", "", "male"]),
    "age": np.array([20.0, 30.0, np.nan, 61.5], np.float32),
    "smile": np.array([1, 0, 0, 1], np.int16),
}


@pytest.mark.parametrize(
    ("text", "fits", "name"),
    [
        ("gender=male", [1, 3], "male"),
        ("smile=1", [0, 3], "smile-1"),
        ("age<30", [0], "age-under-30"),
        ("age <= 30", [0, 1], "age-up-to-30"),
        ("age>30", [3], "age-over-30"),
        ("age>=30", [1, 3], "age-from-30"),
        ("age=61.5", [3], "age-61.5"),
    ],
)
def test_pictures_that_fit_and_the_name_for_them(text: str, fits: list[int], name: str) -> None:
    condition = parse_condition(text)
    assert np.flatnonzero(condition.holds(LABELS, "faces")).tolist() == fits
    assert condition.name == name


def test_what_is_not_known_is_neither() -> None:
    for text in ("gender=male", "age<30"):
        assert parse_condition(text).known(LABELS, "faces").tolist() == [True, True, False, True]
    assert parse_condition("smile=0").known(LABELS, "faces").all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sex=male", "faces has no label 'sex'; its labels are gender, age, smile"),
        (
            "gender=man",
            r"no picture of faces has gender=man; gender is male \(2\), female \(1\), unknown \(1\)",
        ),
        ("age>90", r"no picture of faces has age>90; age is from 20 to 61.5"),
        ("age=old", "the label 'age' of faces holds numbers; from 20 to 61.5"),
        ("gender<3", "the label 'gender' of faces holds words"),
    ],
)
def test_what_no_picture_has_is_told_with_what_there_is(text: str, message: str) -> None:
    with pytest.raises(DistillError, match=message):
        parse_condition(text).holds(LABELS, "faces")


def test_a_set_without_labels_says_how_to_get_them() -> None:
    with pytest.raises(
        DistillError, match=r"faces has no labels for gender=male: .* prepare-images --labels"
    ):
        parse_condition("gender=male").holds({}, "faces")


@pytest.mark.parametrize("text", ["gender", "=male", "gender=", "age<old", ""])
def test_other_forms_are_refused(text: str) -> None:
    with pytest.raises(DistillError, match=r"is needed, such as gender=female|comes a number"):
        parse_condition(text)
