"""What a part that moves takes with it: age, gender and light outside of the part, on `people`.

    python benchmarks/region_drift.py --parts eyes mouth nose hair --people 0 1 2 3 4 5

Every person gets the part of every other. What is compared is the picture outside of the part: inside, the person is
put back. A linear reader of pixels says age and gender; it is fitted to samples, whose w spells the labels of the
renderer exactly, along the directions that come with the package. Light is the mean brightness outside of the part.
Prints mean absolute differences to the person, at the shares as they are and at those of an equal change inside.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from regions import change, scaled, ways
from side_by_side import machine, print_table, sentence
from torch import Tensor
from torch.nn import functional as F

from distill.directions.file import read_direction
from distill.editing.region_people import drawn_pictures, sampled
from distill.faces.regions.open import open_regions
from distill.faces.regions.parts import region_masks
from distill.stylegan2.generator import Generator
from distill.stylegan2.interpolation.pairs import RegionPairs, region_pairs
from distill.stylegan2.load import load_generator
from distill.stylegan2.sampling import CONTENT, sample_z

GENERATOR = "people"
LABELS = {"age": (19.1, "years"), "gender": (37.5, "% of the way")}  # of strength 1, see directions/README.md
SEED, SAMPLES, HELD_OUT, BATCH = 7, 5000, 1000, 100
RIDGE = 1000.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Reader:
    """A linear map from pixels, averaged by two, to a label in its unit; `right`: its correlation where held out."""

    mean: NDArray[np.float64]
    spread: NDArray[np.float64]
    weights: NDArray[np.float64]
    right: float

    def differences(self, before: Tensor, after: Tensor) -> NDArray[np.float64]:
        """Of images [N, 3, H, W]: how much the label differs, [N]."""
        return ((pixels(after) - pixels(before)) / self.spread) @ self.weights


def main() -> int:
    options = parse()
    print(sentence(machine(torch.device("cpu"))), end="\n\n", flush=True)
    generator = load_generator(GENERATOR, precision="fp32")
    readers = fitted(generator)
    for label, reader in readers.items():
        print(f"{label}: correlation {reader.right:.2f} on {HELD_OUT} held-out samples")
    ws = torch.cat([sampled(generator, seed) for seed in options.people])
    pictures = drawn_pictures(generator, ws, list(map(str, options.people)))
    masks = region_masks(open_regions(generator), pictures, options.parts)
    person, reference = (~torch.eye(len(ws), dtype=torch.bool)).nonzero().T
    columns = [*(f"{label}, {unit}" for label, (_, unit) in LABELS.items()), "light, levels of 255"]
    for part in options.parts:
        mask = torch.from_numpy(masks[part])
        pairs = region_pairs(generator, ws[person], ws[reference], mask[person], mask[reference])
        shares, _ = ways(generator, pairs, part, [])
        least = torch.stack([change(generator, pairs, q).inside for q in shares.values()]).amin(dim=0)
        print(f"\n{part}, {len(pairs)} pairs\n")
        rows = [
            [
                "everything from the reference",
                *drifts(generator, pairs, torch.ones(1, 1), readers),
                *["–"] * 3,
            ]
        ]
        for way, q in shares.items():
            equal = drifts(generator, pairs, scaled(generator, pairs, q, least), readers)
            rows.append([way, *drifts(generator, pairs, q, readers), *equal])
        print_table(("way", *columns, *(f"{column}, at equal change inside" for column in columns)), rows)
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Drift of age, gender and light outside a part that moved.")
    parser.add_argument("--parts", nargs="+", default=["eyes", "mouth", "nose", "hair"])
    parser.add_argument("--people", nargs="+", type=int, default=list(range(6)), help="seeds of samples")
    return parser.parse_args()


def fitted(generator: Generator) -> dict[str, Reader]:
    ws, seen = [], []
    for start in range(0, SAMPLES + HELD_OUT, BATCH):
        ids = range(start, start + BATCH)
        z_ND = torch.from_numpy(sample_z(SEED, 0, ids, [CONTENT], generator.z_dim)[:, 0])
        ws.append(generator.map(z_ND, truncation_psi=1.0))
        seen.append(pixels(generator.synthesize(ws[-1])))
    w_ND, x_NP = torch.cat(ws)[:, 0].double().numpy(), np.concatenate(seen)
    mean, spread = x_NP[:SAMPLES].mean(axis=0), x_NP[:SAMPLES].std(axis=0) + 1e-6
    x_NP = (x_NP - mean) / spread
    inner = x_NP[:SAMPLES].T @ x_NP[:SAMPLES] + RIDGE * np.eye(x_NP.shape[1])
    found = {}
    for label, (unit, _) in LABELS.items():
        step = read_direction(f"{GENERATOR}-{label}").vector[0].double().numpy()
        y_N = unit * (w_ND @ step) / (step @ step)
        y_N -= y_N[:SAMPLES].mean()
        weights = np.linalg.solve(inner, x_NP[:SAMPLES].T @ y_N[:SAMPLES])
        right = float(np.corrcoef(x_NP[SAMPLES:] @ weights, y_N[SAMPLES:])[0, 1])
        found[label] = Reader(mean=mean, spread=spread, weights=weights, right=right)
    return found


def pixels(images_NCHW: Tensor) -> NDArray[np.float64]:
    return F.avg_pool2d(images_NCHW.clamp(-1, 1), 2).flatten(1).double().numpy()


def drifts(generator: Generator, pairs: RegionPairs, shares: Tensor, readers: dict[str, Reader]) -> list[str]:
    """Mean absolute differences between the result outside of the part and the person."""
    person, inside = generator.synthesize_styles(pairs.persons), pairs.masks[:, None]
    outside = inside * person + (1 - inside) * pairs.draw(generator, shares)
    read = [f"{np.abs(reader.differences(person, outside)).mean():.1f}" for reader in readers.values()]
    lighter = ((outside - person).mean(dim=1) * 127.5).sum(dim=(1, 2)) / (1 - pairs.masks).sum(dim=(1, 2))
    return [*read, f"{float(lighter.abs().mean()):.1f}"]


if __name__ == "__main__":
    raise SystemExit(main())
