"""Cut labelled pictures of rendered people as FFHQ does, and read off them what their labels do not tell.

    python -m stylegan_weights.making.people_pictures PEOPLE data/people64.npz --side 64

PEOPLE holds `labels.csv` (path, split, classes), `labels.npz` (names, values: every number of a person) and the
pictures. The file gets, for the N pictures of the splits `train` and `val` with a face: `index` [N] (the row of the
tables), `images` uint8 [N, side, side, 3], `crops`
float32 [N, 4] (x and y of the crop's centre, the logarithm of its side, its angle: all of the picture's side or
radians) and `colours` float32 [N, 48] (the 4×4 mean colours, from 0 to 1).
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill.faces.alignment import ffhq_quad, warp_quad
from distill.faces.decode import read_photo
from distill.faces.detection import FaceDetector
from distill.progress import Progress

COLOUR_CELLS = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("people", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--side", type=int, default=64)
    chosen = parser.parse_args()
    with (chosen.people / "labels.csv").open(newline="") as file:
        paths = {
            number: chosen.people / row["path"]
            for number, row in enumerate(csv.DictReader(file))
            if row["split"] != "test"
        }
    detector = FaceDetector()
    found: list[tuple[int, Any, Any]] = []
    with Progress(len(paths), noun="picture") as progress:
        for index, path in paths.items():
            image = read_photo(path)
            faces = detector(image)
            if faces:
                quad = ffhq_quad(faces[0].landmarks)
                found.append((index, warp_quad(image, quad, chosen.side), crop_numbers(quad, len(image))))
            progress.advance(1)
    images = np.stack([image for _, image, _ in found])
    np.savez(
        chosen.out,
        index=np.array([index for index, _, _ in found]),
        images=images,
        crops=np.stack([numbers for _, _, numbers in found]).astype(np.float32),
        colours=mean_colours(images),
    )
    print(f"{len(found)} of {len(paths)} pictures have a face")


def crop_numbers(quad: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Return what fixes a square quad [4, 2] in a picture `side` px wide."""
    right = quad[3] - quad[0]
    centre = quad.mean(axis=0) / side
    return np.array([*centre, np.log(np.hypot(*right) / side), np.arctan2(right[1], right[0])])


def mean_colours(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the mean colours of the 4×4 cells of pictures [N, H, H, 3]."""
    cell = images.shape[1] // COLOUR_CELLS
    cells = images.reshape(len(images), COLOUR_CELLS, cell, COLOUR_CELLS, cell, 3)
    means: NDArray[np.float64] = cells.mean(axis=(2, 4)) / 255
    return means.reshape(len(images), -1).astype(np.float32)


if __name__ == "__main__":
    main()
