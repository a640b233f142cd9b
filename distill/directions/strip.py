"""A picture of what a direction does: a row for each face, a column for each strength, the score below each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from distill.directions.measure import Curve
from distill.directions.summary import Scale
from distill.directions.unit import Floats
from distill.pixels import to_numpy, to_uint8
from distill.shards.inspect.sheet import (
    FAINT,
    GAP,
    INK,
    MARGIN,
    PAPER,
    ROLES,
    TITLE,
    shown,
    shown_side,
    write_line,
)
from distill.stylegan2.generator import Generator

COLUMNS = tuple(float(k) for k in range(-4, 5))
ROWS = 6
SCORE = 20  # px of height below each picture
UNITS = {"age": " y"}


def spread_rows(score_F: NDArray[Any], rows: int = ROWS) -> NDArray[np.int64]:
    """Choose faces from the lowest to the highest score, evenly spread, each once."""
    order = np.argsort(score_F, kind="stable")
    places = np.linspace(0, len(order) - 1, min(rows, len(order))).round().astype(int)
    return np.asarray(order[places])


def edited(
    generator: Generator, ws_NLD: Tensor, vector_LD: Floats, columns: Sequence[float]
) -> NDArray[np.uint8]:
    """Draw w+ [N, L, D] moved by each strength: uint8 [N, columns, H, W, 3]."""
    vector = torch.from_numpy(vector_LD).float().to(ws_NLD.device)
    drawn = [to_numpy(to_uint8(generator.synthesize(ws_NLD + strength * vector))) for strength in columns]
    return np.stack(drawn, axis=1)


def captions(
    curve: Curve, attribute: str, scale: Scale, rows: NDArray[np.int64], columns: Sequence[float]
) -> list[list[str]]:
    """Write the scores below the pictures: a probability with two digits, a number with its unit."""
    places = [int(np.flatnonzero(curve.strengths == strength)[0]) for strength in columns]
    return [
        [_score(curve.scores[attribute][row, place], attribute, scale) for place in places] for row in rows
    ]


def draw_strip(
    images_NSHWC: NDArray[np.uint8],
    columns: Sequence[float],
    *,
    title: str,
    under: Sequence[Sequence[str]] | None = None,
    note: str = "",
) -> Image.Image:
    """Lay out pictures [N, S, H, W, 3] under their strengths; `under` has a text for each, `note` stands last."""
    side = shown_side(max(images_NSHWC.shape[2:4]))
    line = side + (SCORE if under else 0) + GAP
    head = MARGIN + TITLE + ROLES
    width = 2 * MARGIN + len(columns) * (side + GAP) - GAP
    height = head + len(images_NSHWC) * line + (ROLES if note else 0) + MARGIN
    sheet = Image.new("RGB", (width, height), PAPER)
    pen = ImageDraw.Draw(sheet)
    write_line(pen, (MARGIN, MARGIN), title, width - 2 * MARGIN, size=20)
    for k, strength in enumerate(columns):
        left = MARGIN + k * (side + GAP)
        write_line(
            pen,
            (left, head - ROLES),
            strength_text(strength),
            side,
            size=15,
            ink=INK if not strength else FAINT,
        )
        for row, images in enumerate(images_NSHWC):
            top = head + row * line
            sheet.paste(shown(images[k], side), (left, top))
            if under:
                write_line(pen, (left, top + side + 2), under[row][k], side, size=13, ink=FAINT)
    if note:
        write_line(pen, (MARGIN, height - MARGIN - ROLES // 2), note, width - 2 * MARGIN, size=13, ink=FAINT)
    return sheet


def strength_text(strength: float) -> str:
    return f"{strength:+g}" if strength else "0, as drawn"


def _score(value: float, attribute: str, scale: Scale) -> str:
    if not np.isfinite(value):
        return "no face"
    if scale.probability:
        return f"{value:.2f}"
    return f"{value:.0f}{UNITS.get(attribute, '')}"
