"""Directions of a teacher of rendered people, read off its latents: nothing is fitted to pictures.

    python -m stylegan_weights.making.people_directions PEOPLE data/people64.npz people.safetensors --out DIR

w spells the labels (`people_codes`), so a step of an attribute is how w differs between people who differ in that
attribute alone: the slopes of a linear regression of w on all attributes at once, over all people.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from distill.directions.file import Direction, write_direction
from distill.directions.strip import COLUMNS, draw_strip, edited
from distill.errors import DistillError
from distill.stylegan2.load import load_generator
from distill.training.pictures import save_png
from stylegan_weights.making.people_codes import read_people, spelled

Floats = NDArray[np.float64]
LONG_HAIR = {"long01", "bob01", "bob02", "braid01", "ponytail01"}
FACE = 4  # seed of the one that is shown
SURE = 5.0  # standard errors that a slope must differ from 0 by, else it is 0


def attributes(rows: list[dict[str, str]]) -> dict[str, tuple[Floats, str]]:
    """Each attribute's values [N], and what one unit of it is."""

    def share(test: Any) -> Floats:
        return np.array([float(test(row)) for row in rows])

    return {
        "gender": (1 - share(lambda row: row["gender"]), "of the way to female"),
        "age": (share(lambda row: row["age"]), "years"),
        "smile": (share(lambda row: row["expr"] in {"smile", "grin"}), "of the way to a smile"),
        "yaw": (share(lambda row: row["yaw"]), "degrees"),
        "african": (share(lambda row: row["eth"] == "african"), "of the way to African"),
        "asian": (share(lambda row: row["eth"] == "asian"), "of the way to Asian"),
        "long-hair": (share(lambda row: row["hair"] in LONG_HAIR), "of the way to long hair"),
    }


def slopes(values: Floats, w: Floats) -> Floats:
    """Return the slopes [K, D] of w [N, D] on attributes [N, K]; those that may be chance are 0."""
    x = np.concatenate([values, np.ones((len(values), 1))], axis=1)
    inverse = np.linalg.inv(x.T @ x)
    found = inverse @ x.T @ w
    rest = np.square(w - x @ found).sum(axis=0) / (len(w) - x.shape[1])
    error = np.sqrt(np.outer(np.diag(inverse), np.maximum(rest, 1e-12)))
    return np.where(np.abs(found) > SURE * error, found, 0.0)[:-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("people", type=Path)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("generator", help="file, or name of a known one")
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    try:
        write_all(chosen.people, chosen.pictures, chosen.generator, chosen.out)
    except DistillError as error:
        raise SystemExit(str(error)) from error


def write_all(people: Path, pictures: Path, source: str, out: Path) -> None:
    stored = np.load(pictures)
    codes, _ = read_people(people, stored)
    with (people / "labels.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    found = attributes([table[number] for number in stored["index"]])
    w = spelled(codes.columns)
    steps = slopes(np.stack([values for values, _ in found.values()], axis=1), w)
    generator = load_generator(source)
    face = generator.map(torch.randn(1, generator.z_dim, generator=torch.Generator().manual_seed(FACE)))
    pictures, texts = [], []
    for (name, (values, unit)), step in zip(found.items(), steps, strict=True):
        length = np.linalg.norm(step)
        spread = float((w @ (step / length)).std())  # of w along the step: what strength 1 is
        vector = torch.zeros(generator.num_ws, generator.w_dim)
        vector[:, : len(step)] = torch.from_numpy(step / length * spread).float()
        facts = {
            "teacher": source,
            "source": (
                f"read off the latents of {len(values)} people, which spell their labels;"
                f" strength 1 is {spread / length:.3g} {unit}"
            ),
            "layers": [0, generator.num_ws - 1],
        }
        direction = Direction(
            name=f"people-{name}",
            attribute=name,
            vector=vector,
            generator_sha256=generator.sha256,
            facts=facts,
        )
        out.mkdir(parents=True, exist_ok=True)
        write_direction(out / f"people-{name}.safetensors", direction)
        pictures.append(edited(generator, face, vector.numpy().astype(np.float64), COLUMNS))
        texts.append([f"{name} {at * spread / length:+.2g}" if at else name for at in COLUMNS])
        moved = int((step != 0).sum())
        print(f"people-{name}: strength 1 is {spread / length:.3g} {unit}; {moved} of {len(step)} numbers")
    sheet = draw_strip(
        np.concatenate(pictures), COLUMNS, title="One face of people along each direction", under=texts
    )
    save_png(out / "people.png", np.asarray(sheet))


if __name__ == "__main__":
    main()
