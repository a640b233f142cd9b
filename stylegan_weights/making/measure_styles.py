"""How a student of style-mix does on photographs: whether it keeps the person, and takes the style's colours.

    python -m stylegan_weights.making.measure_styles style-mix PHOTOS

Each photograph is the content once, and the style of another one. Printed: the distance of the faces' descriptors,
and how far the mean colour of the picture goes from the content's (0) to the style's (1): one slope over all.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from distill.errors import DistillError
from distill.faces.find import find_photos
from distill.faces.identity import SAME_PERSON, describe
from distill.faces.photos import FaceCut, cut_photos, face_in_cut, photo_detector
from distill.networks.student import load_student
from distill.pixels import to_float, to_numpy, to_uint8
from distill.progress import Progress

BATCH = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("student")
    parser.add_argument("photos", type=Path)
    chosen = parser.parse_args()
    try:
        measure(chosen.student, chosen.photos)
    except DistillError as error:
        raise SystemExit(str(error)) from error


def measure(name: str, photos: Path) -> None:
    student = load_student(name)
    side = student.facts.resolution or 0
    files = find_photos([photos], None).files
    cuts: list[FaceCut] = []
    with Progress(len(files), noun="photo", keep=False) as progress:
        for found in cut_photos(files, photo_detector(), size=side):
            cuts += [cut for cut in found if isinstance(cut, FaceCut)]
            progress.advance(1)
    contents = np.stack([cut.pixels for cut in cuts])
    styles = np.roll(contents, len(contents) // 2, axis=0)
    both = to_float(torch.from_numpy(np.stack([contents, styles], axis=1)).flatten(0, 1))
    pairs = both.reshape(len(contents), -1, side, side)
    outputs = np.concatenate([to_numpy(to_uint8(student(part))) for part in torch.split(pairs, BATCH)])
    landmarks = [face_in_cut(cut, side).landmarks for cut in cuts]
    distances = np.array(
        [
            np.linalg.norm(describe(before, places) - describe(after, places))
            for before, after, places in zip(contents, outputs, landmarks, strict=True)
        ]
    )
    content, style, output = (x.mean(axis=(1, 2)) for x in (contents, styles, outputs))
    moved = ((output - content) * (style - content)).sum() / np.square(style - content).sum()
    print(f"photographs {len(cuts)} of {len(files)}")
    print(f"identity {distances.mean():.3f}, below {SAME_PERSON:g}: {(distances < SAME_PERSON).mean():.1%}")
    print(f"mean colour goes {moved:.2f} of the way to the style's")


if __name__ == "__main__":
    main()
