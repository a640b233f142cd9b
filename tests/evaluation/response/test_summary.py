"""Slopes, rank correlations and drift of what was asked and what was measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from comparisons import BrightnessJudge

from distill.attributes.judge import Judge
from distill.evaluation.response.judges import ResponseJudges
from distill.evaluation.response.readings import FaceReading, amounts_of, asked_changes, places_of
from distill.evaluation.response.summary import summarise
from distill.evaluation.response.tables import amounts_table
from distill.networks.edits import condition_of

CONDITIONS = (condition_of("gender", "probability", 1.0), condition_of("age", "value", 30.0))
JUDGE = Judge(name="mine", scorer=BrightnessJudge(), hashes=frozenset())
JUDGES = ResponseJudges(by_score={"gender": JUDGE, "age": JUDGE})
Answer = Callable[[np.ndarray], np.ndarray]  # changes [P] that were asked -> changes that are seen


def reading(
    before: Mapping[str, float], answers: Mapping[str, Answer], *, lost: int | None = None
) -> FaceReading:
    changes_PK = asked_changes(CONDITIONS)
    seen = np.arange(len(changes_PK)) != lost
    after = {name: np.where(seen, before[name] + answers[name](changes_PK), np.nan) for name in before}
    return FaceReading(
        photo=Path("a.png"),
        name="a",
        before=before,
        after=after,
        distances=np.where(seen, np.abs(changes_PK[:, 1]) / 100, np.nan),
        seen=seen,
        psnr=30.0,
    )


def test_every_amount_is_asked_once_and_zero_first() -> None:
    changes_PK = asked_changes(CONDITIONS)
    assert changes_PK.shape == (13, 2)
    assert len(np.unique(changes_PK, axis=0)) == 13
    assert not changes_PK[0].any()
    assert changes_PK[places_of(1), 1].tolist() == amounts_of(CONDITIONS[1]) == [-30, -20, -10, 0, 10, 20, 30]
    assert not changes_PK[places_of(1), 0].any()


def test_half_of_what_is_asked_is_a_slope_of_a_half_and_the_rest_is_drift() -> None:
    answers: dict[str, Answer] = {
        "age": lambda asked: 0.5 * asked[:, 1] + 2,  # two years even where nothing is asked
        "gender": lambda asked: 0.001 * asked[:, 1],
    }
    found = summarise([reading({"gender": 0.5, "age": 40.0}, answers)] * 3, CONDITIONS, JUDGES)
    gender, age = found
    assert age.slope == pytest.approx(0.5)
    assert age.spearman == pytest.approx(1)
    assert age.slope_possible is None
    assert age.means[0] == pytest.approx(-13)
    drift = age.drift["gender"]
    assert drift.per_unit == pytest.approx(0.001)
    assert drift.ends == pytest.approx(0.03)
    assert drift.zero == 0
    assert gender.slope == 0
    assert np.isnan(gender.spearman)
    assert gender.drift["age"].zero == pytest.approx(2)
    assert gender.drift["age"].per_unit == 0


def test_a_probability_can_only_change_within_its_bounds() -> None:
    def all_that_can_be(before: float) -> dict[str, Answer]:
        return {
            "gender": lambda asked: np.clip(before + asked[:, 0], 0, 1) - before,
            "age": lambda asked: 0 * asked[:, 1],
        }

    people = [reading({"gender": each, "age": 40.0}, all_that_can_be(each)) for each in (0.0, 1.0)]
    gender = summarise(people, CONDITIONS, JUDGES)[0]
    assert gender.slope_possible == pytest.approx(1)
    assert gender.slope == pytest.approx(0.5, abs=0.01)
    assert gender.possible_means[-1] == pytest.approx(0.5)


def test_what_a_redrawn_face_loses_anyway_is_no_answer_to_what_is_asked() -> None:
    def towards_the_middle(before: float) -> dict[str, Answer]:
        return {
            "gender": lambda asked: 0 * asked[:, 0] + (0.5 - before) / 2,
            "age": lambda asked: asked[:, 1],
        }

    people = [reading({"gender": each, "age": 40.0}, towards_the_middle(each)) for each in (0.0, 1.0)]
    gender = summarise(people, CONDITIONS, JUDGES)[0]
    assert gender.slope_possible == pytest.approx(0, abs=1e-9)


def test_a_picture_without_a_face_counts_in_that_share_alone() -> None:
    answers: dict[str, Answer] = {"age": lambda asked: asked[:, 1], "gender": lambda asked: 0 * asked[:, 0]}
    people = [reading({"gender": 0.5, "age": 40.0}, answers, lost=lost) for lost in (None, places_of(1)[-1])]
    age = summarise(people, CONDITIONS, JUDGES)[1]
    assert age.slope == pytest.approx(1)
    assert age.without_face == [0, 0, 0, 0, 0, 0, 0.5]
    assert age.distance[-1] == pytest.approx(0.3)


def test_what_nobody_reads_and_where_no_face_is_left_is_a_dash() -> None:
    answers: dict[str, Answer] = {"age": lambda asked: asked[:, 1]}
    everywhere = [reading({"age": 40.0}, answers, lost=places_of(1)[0])]
    gender, age = summarise(
        everywhere, CONDITIONS, ResponseJudges(by_score={"age": JUDGE}, unknown=("gender",))
    )
    assert np.isnan(gender.slope)
    assert gender.to_json()["slope"] is None
    assert age.to_json()["by_amount"][0]["measured"] is None
    first = amounts_table(age).splitlines()[2]
    assert [cell.strip() for cell in first.split("|")[2:4]] == ["–", "-20.0"]
