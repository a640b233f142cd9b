"""Quantiles in an expression: the number over all rows that takes their place, however rows lie in shards."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from distill.errors import DistillError
from distill.shards.refilter.parse import parse
from distill.shards.refilter.quantile import settle

random = np.random.default_rng(0)
COLUMNS = {
    "scores/ssim": random.uniform(-0.2, 0.9, 25).astype(np.float32),
    "scores/age": random.uniform(20, 60, (25, 5)).astype(np.float32),
    "params/step": np.arange(-3, 22, dtype=np.int16),
    "labels/hole": np.where(np.arange(25) % 5 == 0, np.nan, np.arange(25)).astype(np.float64),
    "labels/none": np.full(25, np.nan, np.float32),
}
SHAPES = {name: column.shape[1:] for name, column in COLUMNS.items()}
EDGES = {"one shard": [0, 25], "five": [0, 5, 10, 15, 20, 25], "uneven": [0, 1, 17, 25]}


def settled(text, edges=(0, 25), columns=COLUMNS):
    tables = (
        ({name: values[first:last] for name, values in columns.items()}, last - first)
        for first, last in itertools.pairwise(edges)
    )
    return settle(parse(text, SHAPES), tables)


@pytest.mark.parametrize("edges", EDGES.values(), ids=EDGES)
def test_the_best_forty_per_cent_however_rows_lie_in_shards(edges):
    expression, (found,) = settled("ssim>=quantile( ssim,0.60 )", edges)
    kept = expression(COLUMNS, 25)
    assert kept.sum() == 10
    assert COLUMNS["scores/ssim"][kept].min() > COLUMNS["scores/ssim"][~kept].max()
    assert (found.text, found.rows, found.missing) == ("quantile(ssim, 0.6)", 25, 0)
    assert found.value == pytest.approx(np.quantile(COLUMNS["scores/ssim"], 0.6), abs=1e-7)


@pytest.mark.parametrize(
    ("text", "written", "kept"),
    [
        ("step >= quantile(step, 0.5)", "step >= 9", 13),
        ("step < quantile(step, 0.25) or step > quantile(step, 0.75)", "step < 3 or step > 15", 12),
        ("step <= quantile(step, 0)", "step <= -3", 1),
        ("step >= quantile(step, 1)", "step >= 21", 1),
        ("step < quantile(step, 0.0625)", "step < -1.5", 2),  # half way between -2 and -1
        ("hole <= quantile(hole, 0.5)", "hole <= 12.5", 10),  # of the rows that have a number
        ("not hole > quantile(hole, 1)", "not hole > 24", 25),
    ],
)
def test_its_number_takes_its_place(text, written, kept):
    expression, _ = settled(text)
    assert str(expression) == written
    assert expression(COLUMNS, 25).sum() == kept
    again = parse(written, SHAPES)
    assert np.array_equal(again(COLUMNS, 25), expression(COLUMNS, 25))


def test_a_row_is_found_again_by_the_number_that_is_written():
    for q in np.arange(25) / 24:  # each row in turn
        expression, _ = settled(f"ssim == quantile(ssim, {q})")
        assert parse(str(expression), SHAPES)(COLUMNS, 25).sum() == 1, str(expression)


def test_of_several_numbers_a_row_one_or_what_they_come_to():
    expression, (found,) = settled("span(age) >= quantile(span(age), 0.8)")
    spans = np.ptp(COLUMNS["scores/age"], axis=1)
    assert set(np.flatnonzero(expression(COLUMNS, 25))) == set(np.argsort(spans)[-5:])
    assert found.text == "quantile(span(age), 0.8)"
    expression, _ = settled("age[4] >= quantile(age[4], 0.8)")
    assert expression(COLUMNS, 25).sum() == 5


def test_rows_without_a_number_are_told():
    _, (found,) = settled("hole < quantile(hole, 0.5)")
    assert str(found) == "quantile(hole, 0.5) is 12.5, over 20 rows (not a number in 5 others)"
    with pytest.raises(DistillError, match=r"quantile\(none, 0.5\) has no value: none of the 25 rows has"):
        settled("none < quantile(none, 0.5)")
