r"""Rendered people, and the same pictures edited as the teacher `people` edits: pairs whose amounts are exact.

    python -m stylegan_weights.making.people_pairs PEOPLE data/people64.npz --edit gender --out pairs
    distill import pairs --from folders --inputs source --target target --out data/people-gender

The latent of `people` spells the labels, so no scorer is asked: a person moves all the way to the other gender, or
YEARS older. As in `photo_pairs` the edit is the teacher's and the rest the picture's. Only the split `train` is used.
The same command leaves alone what is there.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np

from distill.directions.file import read_direction
from distill.editing.transfer import transferred
from distill.errors import DistillError
from distill.progress import Progress
from distill.stylegan2.load import load_generator
from distill.stylegan2.mixing import drawn, moved
from stylegan_weights.making.people_codes import read_people
from stylegan_weights.making.photo_pairs import keep

YEARS = 25.0
OLDEST = 80.0 - YEARS  # of those who grow older
# what strength 1 of the directions is (directions/README.md)
WAY_TO_FEMALE, YEARS_OF_AGE = 0.375, 19.1


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("people", type=Path)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--edit", choices=("gender", "age"), required=True)
    parser.add_argument("--n", type=int, default=3000)
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    try:
        make_pairs(chosen.people, chosen.pictures, chosen.edit, chosen.n, chosen.out)
    except DistillError as error:
        raise SystemExit(str(error)) from error


def make_pairs(people: Path, pictures: Path, edit: str, n: int, out: Path) -> None:
    stored = np.load(pictures)
    codes, splits = read_people(people, stored)
    with (people / "labels.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    images, rows = stored["images"], [table[number] for number in stored["index"]]
    generator = load_generator("people")
    vector = read_direction(edit, generator="people").vector
    use = [
        at
        for at, (row, split) in enumerate(zip(rows, splits, strict=True))
        if split == "train" and (edit == "gender" or float(row["age"]) <= OLDEST)
    ][:n]
    with Progress(len(use), noun="person") as progress:
        for number in use:
            progress.advance(1)
            name = f"{number:05}.png"
            if (out / "target" / name).exists():
                continue
            rng = np.random.default_rng(number)
            ws = generator.map(codes.latents(np.array([number]), generator.z_dim, rng)).clone()
            male = float(rows[number]["gender"])
            amount = (2 * male - 1) / WAY_TO_FEMALE if edit == "gender" else YEARS / YEARS_OF_AGE
            plain, edited = drawn(generator, moved(ws, vector, [0.0, amount]))[0].numpy()
            target = transferred(images[number], plain, edited, draw=edit == "gender")
            keep({"source": images[number], "target": target}, out, name)


if __name__ == "__main__":
    main()
