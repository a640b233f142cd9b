"""The teacher's edit on a photograph: added, drawn where it is great, and what counts as the change asked for."""

from __future__ import annotations

import numpy as np
import pytest

from distill.editing.transfer import NotKept, asked_change, transferred
from distill.errors import DistillError


def flat(level: int) -> np.ndarray:
    return np.full((64, 64, 3), level, np.uint8)


def test_a_small_difference_is_added_to_the_photograph_and_its_detail_stays():
    photo = np.random.default_rng(0).integers(40, 200, (64, 64, 3), np.uint8)
    target = transferred(photo, flat(100), flat(110), draw=True)
    assert np.array_equal(target, photo + 10)


def test_a_great_difference_is_drawn_only_where_it_is_asked_for():
    photo, edited = flat(200), flat(100)
    edited[:, 32:] = 20
    drawn = transferred(photo, flat(100), edited, draw=True)
    added = transferred(photo, flat(100), edited, draw=False)
    assert (drawn[:, :28] == 200).all()
    assert (drawn[:, 36:] == 20).all()
    assert (added[:, 32:] == 120).all()
    assert (np.diff(drawn[30, :, 0].astype(int)) <= 0).all()  # smooth between


def test_what_leaves_the_range_is_cut():
    assert (transferred(flat(250), flat(100), flat(120), draw=False) == 255).all()


def test_a_probability_goes_to_its_other_side_for_sure():
    change = asked_change("gender", "probability")
    assert (change.strength_of(0.2), change.strength_of(0.8)) == (5, -5)
    assert change.came(0.2, 0.95)
    assert change.came(0.8, 0.05)
    assert not change.came(0.2, 0.8)
    assert not change.came(0.8, 0.95)


def test_one_way_leaves_out_who_is_there_already():
    up, down = (asked_change("smile", "probability", strength=s, one_way=True) for s in (3, -3))
    assert (up.strength_of(0.1), down.strength_of(0.9)) == (3, -3)
    for change, score in ((up, 0.9), (down, 0.1)):
        with pytest.raises(NotKept, match="there already"):
            change.strength_of(score)


def test_a_value_moves_by_the_sign_of_the_strength_and_by_enough():
    older, younger = asked_change("age", "value"), asked_change("age", "value", strength=-4)
    assert older.strength_of(70.0) == 4.5
    assert older.came(40.0, 50.5)
    assert not older.came(40.0, 48.0)
    assert younger.came(40.0, 29.0)
    assert not younger.came(40.0, 51.0)
    assert asked_change("age", "value", least=5.0).came(40.0, 46.0)


def test_what_is_not_as_asked_is_told_by_how_far_it_went_and_what_was_asked():
    gender, younger = asked_change("gender", "probability"), asked_change("age", "value", strength=-4)
    told = gender.short([(0.1, 0.6), (0.9, 0.3), (0.8, 0.2)])  # 0.6, 0.7 and 0.8 of the other side
    assert told == "probability of the side asked for: median 0.10 before, 0.70 after, 0.9 asked"
    assert younger.short([(40, 36), (30, 31), (50, 44)]) == "median change 4, 10 asked"


@pytest.mark.parametrize(
    ("attribute", "kind", "given", "said"),
    [
        ("gender", "probability", {"strength": -4.0}, "--one-way"),
        ("gender", "probability", {"least": 0.3}, "--min-change"),
        ("age", "value", {"one_way": True}, "--one-way"),
        ("age", "value", {"strength": 0.0}, "--strength 0"),
        ("height", "value", {}, "--min-change"),
    ],
)
def test_what_cannot_be_asked(attribute, kind, given, said):
    with pytest.raises(DistillError, match=said):
        asked_change(attribute, kind, **given)
