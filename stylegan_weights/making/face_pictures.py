"""Gather FFHQ-aligned photographs of faces, their mirror images, and the landmarks of both.

    python -m stylegan_weights.making.face_pictures FACES data/faces64.npz --side 64

FACES holds `labels.csv` (path, source, split, gender, age) and the photographs. The file gets, of the M rows that are
not of the split `test`, `meta` [M, 5] (those columns), and for the N pictures with a face: `row` [N] (of meta),
`flip` [N] (1: mirrored), `images` uint8 [N, side, side, 3] and `marks` float64 [N, 68, 2] (px of the photograph).
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from distill.faces.decode import read_photo
from distill.faces.detection import FaceDetector
from distill.progress import Progress

META = ("path", "source", "split", "gender", "age")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("faces", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--side", type=int, default=64)
    chosen = parser.parse_args()
    with (chosen.faces / "labels.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] != "test"]
    detector = FaceDetector()
    found: list[tuple[int, int, Any, Any]] = []
    with Progress(len(rows), noun="photograph") as progress:
        for number, row in enumerate(rows):
            photo = read_photo(chosen.faces / row["path"])
            for flip, image in enumerate((photo, np.ascontiguousarray(photo[:, ::-1]))):
                if faces := detector(image):
                    small = Image.fromarray(image).resize(
                        (chosen.side, chosen.side), Image.Resampling.LANCZOS
                    )
                    found.append((number, flip, np.asarray(small), faces[0].landmarks))
            progress.advance(1)
    numbers, flips, images, marks = zip(*found, strict=True)
    np.savez(
        chosen.out,
        row=np.array(numbers),
        flip=np.array(flips),
        images=np.stack(images),
        marks=np.stack(marks),
        meta=np.array([[row[name] for name in META] for row in rows]),
    )
    print(f"{len(found)} of {2 * len(rows)} pictures have a face")


if __name__ == "__main__":
    main()
