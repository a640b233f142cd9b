"""What an edit does to a score of faces, on numbers known beforehand."""

from __future__ import annotations

import numpy as np
import pytest

from distill.attributes.moves import moves, wanted_ways

NONE = float("nan")


def test_the_share_of_classes_that_flip():
    before, after = np.array([0.1, 0.2, 0.9, 0.6, 0.3, NONE]), np.array([0.95, 0.3, 0.4, 0.05, NONE, 0.9])
    found = moves("gender", "probability", before, after)
    assert found == {
        "gender_flipped": 0.75,
        "gender_flipped_sure": 0.5,
        "gender_flipped_up": 0.5,
        "gender_flipped_down": 1,
    }
    assert set(moves("gender", "probability", before, before).values()) == {0}


def test_years_moved_and_the_wanted_way():
    before, after = np.array([30.0, 40.0, 50.0, NONE]), np.array([45.0, 39.0, 60.0, 80.0])
    assert moves("age", "value", before, after) == {"age_moved": 8}
    assert moves("age", "value", before, after, way=1) == {"age_moved": 8, "age_wanted": pytest.approx(2 / 3)}
    assert moves("age", "value", before, after, way=-1)["age_wanted"] == pytest.approx(1 / 3)


def test_no_face_with_both_scores_is_not_a_number():
    for kind in ("probability", "value"):
        found = moves("x", kind, np.array([NONE]), np.array([0.5]), way=1)
        assert all(np.isnan(value) for value in found.values())


def test_the_way_that_an_edit_should_go():
    assert wanted_ways({"task": "ageing"}) == {"age": 1}
    assert wanted_ways({"task": "rejuvenation"}) == {"age": -1}
    assert wanted_ways({"task": "gender-swap", "select": {"name": "opposite", "attribute": "gender"}}) == {}
    own = {"task": "smiling", "select": {"name": "apart", "attribute": "smile", "source": "higher"}}
    assert wanted_ways(own) == {"smile": -1}
    assert wanted_ways({"task": "ageing", "select": "broken"}) == {"age": 1}
