"""The picture of regions: samples side by side, all regions laid over them in colours, and each one by itself.

N samples, H W px, S side of a tile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from distill.faces.alignment import Pixels
from distill.faces.regions.parts import FACE, FEATURES, Mask

COLOURS: Mapping[str, tuple[int, int, int]] = {
    "eyes": (250, 210, 40),
    "nose": (60, 180, 75),
    "mouth": (225, 45, 60),
    FACE: (245, 165, 130),
    "hair": (130, 75, 30),
    "background": (90, 150, 235),
    "clothes": (165, 70, 190),
}
TILE, GAP, LABEL, SWATCH, MARGIN = 96, 3, 190, 14, 12  # px
STRENGTH = 0.6  # of the colour that is laid over a picture
AROUND = 0.15  # what stays of a picture outside of a region, on white
INK, FAINT, PAPER = (32, 36, 42), (110, 118, 128), (255, 255, 255)
TITLE_SIZE, TEXT_SIZE, NOTE_SIZE = 18, 14, 12

Row = tuple[str, str, Sequence[Pixels]]  # what it shows, a note, a tile for each sample


def regions_picture(
    title: str,
    images: NDArray[np.uint8],
    *,
    marked: Mapping[str, Mask],
    clustered: Mapping[str, Mask],
    shown: Mapping[str, Mask],
    notes: Mapping[str, str],
) -> Pixels:
    """Draw samples [N, H, W, 3] as columns: as they are, under the regions of landmarks and of clusters, by region.

    Masks [N, H, W] by part: `marked` by the landmarks, `clustered` by the clusters, `shown` for a row of its own,
    with what `notes` say of it.
    """
    rows: list[Row] = [
        ("samples", "", list(images)),
        ("by the landmarks", "", laid_over(images, marked)),
        ("by the clusters", "", laid_over(images, clustered)),
        *((part, notes.get(part, ""), cut_out(images, mask)) for part, mask in shown.items()),
    ]
    return _drawn(title, rows)


def laid_over(images: NDArray[np.uint8], masks: Mapping[str, Mask]) -> list[Pixels]:
    """Lay the colour of each part over the pictures; where a feature lies in the face, that of the feature alone."""
    features = [masks[part] for part in FEATURES if part in masks]
    bare: Mask | int = 1 - np.maximum.reduce(features) if features else 1
    found = images.astype(np.float32)
    for part, mask_NHW in masks.items():
        share = STRENGTH * (mask_NHW * bare if part == FACE else mask_NHW)[..., None]
        found = found * (1 - share) + np.array(COLOURS[part], dtype=np.float32) * share
    return list(_bytes(found))


def cut_out(images: NDArray[np.uint8], mask_NHW: Mask) -> list[Pixels]:
    """Show what lies in a part; what is outside fades to white."""
    share = AROUND + (1 - AROUND) * mask_NHW[..., None]
    return list(_bytes(images * share + 255 * (1 - share)))


def _bytes(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _drawn(title: str, rows: Sequence[Row]) -> Pixels:
    columns, head = len(rows[0][2]), 2 * MARGIN + TITLE_SIZE
    width = MARGIN + LABEL + columns * (TILE + GAP) - GAP + MARGIN
    sheet = Image.new("RGB", (width, head + len(rows) * (TILE + GAP) - GAP + MARGIN), PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((MARGIN, MARGIN), title, fill=INK, font=ImageFont.load_default(TITLE_SIZE))
    for number, (what, note, tiles) in enumerate(rows):
        top = head + number * (TILE + GAP)
        middle = top + TILE // 2
        left = MARGIN
        if what in COLOURS:
            pen.rectangle(
                (left, middle - SWATCH // 2, left + SWATCH, middle + SWATCH // 2), fill=COLOURS[what]
            )
            left += SWATCH + 8
        pen.text((left, middle), what, fill=INK, font=ImageFont.load_default(TEXT_SIZE), anchor="lm")
        pen.text((left, middle + 14), note, fill=FAINT, font=ImageFont.load_default(NOTE_SIZE), anchor="lm")
        for column, tile in enumerate(tiles):
            picture = Image.fromarray(tile).resize((TILE, TILE), Image.Resampling.BICUBIC)
            sheet.paste(picture, (MARGIN + LABEL + column * (TILE + GAP), top))
    return np.asarray(sheet)
