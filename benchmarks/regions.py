"""How much parts of faces change, and the rest: hard crossover, greedy and optimised shares beside each other.

    python benchmarks/regions.py portraits --parts eyes mouth nose hair --people 0 1 2 3 4 5 --out runs/regions

Every person gets the part of every other. Prints for each part the mean change inside and outside of it (of 0..1),
and the same where the shares of each pair are scaled down until all ways change the part as little as the most timid
one. Writes a picture of all results of each part and way.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from side_by_side import machine, print_table, sentence
from torch import Tensor

from distill.editing.pictures import grid_sheet
from distill.editing.region_people import drawn_pictures, sampled
from distill.faces.regions.open import open_regions
from distill.faces.regions.parts import region_masks
from distill.networks.image_distance import open_distance
from distill.pixels import to_uint8, write_png
from distill.stylegan2.generator import Generator
from distill.stylegan2.interpolation.change import RegionChange, region_change
from distill.stylegan2.interpolation.optimise import optimised_shares
from distill.stylegan2.interpolation.pairs import RegionPairs, crossover_shares, greedy_shares, region_pairs
from distill.stylegan2.interpolation.settings import read_settings
from distill.stylegan2.load import load_generator

TIMID = 5.0  # ε of a second greedy choice
HALVINGS = 6  # of the interval in which a scale is looked for


def main() -> int:
    options = parse()
    print(sentence(machine(torch.device("cpu"))), end="\n\n", flush=True)
    generator = load_generator(options.generator, precision="fp32")
    names = [str(seed) for seed in options.people]
    ws = torch.cat([sampled(generator, seed) for seed in options.people])
    pictures = drawn_pictures(generator, ws, names)
    masks = region_masks(open_regions(generator, options.regions), pictures, options.parts)
    count = len(ws)
    person, reference = (
        index.flatten() for index in torch.meshgrid(torch.arange(count), torch.arange(count), indexing="ij")
    )
    other = person != reference
    person, reference = person[other], reference[other]
    for part in options.parts:
        mask = torch.from_numpy(masks[part])
        pairs = region_pairs(generator, ws[person], ws[reference], mask[person], mask[reference])
        shares, seconds = ways(generator, pairs, part, options.set)
        print(f"{part}, {len(pairs)} pairs, optimised in {seconds:.1f} s of processor time each\n")
        print_table(
            (
                "way",
                "inside",
                "outside",
                "to the reference",
                "at equal inside",
                "outside then",
                "to the reference then",
            ),
            table(generator, pairs, shares),
        )
        print(flush=True)
        for way, q in shares.items():
            cells = pictures.images[None].repeat(count, axis=0)
            drawn = to_uint8(pairs.draw(generator, q)).numpy()
            cells[person.numpy(), reference.numpy()] = drawn
            sheet = grid_sheet(
                cells, rows=names, columns=names, heads=pictures.images, sides=pictures.images, tile=96
            )
            write_png(options.out / f"{part}_{way.split(' (')[0]}.png", np.asarray(sheet))
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Parts of faces moved by style channels, in three ways.")
    parser.add_argument("generator")
    parser.add_argument("--parts", nargs="+", default=["eyes", "mouth", "nose", "hair"])
    parser.add_argument("--people", nargs="+", type=int, default=list(range(6)), help="seeds of samples")
    parser.add_argument("--regions", type=Path, help="a file of distill regions")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=NUMBER")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    return options


def ways(
    generator: Generator, pairs: RegionPairs, part: str, changes: list[str]
) -> tuple[dict[str, Tensor], float]:
    """Shares [N, S] by the name of each way, and seconds that the optimisation took for a pair."""
    settings = read_settings(part, changes)
    half = generator.num_ws // 2
    greedy = {
        f"greedy (ε {epsilon:g})": greedy_shares(
            generator,
            pairs.contributions,
            rho=settings.rho,
            epsilon=epsilon,
            first_layer=settings.first_layer,
        )
        for epsilon in (TIMID, settings.epsilon)
    }
    distance = open_distance(None, generator.device)
    start = time.process_time()
    optimised = optimised_shares(generator, pairs, settings, distance=distance).shares
    seconds = (time.process_time() - start) / len(pairs)
    found = {
        "crossover (half)": crossover_shares(generator, half),
        "layers (two from half)": crossover_shares(generator, half, half + 2),
        **greedy,
        "optimised": optimised,
    }
    return {way: shares.expand(len(pairs), -1) for way, shares in found.items()}, seconds


def table(generator: Generator, pairs: RegionPairs, shares: Mapping[str, Tensor]) -> list[list[str]]:
    whole = {way: change(generator, pairs, q) for way, q in shares.items()}
    least = torch.stack([found.inside for found in whole.values()]).amin(dim=0)
    return [
        [way, *numbers(whole[way]), *numbers(change(generator, pairs, scaled(generator, pairs, q, least)))]
        for way, q in shares.items()
    ]


def numbers(found: RegionChange) -> list[str]:
    return [f"{float(values.mean()):.4f}" for values in (found.inside, found.outside, found.to_reference)]


def change(generator: Generator, pairs: RegionPairs, shares: Tensor) -> RegionChange:
    person, reference = (generator.synthesize_styles(s) for s in (pairs.persons, pairs.references))
    return region_change(person, pairs.draw(generator, shares), reference, pairs.masks)


def scaled(generator: Generator, pairs: RegionPairs, shares: Tensor, inside: Tensor) -> Tensor:
    """Scale the shares of each pair down until the part changes by `inside` [N] only."""
    low, high = torch.zeros(len(pairs)), torch.ones(len(pairs))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        over = change(generator, pairs, shares * middle[:, None]).inside > inside
        low, high = torch.where(over, low, middle), torch.where(over, middle, high)
    return shares * high[:, None]


if __name__ == "__main__":
    raise SystemExit(main())
