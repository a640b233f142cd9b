"""How far directions fitted to scores are from the exact ones of `people`, and what else they move.

    distill directions fit --generator people --attribute gender,age --n 6000 --truncation-psi 1 --out fitted
    python -m stylegan_weights.making.compare_directions PEOPLE data/people64.npz fitted

A step of w is read as the labels that it spells (a ridge regression of the labels on w). Printed: the cosine of both
directions, and for each what it moves, in spreads of a label among people, along the way that moves its own by one.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from distill.directions.file import read_direction
from distill.errors import DistillError
from stylegan_weights.making.people_codes import read_people, spelled
from stylegan_weights.making.people_directions import attributes

RIDGE = 10.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("people", type=Path)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("fitted", type=Path)
    chosen = parser.parse_args()
    try:
        compare(chosen.people, chosen.pictures, chosen.fitted)
    except DistillError as error:
        raise SystemExit(str(error)) from error


def compare(people: Path, pictures: Path, fitted: Path) -> None:
    stored = np.load(pictures)
    codes, _ = read_people(people, stored)
    with (people / "labels.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    labels = attributes([table[number] for number in stored["index"]])
    names = list(labels)
    moves = readout(spelled(codes.columns), np.stack([values for values, _ in labels.values()], axis=1))
    for name in ("gender", "age"):
        both = {
            "exact": read_direction(f"people-{name}").vector[0].numpy(),
            "fitted": read_direction(str(fitted / f"people-{name}.safetensors")).vector[0].numpy(),
        }
        one, other = both.values()
        print(f"{name}: cosine {one @ other / np.linalg.norm(one) / np.linalg.norm(other):.2f}")
        for kind, vector in both.items():
            found = vector[: len(moves)] @ moves
            found = found / abs(found[names.index(name)])
            print(f"  {kind:7}", *(f"{what} {value:+.2f}" for what, value in zip(names, found, strict=True)))


def readout(w: NDArray[np.float64], labels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how many spreads of each label [N, K] a step of each number of w [N, D] is: [D, K]."""
    spread = w.std(axis=0) + 1e-9
    x, y = (w - w.mean(axis=0)) / spread, (labels - labels.mean(axis=0)) / labels.std(axis=0)
    found = np.linalg.solve(x.T @ x + RIDGE * np.eye(x.shape[1]), x.T @ y)
    return np.asarray(found / spread[:, None])


if __name__ == "__main__":
    main()
