"""Draw one triplet or pair of data sets as a strip each, inputs on the left, the target on the right.

    python -m stylegan_weights.making.task_pictures OUT data/mix:8 data/swap:0

Each argument is a data set and the number of a row; its strip is OUT/NAME.png, NAME that of the data set's folder.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

import distill

SIDE, GAP = 72, 10  # px: of an image, and before the target


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("rows", nargs="+", metavar="FOLDER:ROW")
    chosen = parser.parse_args()
    for text in chosen.rows:
        folder, _, row = text.rpartition(":")
        data = distill.TripletDataset(folder)
        tiles = [np.asarray(data[int(row)][role].permute(1, 2, 0)) for role in data.roles]
        strip = Image.new("RGBA", (len(tiles) * SIDE + GAP, SIDE))
        for place, tile in enumerate(tiles):
            shift = GAP if place == len(tiles) - 1 else 0
            picture = Image.fromarray(tile).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
            strip.paste(picture, (place * SIDE + shift, 0))
        strip.save(chosen.out / f"{Path(folder).name}.png", optimize=True)


if __name__ == "__main__":
    main()
