"""Pictures to judge translations by: inputs and output side by side, and many of them on one sheet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from distill.faces.alignment import Pixels
from distill.shards.inspect.sheet import FAINT, INK, lines_of, text_font, wrapped, write_line

GAP = 4  # px between the tiles of one row
TILE = 128  # px: side of a tile on the sheet
MOST = 120  # rows on a sheet; the first ones
WIDTH = 1600  # px a sheet may be wide
MARGIN, GUTTER, HEAD, CAPTION = 20, 24, 24, 26  # px around the sheet, between rows, of texts
TEXT, SMALLEST_TEXT, LINE = 13, 8, 16  # px, height of the letters, and from line to line
LABEL = 20  # px above a labelled row
PAPER = (255, 255, 255)


def side_by_side(tiles: Sequence[Pixels]) -> Pixels:
    """Lay pictures [H, W, 3] of one height out in a row, with white gaps."""
    gap = np.full((tiles[0].shape[0], GAP, 3), 255, dtype=np.uint8)
    row = [part for tile in tiles for part in (gap, tile)]
    return np.concatenate(row[1:], axis=1)


def labelled(tiles: Sequence[Pixels], roles: Sequence[str]) -> Pixels:
    """Lay pictures [H, W, 3] of one size out in a row, each under its role."""
    row = side_by_side(tiles)
    head = Image.new("RGB", (row.shape[1], LABEL), PAPER)
    pen, side = ImageDraw.Draw(head), tiles[0].shape[1]
    for place, role in enumerate(roles):
        size = max(SMALLEST_TEXT, min(TEXT, side // 5))
        write_line(pen, (place * (side + GAP) + 1, 2), role, side, size=size, ink=FAINT)
    return np.concatenate([np.asarray(head), row])


def tiles_of(row: Pixels, count: int) -> list[Pixels]:
    """Cut a row that `labelled` made into its pictures again."""
    side = row.shape[0] - LABEL
    return [row[LABEL:, place * (side + GAP) :][:, :side] for place in range(count)]


class ContactSheet:
    """Collects small copies of the first rows of pictures and draws them on one sheet; `roles` name the tiles.

    As many rows stand beside each other as fit into `width` px.
    """

    def __init__(self, roles: Sequence[str], *, tile: int = TILE, width: int = WIDTH) -> None:
        self.roles, self.tile, self.width = roles, tile, width
        self.count = 0  # rows seen
        self._shown: list[tuple[str, Pixels]] = []

    def add(self, name: str, tiles: Sequence[Pixels]) -> None:
        """Add one row: what stands below, a name or facts with commas between, and tiles of one size, a role each."""
        self.count += 1
        if len(self._shown) < MOST:
            self._shown.append((name, side_by_side([scaled(tile, self.tile) for tile in tiles])))

    def draw(self, note: str = "") -> Pixels:
        """Draw the sheet [H, W, 3], the rows in the order they came, with a note below."""
        left_out = self.count - len(self._shown)
        block = len(self.roles) * (self.tile + GAP) - GAP
        columns = min(max(1, (self.width - 2 * MARGIN + GUTTER) // (block + GUTTER)), len(self._shown))
        width = 2 * MARGIN + columns * (block + GUTTER) - GUTTER
        foot = "; ".join(filter(None, (f"and {left_out} more" if left_out else "", note)))
        below = lines_of([foot], width - 2 * MARGIN, size=TEXT)
        captions = [lines_of(name.split(", "), block, size=TEXT) for name, _ in self._shown]
        most = max(map(len, captions), default=0)
        caption = CAPTION + (most - 1) * LINE if most else GAP
        heads = [wrapped(role, self.tile, size=TEXT) for role in self.roles]
        head = HEAD + (max(map(len, heads)) - 1) * LINE
        lines = -(-len(self._shown) // columns)
        grid = MARGIN + head + lines * (self.tile + caption)
        foot_height = CAPTION + (len(below) - 1) * LINE if below else 0
        sheet = Image.new("RGB", (width, grid + foot_height + MARGIN), PAPER)
        pen = ImageDraw.Draw(sheet)
        for column in range(columns):
            for k, texts in enumerate(heads):
                left = MARGIN + column * (block + GUTTER) + k * (self.tile + GAP)
                _write(pen, (left, MARGIN + head - HEAD - (len(texts) - 1) * LINE), texts, FAINT)
        for place, (_, row) in enumerate(self._shown):
            line, column = divmod(place, columns)
            corner = (MARGIN + column * (block + GUTTER), MARGIN + head + line * (self.tile + caption))
            sheet.paste(Image.fromarray(row), corner)
            _write(pen, (corner[0], corner[1] + self.tile + 3), captions[place], INK)
        _write(pen, (MARGIN, grid + 6), below, FAINT)
        return np.asarray(sheet)


def grid_sheet(
    cells: Pixels,
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    heads: Pixels | None = None,
    sides: Pixels | None = None,
    tile: int = TILE,
) -> Pixels:
    """Draw cells [N, M, H, W, 3] as a grid under the names of its columns, with the pictures that made them.

    A column's name that is too long for one line takes several. `heads` [M, H, W, 3] stand above columns, `sides`
    [N, H, W, 3] before the rows; names of rows below their first.
    """
    lines = [list(row) for row in cells]
    names = list(columns)
    if sides is not None:
        lines = [[side, *line] for side, line in zip(sides, lines, strict=True)]
        names = ["", *names]
    titles = list(rows)
    if heads is not None:
        blank = [np.full_like(heads[0], 255)] if sides is not None else []
        lines, titles = [[*blank, *heads], *lines], ["", *titles]
    step = tile + GAP
    captions = [wrapped(name, tile, size=TEXT) for name in names]
    head = HEAD + (max(map(len, captions)) - 1) * LINE
    width, height = 2 * MARGIN + len(names) * step, 2 * MARGIN + head + len(lines) * (tile + CAPTION)
    sheet = Image.new("RGB", (width, height), PAPER)
    pen = ImageDraw.Draw(sheet)
    for place, caption in enumerate(captions):
        top = MARGIN + head - HEAD - (len(caption) - 1) * LINE
        _write(pen, (MARGIN + place * step, top), caption, FAINT)
    for number, (line, title) in enumerate(zip(lines, titles, strict=True)):
        top = MARGIN + head + number * (tile + CAPTION)
        for place, picture in enumerate(line):
            sheet.paste(Image.fromarray(scaled(picture, tile)), (MARGIN + place * step, top))
        write_line(pen, (MARGIN, top + tile + 3), title, width - 2 * MARGIN, size=TEXT)
    return np.asarray(sheet)


def _write(
    pen: ImageDraw.ImageDraw, corner: tuple[int, int], lines: Sequence[str], ink: tuple[int, int, int]
) -> None:
    """Write lines below each other, which fit."""
    for number, text in enumerate(lines):
        pen.text((corner[0], corner[1] + number * LINE), text, fill=ink, font=text_font(TEXT)[0])


def scaled(tile: Pixels, side: int) -> Pixels:
    """Scale a picture to a square of `side` px; an oblong one fills its longer side, with white beside it."""
    longer = max(tile.shape[:2])
    if tile.shape[:2] == (side, side):
        return tile
    smooth = Image.Resampling.BICUBIC if longer < side else Image.Resampling.LANCZOS
    height, width = (max(1, round(part * side / longer)) for part in tile.shape[:2])
    square = Image.new("RGB", (side, side), PAPER)
    square.paste(
        Image.fromarray(tile).resize((width, height), smooth), ((side - width) // 2, (side - height) // 2)
    )
    return np.asarray(square)
