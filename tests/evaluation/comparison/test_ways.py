"""What a student is told for each face: which of its changes, and which translator of a CycleGAN."""

from __future__ import annotations

from pathlib import Path

import pytest
from comparisons import write_cyclegan
from conditioned_students import make_conditioned

from distill.errors import DistillError
from distill.evaluation.comparison.edits import edit_of_column, parse_edit
from distill.evaluation.comparison.ways import YEARS, Told, told_by_way, way_of_domain
from distill.networks.edits import condition_of
from pipelines.ageing import RECIPE as AGEING


@pytest.mark.parametrize(
    ("edit", "name", "way"),
    [
        ("gender=female", "male", -1),
        ("gender=female", "people-Women", 1),
        ("gender=female", "women-and-men", None),
        ("gender=female", "trainA", None),
        ("age=older", "age-under-30", -1),
        ("age=older", "old", 1),
        ("age=older", "male", None),
    ],
)
def test_the_name_of_a_domain_says_which_way_it_lies(edit: str, name: str, way: int | None) -> None:
    assert way_of_domain(parse_edit(edit), name) == way


def test_each_face_gets_the_translator_to_what_it_should_become(tmp_path: Path) -> None:
    run = write_cyclegan(tmp_path / "run", ("men", "women"))
    to_women, to_men = Told(reverse=False), Told(reverse=True)

    def told(edit, reverse=None):
        return told_by_way(str(run), edit, own=None, reverse=reverse)

    both = edit_of_column("sex_changed")
    assert told(both) == {1: to_women, -1: to_men}
    assert told(parse_edit("gender=female")) == {1: to_women}
    assert told(parse_edit("gender=male")) == {-1: to_men}
    assert set(told(both, False).values()) == {to_women}
    assert set(told(both, True).values()) == {to_men}


def test_domains_that_say_nothing_must_be_chosen(tmp_path: Path) -> None:
    run = write_cyclegan(tmp_path / "run", ("a", "b"))
    with pytest.raises(DistillError, match=r"domains b and a do not tell .* makes gender=male: add :a2b or"):
        told_by_way(str(run), parse_edit("gender=male"), own=None, reverse=None)
    with pytest.raises(DistillError, match="makes grin: add :a2b or :b2a"):
        told_by_way(str(run), edit_of_column("grin"), own=None, reverse=None)
    assert told_by_way(str(run), edit_of_column("grin"), own=None, reverse=True) == {0: Told(reverse=True)}


def test_a_student_of_any_strength_is_told_the_word_or_so_many_years(tmp_path: Path) -> None:
    make_conditioned(tmp_path / "run")
    make_conditioned(tmp_path / "short", conditions=(condition_of("age", "value", 15),))

    def told(edit, run: str = "run", own: str | None = None):
        return told_by_way(str(tmp_path / run), edit, own=own, reverse=None)

    assert told(parse_edit("gender=female")) == {1: Told(edit="gender=female")}
    assert told(parse_edit("smile=yes")) == {1: Told(edit="smile=yes")}
    assert told(edit_of_column("sex_changed"))[-1] == Told(edit="gender=male")
    (older,) = told(parse_edit("age=older")).values()
    assert older.edit == "age=+20"
    assert older.note == "told age=+20 years for age=older; RUN:age=+10 asks for another change"
    (younger,) = told(parse_edit("age=younger"), "short").values()
    assert younger.edit == "age=-15"
    assert "the most it was taught (less than 20)" in younger.note
    assert told(parse_edit("age=older"), own="age=+7.5") == {1: Told(edit="age=+7.5")}
    assert AGEING.select.min_gap == YEARS
