"""The sheet of a student on the way: what goes in, what came out, what should come out."""

from __future__ import annotations

import pytest

from distill.training.pix2pix.samples import column_names, title_of


@pytest.mark.parametrize(
    ("roles", "columns"),
    [
        (("source", "target"), ["source", "output", "target"]),
        (("target", "source"), ["source", "output", "target"]),
        (("drawing", "photo"), ["drawing", "output", "photo (target)"]),
        (("content", "style", "mixed"), ["content", "style", "output", "mixed (target)"]),
    ],
)
def test_a_sheet_is_read_from_source_to_target_whichever_way_the_pairs_are_learnt(
    roles: tuple[str, ...], columns: list[str]
) -> None:
    assert column_names(roles) == columns


def test_the_title_says_where_the_pairs_are_reversed() -> None:
    assert title_of(("source", "target")) == "source to target"
    assert title_of(("target", "source")) == "source to target of reversed pairs"
