"""The contact sheet: samples of a data set as one picture, roles side by side."""

from __future__ import annotations

import io
import math
import unicodedata
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from distill.shards.inspect.labels import label_texts
from distill.shards.inspect.survey import Sample

SMALL, LARGE = 128, 256  # px: images are shown no smaller and no larger
MAX_WIDTH = 1700  # px, of the whole sheet where more than one sample stands in a row
GAP, GUTTER, MARGIN = 4, 28, 24  # px between roles, between samples, around the sheet
TITLE, ROLES, LINE = 44, 24, 15  # px of height
LEAST_LINES, MOST_LINES = 2, 4  # below a sample; of one of the facts there
HEADING, TEXT = 20, 13  # px, height of the letters
NARROWEST = 360  # px that a title may make a sheet wide
INK, FAINT, PAPER = (32, 36, 42), (110, 118, 128), (255, 255, 255)


def shown_side(side: int) -> int:
    """Return the side in px at which an image of this side is shown."""
    return min(max(side, SMALL), LARGE)


def shown(image: NDArray[np.uint8], side: int) -> Image.Image:
    """Scale an image [H, W, 3] to fit a square of `side` px: bicubic enlarged, Lanczos reduced."""
    picture = Image.fromarray(image)
    scale = side / max(picture.size)
    if scale == 1:
        return picture
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.BICUBIC if scale > 1 else Image.Resampling.LANCZOS)


def draw_sheet(
    samples: Sequence[Sample], roles: Sequence[str], *, title: str = "", widest: int = MAX_WIDTH
) -> Image.Image:
    """Draw all samples, in columns as wide as a page allows; several roles are named on top, samples below.

    `widest`: of the whole sheet where more than one sample stands in a row, px.
    """
    side = shown_side(max((max(s.images[roles[0]].shape[:2]) for s in samples), default=SMALL))
    room = len(roles) * (side + GAP) - GAP
    below = [caption(sample, room) for sample in samples]
    block = (room, side + 4 + LINE * max(LEAST_LINES, *map(len, below), 0))
    gutter = GUTTER if len(roles) > 1 else 2 * GAP
    columns = max(1, min(len(samples), (widest - 2 * MARGIN + gutter) // (block[0] + gutter)))
    lines = -(-len(samples) // columns)
    width = 2 * MARGIN + columns * (block[0] + gutter) - gutter
    width = max(width, 2 * MARGIN + min(NARROWEST, text_width(title, TEXT)))
    large = text_width(title, HEADING) <= width - 2 * MARGIN
    named = roles if len(roles) > 1 else ()
    head = MARGIN + TITLE + (ROLES if named else 0)
    sheet = Image.new("RGB", (width, head + lines * (block[1] + GAP) + MARGIN), PAPER)
    pen = ImageDraw.Draw(sheet)
    write_line(pen, (MARGIN, MARGIN), title, width - 2 * MARGIN, size=HEADING if large else TEXT)
    for column in range(columns):
        for k, role in enumerate(named):
            left = MARGIN + column * (block[0] + gutter) + k * (side + GAP)
            write_line(pen, (left, head - ROLES), role, side, size=15, ink=FAINT)
    for place, sample in enumerate(samples):
        corner = (
            MARGIN + place % columns * (block[0] + gutter),
            head + place // columns * (block[1] + GAP),
        )
        for k, role in enumerate(roles):
            sheet.paste(shown(sample.images[role], side), (corner[0] + k * (side + GAP), corner[1]))
        for k, text in enumerate(below[place]):
            write_line(pen, (corner[0], corner[1] + side + 2 + LINE * k), text, room, size=TEXT, ink=FAINT)
    return sheet


def caption(sample: Sample, room: int) -> list[str]:
    """Write what stands below a sample, in lines of `room` px: its name and what was done to it, and its labels."""
    if sample.asked:
        asked, measured = list(sample.asked), list(sample.moved)
        asked[0], measured[0] = f"asked: {asked[0]}", f"measured: {measured[0]}"
        parts = [[sample.title], asked, measured]
    else:
        facts = sample.moved or numbers(sample.params)
        parts = [[sample.title, *facts], label_texts(sample.labels, short=True)]
    return [line for some in parts for line in lines_of(some, room, size=TEXT)]


def write_line(
    pen: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    text: str,
    room: int,
    *,
    size: int,
    ink: tuple[int, int, int] = INK,
) -> None:
    """Write one line in DejaVu Sans, cut in the middle where there is no room; "?" for what the font has not."""
    pen.text(corner, shortened(text, room, size=size), fill=ink, font=text_font(size)[0])


def text_width(text: str, size: int) -> int:
    """Return how many px a line of text takes."""
    return math.ceil(text_font(size)[0].getlength(in_font(text)))


def shortened(text: str, room: int, *, size: int) -> str:
    """Return a line of at most `room` px: what is too long, such as a file name, loses its middle."""
    line = whole = in_font(text)
    kept = min(len(whole), room // 2)  # no letter is narrower
    while kept > 0 and text_width(line, size) > room:
        kept -= 1
        line = f"{whole[: kept - kept // 2].rstrip()}…{whole[len(whole) - kept // 2 :].lstrip()}"
    return line


def lines_of(parts: Sequence[str], room: int, *, size: int) -> list[str]:
    """Join parts such as "age 31" with commas into lines of at most `room` px; no line breaks within one that fits.

    One that is longer goes on in the next lines, at its spaces; where that takes too many, or a word is longer, it
    loses its middle. So a name may be cut and a number is not.
    """
    lines = [""]
    for part in map(in_font, parts):
        joined = f"{lines[-1]}, {part}" if lines[-1] else part
        if text_width(joined, size) <= room:
            lines[-1] = joined
            continue
        broken = wrapped(part, room, size=size)
        whole = len(broken) <= MOST_LINES and all(text_width(word, size) <= room for word in part.split())
        lines += broken if whole else [shortened(part, room, size=size)]
    return [line for line in lines if line]


def wrapped(text: str, room: int, *, size: int) -> list[str]:
    """Break a text into lines of at most `room` px of DejaVu Sans: at spaces, and within a word that is longer."""
    font, lines = text_font(size)[0], [""]
    for word in in_font(text).split():
        joined = f"{lines[-1]} {word}".strip()
        if font.getlength(joined) <= room:
            lines[-1] = joined
            continue
        lines += [word] if lines[-1] else []
        lines[-1] = word
        while len(lines[-1]) > 1 and font.getlength(lines[-1]) > room:
            fit = next(
                n for n in range(len(lines[-1]), 0, -1) if n == 1 or font.getlength(lines[-1][:n]) <= room
            )
            lines[-1:] = [lines[-1][:fit], lines[-1][fit:]]
    return lines


def in_font(text: str) -> str:
    """Put "?" for each character that DejaVu Sans has not."""
    known = text_font(13)[1]
    return "".join(c if ord(c) in known else "?" for c in unicodedata.normalize("NFC", text))


@lru_cache(maxsize=8)
def text_font(size: int) -> tuple[ImageFont.FreeTypeFont, frozenset[int]]:
    """Return matplotlib's DejaVu Sans, which has Latin, Greek, Cyrillic and more, and its characters."""
    from matplotlib import get_data_path
    from matplotlib.ft2font import FT2Font

    path = Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    known = frozenset(code for code in FT2Font(str(path)).get_charmap() if chr(code).isprintable())
    return ImageFont.truetype(str(path), size), known


def numbers(values: Mapping[str, Any]) -> list[str]:
    """Write named values of one sample as "name 0.53"; several values stand with slashes between them."""
    return [f"{name} {' / '.join(_number(value) for value in np.ravel(row))}" for name, row in values.items()]


def _number(value: Any) -> str:
    return str(value) if isinstance(value, np.integer) else f"{value:.3f}"


def png_bytes(picture: Image.Image) -> bytes:
    """Encode a picture as PNG."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
