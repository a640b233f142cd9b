"""Sheets of methods: a long name of a column is legible as a whole."""

from __future__ import annotations

import numpy as np

from distill.editing.pictures import GAP, HEAD, LINE, MARGIN, TEXT, TILE, ContactSheet, grid_sheet
from distill.shards.inspect.sheet import text_font, wrapped


def test_a_long_name_takes_lines_of_the_width_of_its_tile() -> None:
    names = ["gender-swap (ships)", "W+ optimisation", "StarGAN, ten minutes", "a" * 40]
    for name in names:
        lines = wrapped(name, TILE, size=TEXT)
        assert "".join(lines).replace(" ", "") == name.replace(" ", "")
        assert all(text_font(TEXT)[0].getlength(line) <= TILE for line in lines)
    assert wrapped("W+ optimisation", TILE, size=TEXT) == ["W+ optimisation"]
    assert wrapped("gender-swap (ships)", TILE, size=TEXT) == ["gender-swap", "(ships)"]


def test_the_sheet_makes_room_for_the_longest_name() -> None:
    cells = np.zeros((1, 2, TILE, TILE, 3), np.uint8)
    short = grid_sheet(cells, rows=["a"], columns=["input", "student"])
    long = grid_sheet(cells, rows=["a"], columns=["input", "gender-swap (ships)"])
    assert long.shape[0] == short.shape[0] + LINE
    tops = [
        int(np.argmax((sheet[:, MARGIN + 2 * TILE + GAP - 1] == 0).all(axis=-1))) for sheet in (short, long)
    ]
    assert tops == [MARGIN + HEAD, MARGIN + HEAD + LINE]


def test_a_contact_sheet_makes_room_for_all_scores() -> None:
    def sheet(caption: str, role: str = "output", note: str = "") -> np.ndarray:
        drawn = ContactSheet(["source", role])
        drawn.add(caption, [np.full((TILE, TILE, 3), 100, np.uint8)] * 2)
        return drawn.draw(note)

    short = sheet("gender 0.98 → 0.03")
    longer = sheet("gender 0.98 → 0.03, age 35 → 33, id 0.41")
    assert longer.shape[0] == short.shape[0] + LINE
    last = longer[-MARGIN - LINE - 4 : -MARGIN]
    assert (last < 255).any()
    assert sheet("a", role="gender +0.5, age +17.5 years").shape[0] == sheet("a").shape[0] + LINE
    assert sheet("a", note="12 more " * 6).shape[0] == sheet("a", note="12 more").shape[0] + LINE
