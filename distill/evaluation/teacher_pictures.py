"""Pictures of a teacher: grids of samples, what truncation does, samples beside their nearest training pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from distill.editing.pictures import ContactSheet
from distill.evaluation.report import draw_samples
from distill.evaluation.teacher import Assessment, AssessmentInputs, TeacherSamples, draw, latents
from distill.evaluation.teacher_measures import NearPair
from distill.evaluation.training_pictures import Pixels, TrainingPictures, averaged

SMALLEST = 64  # px: smaller pictures of a grid are shown enlarged by a whole factor
GAP = 2  # px between the pictures of a grid
GRID = 8  # samples a side
TRUNCATIONS = (0.0, 0.3, 0.5, 0.7, 0.85, 1.0)  # columns
TRUNCATED = 4  # rows


def make_pictures(
    inputs: AssessmentInputs, found: Assessment, samples: TeacherSamples, pictures: TrainingPictures | None
) -> dict[str, Pixels]:
    """Draw pictures by file name; training pictures are shown only where `pictures` is given."""
    images = {"samples.png": grid(samples.at_psi[: GRID * GRID])}
    if inputs.request.truncation_psi != 1:
        images["samples-psi1.png"] = grid(samples.at_one[: GRID * GRID])
    images["truncation.png"] = truncation(inputs)
    if pictures and found.likeness:
        images["nearest.png"] = nearest_pairs(samples.at_psi, pictures, found.likeness.nearest)
    return images


def truncation(inputs: AssessmentInputs) -> Pixels:
    """Draw the first samples, a row each, at several ψ."""
    z_NZ = latents(inputs.generator, inputs.request)[:TRUNCATED]
    # The font has no ψ.
    columns = {f"psi {psi:g}": draw(inputs.generator, z_NZ, psi) for psi in TRUNCATIONS}
    return draw_samples([{name: images[row] for name, images in columns.items()} for row in range(len(z_NZ))])


def grid(images_NHWC: Pixels) -> Pixels:
    """Lay pictures out in rows of GRID on white."""
    factor = max(1, -(-SMALLEST // images_NHWC.shape[1]))
    cells = images_NHWC.repeat(factor, axis=1).repeat(factor, axis=2)
    side = cells.shape[1] + GAP
    sheet = np.full((-(-len(cells) // GRID) * side - GAP, GRID * side - GAP, 3), 255, dtype=np.uint8)
    for place, cell in enumerate(cells):
        top, left = place // GRID * side, place % GRID * side
        sheet[top : top + side - GAP, left : left + side - GAP] = cell
    return sheet


def nearest_pairs(samples_NHWC: Pixels, pictures: TrainingPictures, pairs: Sequence[NearPair]) -> Pixels:
    """Draw each sample beside the training picture whose face is nearest, the distance below."""
    sheet = ContactSheet(["sample", "training picture"])
    samples = averaged(samples_NHWC, pictures.side)
    for pair in pairs:
        picture = pictures.pixels[np.searchsorted(pictures.numbers, pair.picture)]
        shown = picture[:, ::-1] if pair.mirrored else picture
        mirrored = ", mirrored" if pair.mirrored else ""
        sheet.add(f"distance {pair.distance:.2f}{mirrored}", [samples[pair.sample], shown])
    return sheet.draw()
