"""Pictures to judge translations by: inputs and output side by side, and many of them on one sheet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from distill.faces.alignment import Pixels
from distill.shards.inspect.sheet import FAINT, write_line

GAP = 4  # px between the tiles of one face
TILE = 128  # px: largest side of a tile on the sheet
MOST = 120  # faces on a sheet; the first ones
WIDTH = 1600  # px a sheet may be wide
MARGIN, GUTTER, HEAD, CAPTION = 20, 24, 24, 26  # px around the sheet, between faces, of texts
TEXT = 13  # px, height of the letters
PAPER = (255, 255, 255)


def side_by_side(tiles: Sequence[Pixels]) -> Pixels:
    """Lay pictures [H, W, 3] of one height out in a row, with white gaps."""
    gap = np.full((tiles[0].shape[0], GAP, 3), 255, dtype=np.uint8)
    row = [part for tile in tiles for part in (gap, tile)]
    return np.concatenate(row[1:], axis=1)


class ContactSheet:
    """Collects small copies of the first faces and draws them on one sheet; `roles` name the tiles of a face."""

    def __init__(self, roles: Sequence[str]) -> None:
        self.roles = roles
        self.count = 0  # faces seen
        self._shown: list[tuple[str, Image.Image]] = []

    def add(self, name: str, tiles: Sequence[Pixels]) -> None:
        """Add one face: its name and square tiles of one size, one for each role."""
        self.count += 1
        if len(self._shown) < MOST:
            row = [Image.fromarray(tile) for tile in tiles]
            row = [
                tile.resize((TILE, TILE), _filter(tile.width)) if tile.width != TILE else tile for tile in row
            ]
            self._shown.append((name, Image.fromarray(side_by_side([np.asarray(tile) for tile in row]))))

    def draw(self) -> Pixels:
        """Draw the sheet [H, W, 3], as many faces in a row as fit, in the order they came."""
        block = len(self.roles) * (TILE + GAP) - GAP
        columns = min(max(1, (WIDTH - 2 * MARGIN + GUTTER) // (block + GUTTER)), len(self._shown))
        lines = -(-len(self._shown) // columns)
        left_out = f"and {self.count - len(self._shown)} more faces" if self.count > len(self._shown) else ""
        width = 2 * MARGIN + columns * (block + GUTTER) - GUTTER
        height = 2 * MARGIN + HEAD + lines * (TILE + CAPTION) + (CAPTION if left_out else 0)
        sheet = Image.new("RGB", (width, height), PAPER)
        pen = ImageDraw.Draw(sheet)
        for column in range(columns):
            for k, role in enumerate(self.roles):
                left = MARGIN + column * (block + GUTTER) + k * (TILE + GAP)
                write_line(pen, (left, MARGIN), role, TILE, size=TEXT, ink=FAINT)
        for place, (name, row) in enumerate(self._shown):
            line, column = divmod(place, columns)
            corner = (MARGIN + column * (block + GUTTER), MARGIN + HEAD + line * (TILE + CAPTION))
            sheet.paste(row, corner)
            write_line(pen, (corner[0], corner[1] + TILE + 3), name, block, size=TEXT)
        write_line(pen, (MARGIN, height - MARGIN - CAPTION + 6), left_out, width, size=TEXT, ink=FAINT)
        return np.asarray(sheet)


def _filter(side: int) -> Image.Resampling:
    return Image.Resampling.BICUBIC if side < TILE else Image.Resampling.LANCZOS
