"""Edits as a user writes them, and what an attribute makes of them."""

from __future__ import annotations

import pytest

from distill.errors import DistillError
from distill.networks.edits import EditAttribute, EditTerm, choices_text, parse_edit, wanted_of

GENDER = EditAttribute(label="gender", value="female", values=("female", "male"))
AGE = EditAttribute(label="age", sign=">=", value="50")
HAIR = [
    EditAttribute(label="hair", value=word, values=("black", "blond", "grey")) for word in ("black", "blond")
]
KNOWN = [GENDER, AGE, *HAIR]


def test_an_edit_is_read_as_it_is_written() -> None:
    assert parse_edit("gender=female, age>=50,beard=+0.5") == (
        EditTerm("gender", "=", "female"),
        EditTerm("age", ">=", "50"),
        EditTerm("beard", "=", "+0.5"),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("female", "--edit female: NAME=VALUE is needed"),
        ("gender=", "--edit gender=: NAME=VALUE is needed"),
        ("gender=female,", "--edit gender=female,: NAME=VALUE is needed"),
        ("gender=a,gender=b", "gender is named twice"),
        ("a\nb=1", "NAME=VALUE is needed"),
    ],
)
def test_what_is_no_edit_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(DistillError, match=message) as caught:
        parse_edit(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("gender=female", [True, None, None, None]),
        ("gender=male", [False, None, None, None]),
        ("age>=50", [None, True, None, None]),
        ("age<50", [None, False, None, None]),
        ("age=50", [None, True, None, None]),
        ("age=49.5,gender=male", [False, False, None, None]),
        ("hair=blond", [None, None, False, True]),
        ("hair=grey", [None, None, False, False]),
    ],
)
def test_one_term_decides_all_attributes_of_its_label(text: str, wanted: list[bool | None]) -> None:
    assert wanted_of(KNOWN, parse_edit(text)) == wanted


@pytest.mark.parametrize(
    "text", ["gender=other", "gender>=female", "smile=1", "age>50", "age<40", "age=old", "age=+20"]
)
def test_what_is_not_known_is_refused_and_what_is_known_is_named(text: str) -> None:
    with pytest.raises(DistillError) as caught:
        wanted_of(KNOWN, parse_edit(text))
    assert str(caught.value) == (
        f"--edit {text}: this student does not know it; it knows gender=female, gender=male, age>=50, age<50,"
        " hair=black, hair=blond, hair=grey"
    )


def test_numbers_are_compared_as_numbers() -> None:
    smile = EditAttribute(label="smile", value="1", values=("0", "1"))
    assert wanted_of([smile], parse_edit("smile=1.0")) == [True]
    assert choices_text([smile]) == "smile=0, smile=1"
