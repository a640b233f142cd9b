"""Distances between sets, with an interval that holds the truth, and rows in which failures count."""

from __future__ import annotations

import numpy as np
import pytest

from distill.evaluation.comparison.edits import parse_edit
from distill.evaluation.comparison.rows import ComparedRow, summarise
from distill.evaluation.comparison.sets import halves, set_distance
from distill.evaluation.comparison.table import columns_of
from distill.metrics.kernel import kernel_distance


def features(count: int, *, shift: float = 0.0, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 8)) + shift


def test_equal_sources_lie_at_nothing_and_others_beyond_the_interval() -> None:
    same = set_distance(features(80, seed=1), features(60, seed=2))
    other = set_distance(features(80, seed=1, shift=0.7), features(60, seed=2))
    assert same.subset == other.subset == 30
    assert abs(same.value) < same.half_width
    assert other.value - other.half_width > same.value + same.half_width
    assert other.count == 80


def test_the_interval_is_about_as_wide_as_the_distance_varies_from_set_to_set() -> None:
    found = [
        kernel_distance(features(60, seed=2 * k, shift=0.5), features(60, seed=2 * k + 1)) for k in range(40)
    ]
    told = set_distance(features(60, seed=100, shift=0.5), features(60, seed=101)).half_width
    assert told == pytest.approx(1.96 * np.std(found), rel=0.5)


def test_halves_share_nothing() -> None:
    one, two = halves(np.arange(9.0)[:, None])
    assert sorted([*one.ravel(), *two.ravel()]) == list(range(9))
    assert (len(one), len(two)) == (4, 5)


def picture(*, face: bool, identity: float, after: float, age: float) -> dict:
    return {
        "face": face,
        "identity": identity,
        "before": {"gender": 0.1, "age": 40.0},
        "after": {"gender": after, "age": age},
        "to_input": {"l1": 0.1},
    }


def test_a_picture_without_a_face_fails() -> None:
    pictures = [
        picture(face=True, identity=0.4, after=0.9, age=44),
        picture(face=True, identity=0.8, after=0.2, age=34),
        picture(face=False, identity=0.1, after=0.9, age=90),
        picture(face=True, identity=0.5, after=0.7, age=40),
    ]
    kinds = {"gender": "probability", "age": "value"}
    found = summarise(pictures, [1] * 4, parse_edit("gender=female"), kinds)
    assert found["no_face"] == 0.25
    assert found["success"] == 0.5
    assert found["same_person"] == 0.5
    assert found["identity_distance"] == pytest.approx((0.4 + 0.8 + 0.5) / 3)
    assert found["age_moved"] == pytest.approx((4 - 6) / 3)
    assert found["age_drift"] == pytest.approx((4 + 6) / 3)
    assert found["l1_to_input"] == pytest.approx(0.1)
    assert found["gender_flipped"] == pytest.approx(2 / 3)


def test_a_method_without_any_face_has_dashes_where_faces_are_measured() -> None:
    pictures = [picture(face=False, identity=0.1, after=0.9, age=90)]
    kinds = {"gender": "probability", "age": "value"}
    edit = parse_edit("gender=female")
    row = ComparedRow(name="lost", count=1, measures=summarise(pictures, [1], edit, kinds))
    columns = columns_of(edit, kinds, "efficientnet_lite0", "efficientnet_lite0", 1)
    cells = {head: cell(row) for head, cell in columns}
    assert cells["years moved (abs.)"] == cells["identity ↓"] == "–"
    assert cells["no face ↓"] == "100 %"
