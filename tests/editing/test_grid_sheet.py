"""Sheets of methods: a long name of a column is legible as a whole."""

from __future__ import annotations

import numpy as np

from distill.editing.pictures import GAP, HEAD, LINE, MARGIN, TEXT, TILE, grid_sheet
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
