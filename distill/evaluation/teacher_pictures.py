"""Pictures of a teacher: grids of samples, what truncation does, samples beside their nearest training pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from distill.evaluation.teacher import Assessment, Drawn, Plan, TrainingPictures, draw, latents
from distill.evaluation.teacher_measures import NearPair, averaged
from distill.shards.inspect.sheet import FAINT, PAPER, png_bytes
from distill.stylegan2.generator import Generator

Pixels = NDArray[np.uint8]

SMALLEST, LARGER = 64, 128  # px: smaller pictures are shown enlarged by a whole factor
LABEL = 22  # px of height
GAP = 2
GRID = 8  # samples a side
PAIRS = 4  # in a row
TRUNCATIONS = (0.0, 0.3, 0.5, 0.7, 0.85, 1.0)  # columns
TRUNCATED = 4  # rows


def make_pictures(
    found: Assessment, drawn: Drawn, generator: Generator, pictures: TrainingPictures | None
) -> dict[str, bytes]:
    """Return PNGs by file name; training pictures are shown only where `pictures` is given."""
    images = {"samples.png": tiled(drawn.at_psi[: GRID * GRID], GRID)}
    if found.plan.truncation_psi != 1:
        images["samples-psi1.png"] = tiled(drawn.at_one[: GRID * GRID], GRID)
    images["truncation.png"] = truncation(generator, found.plan)
    if pictures and found.likeness:
        images["nearest.png"] = nearest_pairs(drawn.at_psi, pictures, found.likeness.nearest)
    return {name: png_bytes(image) for name, image in images.items()}


def truncation(generator: Generator, plan: Plan) -> Image.Image:
    """Draw the first samples, a row each, at several ψ."""
    z_NZ = latents(generator, plan)[:TRUNCATED]
    columns = [draw(generator, z_NZ, psi) for psi in TRUNCATIONS]
    rows = np.stack(columns, axis=1)  # [samples, ψ, H, W, 3]
    return labelled(
        rows.reshape(-1, *rows.shape[2:]), [f"psi {psi:g}" for psi in TRUNCATIONS]
    )  # the font has no ψ


def tiled(images_NHWC: Pixels, columns: int, *, smallest: int = SMALLEST) -> Image.Image:
    """Lay pictures out in rows of `columns` on white, none shown below `smallest` px."""
    cells = enlarged(images_NHWC, smallest)
    side = cells.shape[1] + GAP
    rows = -(-len(cells) // columns)
    sheet = Image.new("RGB", (columns * side - GAP, rows * side - GAP), PAPER)
    for place, cell in enumerate(cells):
        sheet.paste(Image.fromarray(cell), (place % columns * side, place // columns * side))
    return sheet


def labelled(images_NHWC: Pixels, labels: Sequence[str]) -> Image.Image:
    """Lay pictures out in rows under column labels."""
    picture = tiled(images_NHWC, len(labels), smallest=LARGER)
    sheet = Image.new("RGB", (picture.width, picture.height + LABEL), PAPER)
    sheet.paste(picture, (0, LABEL))
    side = (picture.width + GAP) / len(labels)
    for column, label in enumerate(labels):
        _centred(sheet, label, (column + 0.5) * side, 3)
    return sheet


def nearest_pairs(samples_NHWC: Pixels, pictures: TrainingPictures, pairs: Sequence[NearPair]) -> Image.Image:
    """Draw each sample beside the training picture whose face is nearest, the distance below."""
    samples = averaged(samples_NHWC, pictures.pixels.shape[1])
    blocks = []
    for pair in pairs:
        picture = pictures.pixels[np.searchsorted(pictures.numbers, pair.picture)]
        shown = picture[:, ::-1] if pair.mirrored else picture
        both = tiled(np.stack([samples[pair.sample], shown]), 2, smallest=LARGER)
        block = Image.new("RGB", (both.width, both.height + LABEL), PAPER)
        block.paste(both)
        _centred(block, f"{pair.distance:.2f}", both.width / 2, both.height + 3)
        blocks.append(block)
    width, height = blocks[0].width + 6 * GAP, blocks[0].height + GAP
    sheet = Image.new("RGB", (PAIRS * width - 6 * GAP, -(-len(blocks) // PAIRS) * height), PAPER)
    for place, block in enumerate(blocks):
        sheet.paste(block, (place % PAIRS * width, place // PAIRS * height))
    return sheet


def enlarged(images_NHWC: Pixels, smallest: int) -> Pixels:
    """Repeat the pixels of pictures below `smallest` px."""
    factor = max(1, -(-smallest // images_NHWC.shape[1]))
    return images_NHWC.repeat(factor, axis=1).repeat(factor, axis=2)


def _centred(sheet: Image.Image, text: str, x: float, y: float) -> None:
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    pen.text((x - pen.textlength(text, font=font) / 2, y), text, fill=FAINT, font=font)
