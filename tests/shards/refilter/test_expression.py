"""The language that chooses rows by their numbers: what it means, what it refuses, and that nothing else gets in."""

from __future__ import annotations

import random

import numpy as np
import pytest

from distill.shards.refilter.parse import DEEPEST, LONGEST, ExpressionError, parse

COLUMNS = {
    "scores/identity": np.asarray([0.1, 0.4, 0.6, np.nan], np.float32),
    "scores/gender": np.asarray(
        [
            [0.05, 0.2, 0.5, 0.8, 0.95],
            [0.4, 0.4, 0.5, 0.6, 0.6],
            [0.9, 0.7, 0.5, 0.2, 0.1],
            [np.nan, 0.1, 0.1, 0.1, 0.1],
        ],
        np.float32,
    ),
    "scores/ssim": np.asarray([0.9, 0.5, 0.25, 0.1], np.float32),
    "scores/one": np.asarray([[1], [2], [3], [4]], np.float32),
    "scores/step": np.asarray([0, 0, 1, 1], np.float32),
    "params/step": np.asarray([-2, -1, 1, 2], np.int16),
    "params/smile": np.asarray([0, 1, 1, 0], np.uint8),
}
SHAPES = {name: column.shape[1:] for name, column in COLUMNS.items()}


def chosen(text: str) -> list[int]:
    return np.flatnonzero(parse(text, SHAPES)(COLUMNS, 4)).tolist()


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("identity < 0.5", [0, 1]),
        ("identity<.5", [0, 1]),
        ("identity <= 0.4", [0, 1]),  # as the float32 that is stored
        ("identity == 0.4", [1]),
        ("identity != 0.4", [0, 2]),  # what is not a number compares as false
        ("not identity < 0.5", [2, 3]),
        ("0.2 < identity < 0.5", [1]),
        ("0.5 > identity > 0.2 > 0.1", [1]),
        ("identity < 0.5 or ssim < 0.2", [0, 1, 3]),
        ("identity < 0.5 and smile == 1 or ssim < 0.2", [1, 3]),
        ("identity < 0.5 and (smile == 1 or ssim < 0.2)", [1]),
        ("not (identity < 0.5 or smile == 1)", [3]),
        ("not not identity < 0.5", [0, 1]),
        ("gender[0] < 0.1 and gender[4] > 0.9", [0]),
        ("gender[0] > gender[4]", [2]),
        ("max(gender) > 0.9 and min(gender) < 0.1", [0]),
        ("span(gender) >= 0.5", [0, 2]),
        ("max(identity, ssim) < 0.61", [1, 2]),
        ("abs(params/step) == 2", [0, 3]),
        ("scores/step == 1", [2, 3]),
        ("params/step > -2", [1, 2, 3]),
        ("one >= 3", [2, 3]),
        ("one[0] >= 3", [2, 3]),
        ("smile < 1e300", [0, 1, 2, 3]),
        ("identity < 1e300", [0, 1, 2]),
        ("1e-3 < identity and 2 > 1", [0, 1, 2]),
    ],
)
def test_what_is_chosen(text, rows):
    assert chosen(text) == rows
    again = parse(str(parse(text, SHAPES)), SHAPES)
    assert np.flatnonzero(again(COLUMNS, 4)).tolist() == rows
    assert str(again) == str(parse(text, SHAPES))


def test_one_text_for_one_meaning():
    texts = (
        "identity<0.50 and ((smile==1) and scores/ssim<1)",
        "identity < .5 and smile == 1.0 and ssim<1",
    )
    assert {str(parse(text, SHAPES)) for text in texts} == {"identity < 0.5 and smile == 1 and ssim < 1"}
    assert str(parse("params/step>-1 and not (smile == 1 or 1 < one[0])", SHAPES)) == (
        "params/step > -1 and not (smile == 1 or 1 < one[0])"
    )


def test_its_terms_and_columns():
    found = parse("identity < 0.5 and (gender[0] < 0.1 or gender[4] < 0.1) and identity > 0", SHAPES)
    assert [str(term) for term in found.terms] == [
        "identity < 0.5",
        "gender[0] < 0.1 or gender[4] < 0.1",
        "identity > 0",
    ]
    assert [(column.name, column.index) for column in found.columns] == [
        ("scores/identity", None),
        ("scores/gender", 0),
        ("scores/gender", 4),
    ]
    assert [str(term) for term in parse("identity < 1 or one < 1", SHAPES).terms] == [
        "identity < 1 or one < 1"
    ]


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("", 1, "the expression ends too early"),
        ("identity <", 11, "the expression ends too early"),
        ("identity < < 0.5", 12, "invalid syntax"),
        ("identity = 0.5", 10, "two numbers are compared with =="),
        ("identity < 0.5 && smile == 1", 17, "write and"),
        ("identity < 0.5 & smile == 1", 12, "join conditions with and, or"),
        ("identity + 1 < 2", 1, "there is no arithmetic"),
        ("identity < 1/0", 12, "there is no arithmetic"),
        ("identity - 0.1 < 2", 1, "there is no arithmetic"),
        ("smile/2 - identity < 2", 1, "there is no arithmetic"),
        ("identity < 0.5 smile", 16, "invalid syntax"),
        ("idenity < 0.5", 1, "did you mean identity?; the columns are gender, identity, one"),
        ("zzz < 0.5", 1, "no column 'zzz'; the columns are"),
        ("scores/smile < 1", 1, "no column 'scores/smile'; did you mean smile?"),
        ("step < 1", 1, "'step' is scores/step and params/step: write one of them"),
        ("gender < 0.5", 1, "gender holds 5 numbers a row: write gender[0] to gender[4], or min, max"),
        ("gender[5] < 0.5", 1, "gender holds 5 numbers a row, [0] to [4]"),
        ("gender[-1] < 0.5", 1, "only names of columns"),
        ("gender[0.5] < 0.5", 1, "only names of columns"),
        ("gender[True] < 0.5", 1, "only names of columns"),
        ("identity[0] < 0.5", 1, "identity is one number a row: leave out [0]"),
        ("identity", 1, "a number is not yet a condition"),
        ("identity < 1 and smile", 18, "a number is not yet a condition"),
        ("not identity", 5, "a number is not yet a condition"),
        ("(identity < 1) < 2", 2, "a condition is not a number"),
        ("1 < 2", 1, "no column is named"),
        ("(identity < 1", 1, "'(' was never closed"),
        ("identity < 1)", 13, "unmatched ')'"),
        ("min(identity) < 1", 1, "min takes a column of several numbers a row, or several numbers, not one"),
        ("min(identity, gender) < 1", 15, "gender holds 5 numbers a row"),
        ("min(identity < 1, 2) < 1", 5, "a condition is not a number"),
        ("min() < identity", 1, "min takes numbers in brackets"),
        ("min(identity, key=1) < 1", 1, "min takes numbers in brackets"),
        ("min(*gender) < 1", 5, "only names of columns"),
        ("abs(identity, 1) < 1", 1, "abs takes one number, not 2"),
        ("sum(gender) < 1", 1, "no function 'sum'; the functions are min, max, span, abs, quantile"),
        (
            "ssim > quantile(ssim)",
            8,
            "quantile takes a column and a part of the rows, as quantile(ssim, 0.6)",
        ),
        ("ssim > quantile(ssim, 40)", 23, "is a number from 0 to 1, not 40"),
        ("ssim > quantile(ssim, -0.1)", 23, "is a number from 0 to 1, not -0.1"),
        ("ssim > quantile(ssim, nan)", 23, "is a number from 0 to 1, not nan"),
        ("ssim > quantile(ssim, True)", 23, "is a number from 0 to 1, not True"),
        ("ssim > quantile(0.6, ssim)", 22, "is a number from 0 to 1, not ssim"),
        ("ssim > quantile(0.6, 0.6)", 17, "a quantile is taken of a column"),
        ("ssim > quantile(quantile(ssim, 1), 0.6)", 17, "a quantile is taken of a column"),
        ("gender[0] > quantile(gender, 0.6)", 22, "gender holds 5 numbers a row: write gender[0] to"),
        ("ssim > quantile(sim, 0.6)", 17, "no column 'sim'; did you mean ssim"),
        ("0.5 < quantile(ssim, 0.6)", 1, "no column is named beside the quantile"),
        ("-identity < 0", 1, "there is no arithmetic"),
        ("identity < 1e999", 12, "1e999 is too large"),
        ("identity < " + "9" * 400, 12, "is too large"),
        ("identity < 'a'", 12, "without quotes"),
        ("identity < True", 12, "without quotes"),
        ("identity < 2j", 12, "only numbers"),
        ("identity is 1", 1, "conditions compare numbers with"),
        ("identity in gender", 1, "conditions compare numbers with"),
        ("identity < 0.5; import os", 15, "invalid syntax"),
        ("__import__('os') < 1", 1, "no function '__import__'"),
        ("(lambda: 1)() < 1", 1, "only names of columns"),
        ("[x for x in gender] < 1", 1, "only names of columns"),
        ("(identity := 1) < 1", 2, "only names of columns"),
        ("f'{identity}' < 1", 1, "only names of columns"),
        ("identity.real < 1", 1, "no column 'identity.real'"),
        ("identity < ½", 12, "invalid"),
        ("é < 1 and ë < 2", 1, "no column 'é'"),
        ("identity < 1 and é < 1 and zzz < 2", 18, "no column 'é'"),
        ("(" * 300 + "identity < 1", 1, ""),
        ("not " * (DEEPEST + 1) + "identity < 1", 4 * DEEPEST + 5, "inside one another"),
    ],
)
def test_what_does_not_parse_is_one_line_with_its_place(text, column, words):
    with pytest.raises(ExpressionError) as caught:
        parse(text, SHAPES)
    line = str(caught.value)
    assert words in line
    assert line.startswith(f"column {column}: ") or text.startswith("((")
    assert "\n" not in line
    assert "^" in line


def test_an_endless_expression_is_refused():
    text = " or ".join(["identity < 1"] * 1000)
    with pytest.raises(ExpressionError, match=f"{len(text)} characters is too long: {LONGEST} are allowed"):
        parse(text, SHAPES)


def test_random_text_raises_nothing_but_its_one_error():
    pieces = [
        *(
            "identity",
            "gender",
            "step",
            "one",
            "scores/one",
            "min",
            "max(",
            "abs",
            "quantile(",
            "and",
            "or",
            "not",
            "nan",
        ),
        *(
            "<",
            "<=",
            "==",
            "!=",
            "=",
            ">",
            "(",
            ")",
            "[",
            "]",
            ",",
            "-",
            "0",
            "1.5",
            ".5",
            "1e9",
            "1e999",
            "5.",
        ),
        *(" ", "  ", "\n", "\x00", "é", "'", '"', "\\", "%", "{", "__class__", "lambda", "٣", "🙂"),
    ]
    text = "not ( gender[0] < 0.1 and min( one[0] , 2 ) >= -1.5 or abs( params/step ) == 1 < identity )"
    valid = text.split()
    dice, parsed = random.Random(0), 0
    for _ in range(4000):
        words = list(valid)
        for _ in range(dice.randrange(4)):
            place = dice.randrange(len(words))
            words[place : place + dice.randrange(3)] = [dice.choice(pieces)] * dice.randrange(2)
        text = dice.choice(("", " ", " ")).join(words)
        try:
            expression = parse(text, SHAPES)
        except ExpressionError:
            pass
        else:
            parsed += 1
            assert expression(COLUMNS, 4).shape == (4,)
    assert parsed > 0
    for _ in range(1000):
        text = "".join(chr(dice.randrange(1, 0x3000)) for _ in range(dice.randrange(40)))
        with pytest.raises(ExpressionError):
            parse(text, SHAPES)
