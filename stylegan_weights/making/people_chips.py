"""Cut the face chips that a scorer sees out of the pictures of rendered people.

    python -m stylegan_weights.making.people_chips PEOPLE data/chips.npz

PEOPLE holds `labels.csv` (path, split, yaw, expr) and the pictures. The file gets, for the N pictures with a face:
`index` [N] (the row of the table), `chips` uint8 [N, 96, 96, 3] (placed by five points as the built-in scorer does,
with more room around, so that training can move and turn them), `landmarks` float32 [N, 68, 2] in px of the picture.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np

from distill.attributes.crops import FIVE_OF_68, Crop
from distill.faces.decode import read_photo
from distill.faces.detection import FaceDetector
from distill.progress import Progress

SIDE, PADDING = 96, 0.9
DETECT_SIZE = 192  # px


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("people", type=Path)
    parser.add_argument("out", type=Path)
    chosen = parser.parse_args()
    with (chosen.people / "labels.csv").open(newline="") as file:
        paths = [chosen.people / row["path"] for row in csv.DictReader(file)]
    detector = FaceDetector(detect_size=DETECT_SIZE)
    crop = Crop(kind="chip", height=SIDE, width=SIDE, padding=PADDING, points=len(FIVE_OF_68))
    index, chips, landmarks = [], [], []
    with Progress(len(paths), noun="picture") as progress:
        for row, path in enumerate(paths):
            image = read_photo(path)
            if faces := detector(image):
                index.append(row)
                chips.append(crop(image, faces[0]))
                landmarks.append(faces[0].landmarks)
            progress.advance(1)
    np.savez(
        chosen.out,
        index=np.array(index),
        chips=np.stack(chips),
        landmarks=np.stack(landmarks).astype(np.float32),
    )
    print(f"{len(index)} of {len(paths)} pictures have a face")


if __name__ == "__main__":
    main()
