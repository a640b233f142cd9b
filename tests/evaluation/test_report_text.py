"""The words of an evaluation's report."""

from __future__ import annotations

from distill.evaluation.report import milliseconds_text


def test_what_was_timed_by_a_part_is_rounded() -> None:
    assert milliseconds_text(12.345) == "12.35"
    assert milliseconds_text(374_015.71) == "about 370,000"
    assert milliseconds_text(None) == "–"
