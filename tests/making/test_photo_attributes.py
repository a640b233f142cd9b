"""Photographs with several attributes changed: what is asked of each, what of the teacher's edit is taken over."""

from __future__ import annotations

import numpy as np

from distill.shards.collect import Entry
from distill.shards.layout import ACCEPTED
from stylegan_weights.making.photo_attributes import asked, entry, untinted


def test_gender_and_smile_go_where_the_photograph_is_not() -> None:
    smiling_man, serious_woman = np.float32([0.02, 50, 0.9]), np.float32([0.97, 50, 0.1])
    for number in range(20):
        for before, gender, smile in ((smiling_man, 1, -1), (serious_woman, -1, 1)):
            strengths = asked(number, before)
            assert np.sign(strengths[0, 0]) == gender
            assert np.sign(strengths[2, 2]) == smile
            assert (strengths != 0).sum(axis=1).tolist() == [1, 1, 1, 2]
    ages = [asked(number, smiling_man)[1, 1] for number in range(20)]
    assert min(ages) < 0 < max(ages)


def test_a_pale_face_is_left_out_of_an_edit_and_a_wrinkle_is_not() -> None:
    plain = np.full((64, 64, 3), 120, np.uint8)
    pale = plain.copy()
    pale[..., 2] += 40
    pale[30:32, 20:44] -= 60  # a line across the forehead
    taken = untinted(plain, pale).astype(int) - plain
    assert np.abs(taken[:12]).max() <= 6  # of 40
    assert taken[30, 30:34].max() < -40


def test_a_pair_needs_each_asked_change_and_keeps_both_scores() -> None:
    wish, before = np.array([0.0, -3.0, 2.0]), np.float32([0.1, 50, 0.2])

    def made(*changes: float) -> Entry:
        return entry(7, {}, wish, before, before + np.float32(changes))

    kept = made(0, -10, 0.5)
    assert kept.reason == ACCEPTED
    assert kept.columns["params/strength_age"] == -3
    assert np.allclose(kept.columns["scores/age"], [50, 40])
    assert made(0, 10, 0.5).reason == "age.against"
    assert made(0.9, -10, 0.1).reason == "smile.too-little"
