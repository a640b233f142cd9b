"""A part of one photograph onto another: by the optimisation, and by a student in one pass.

    python benchmarks/region_student.py PHOTOS --part hair --student runs/hair --count 24 --out sheets

Photograph k gets the part of photograph k + 1. Prints the change inside the part and outside of it against the
photograph (of 0..1), the distance of dlib's descriptors to it, and the time of a pair; for the optimisation the time
to look for both latents too. Writes a picture of all pairs. Regions are those of the projected faces.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from side_by_side import machine, print_table, sentence
from torch import Tensor

from distill.editing.own_latents import OwnPhotos, find_latents
from distill.editing.pictures import grid_sheet
from distill.editing.region_people import drawn_pictures, largest_landmarks
from distill.faces.alignment import Floats, Pixels
from distill.faces.find import find_photos
from distill.faces.identity import SAME_PERSON, describe, descriptor_distances
from distill.faces.photos import cut_largest_face, photo_detector
from distill.faces.regions.open import open_regions
from distill.faces.regions.parts import region_masks
from distill.networks.image_distance import open_distance
from distill.networks.student import Student, load_student
from distill.pixels import to_float, to_numpy, to_uint8, write_png
from distill.stylegan2.generator import Generator
from distill.stylegan2.interpolation.change import region_change
from distill.stylegan2.interpolation.optimise import optimised_shares
from distill.stylegan2.interpolation.pairs import RegionPairs, region_pairs
from distill.stylegan2.interpolation.settings import settings_for

COLUMNS = ("person", "reference", "both projected, optimised", "student")


@dataclass(frozen=True, kw_only=True, eq=False)
class Way:
    """Pictures [N, H, W, 3] of N pairs, and what one took."""

    pictures: Pixels
    time: str


def main() -> int:
    options = parse()
    print(sentence(machine(torch.device("cpu"))), end="\n\n", flush=True)
    files = sorted(find_photos([options.photos], options.out).files)
    start = time.process_time()
    own = OwnPhotos(
        photos=tuple(map(str, files[: options.count])), out=options.out, generator=options.generator
    )
    latents = find_latents(own)
    looked = (time.process_time() - start) / len(latents.names)
    generator, following = latents.generator, torch.arange(len(latents.names)).roll(-1)
    by_stem = {file.stem: file for file in files}
    faces = photographs([by_stem[name] for name in latents.names], generator.resolution)
    drawn = drawn_pictures(generator, latents.ws, latents.names)
    found = region_masks(open_regions(generator, options.regions), drawn, [options.part])
    masks = torch.from_numpy(found[options.part])
    pairs = region_pairs(generator, latents.ws, latents.ws[following], masks, masks[following])
    ways = {
        "the photograph, nothing moved": Way(pictures=faces, time="–"),
        "its projection, nothing moved": Way(pictures=drawn.images, time=f"{looked:.1f} s"),
        "optimised": optimised(generator, pairs, options.part, 2 * looked),
        "student": translated(load_student(options.student), faces, faces[following.numpy()]),
    }
    references = faces[following.numpy()]
    print(f"{options.part}, {len(faces)} pairs of photographs\n")
    print_table(
        (
            "way",
            "inside",
            "outside",
            "to the reference",
            "identity",
            "same person",
            "no face",
            "time of a pair",
        ),
        [
            [name, *measured(way.pictures, faces, references, pairs.masks), way.time]
            for name, way in ways.items()
        ],
    )
    cells = np.stack([faces, references, ways["optimised"].pictures, ways["student"].pictures], axis=1)
    write_png(options.out / f"{options.part}.png", grid_sheet(cells, rows=latents.names, columns=COLUMNS))
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="A part of photographs moved by optimisation and by a student."
    )
    parser.add_argument("photos", type=Path)
    parser.add_argument("--part", required=True)
    parser.add_argument("--student", required=True, help="learnt from distill generate --task region-swap")
    parser.add_argument("--generator", default="portraits")
    parser.add_argument("--regions", type=Path, help="a file of distill regions")
    parser.add_argument("--count", type=int, default=24, help="photographs, the first by name")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    return options


def photographs(files: list[Path], side: int) -> Pixels:
    detector = photo_detector()
    return np.stack([cut_largest_face(file, detector, size=side).pixels for file in files])


def optimised(generator: Generator, pairs: RegionPairs, part: str, before: float) -> Way:
    start = time.process_time()
    distance = open_distance(None, generator.device)
    found = optimised_shares(generator, pairs, settings_for(part), distance=distance)
    pictures = to_numpy(to_uint8(pairs.draw(generator, found.shares)))
    seconds = (time.process_time() - start) / len(pairs)
    return Way(pictures=pictures, time=f"{before:.1f} + {seconds:.1f} s")


def translated(student: Student, persons: Pixels, references: Pixels) -> Way:
    joined = torch.cat([to_float(torch.from_numpy(images)) for images in (persons, references)], dim=1)
    student(joined)
    start = time.process_time()
    pictures = to_numpy(to_uint8(student(joined)))
    milliseconds = 1000 * (time.process_time() - start) / len(persons)
    return Way(pictures=pictures, time=f"{milliseconds:.1f} ms")


def measured(pictures: Pixels, persons: Pixels, references: Pixels, masks_NHW: Tensor) -> list[str]:
    person, result, reference = (
        to_float(torch.from_numpy(images)) for images in (persons, pictures, references)
    )
    change = region_change(person, result, reference, masks_NHW)
    before, after = ([described(image) for image in images] for images in (persons, pictures))
    apart = [
        float(descriptor_distances(one[None], other[None])[0, 0])
        for one, other in zip(before, after, strict=True)
        if one is not None and other is not None
    ]
    same = sum(distance < SAME_PERSON for distance in apart)
    return [
        *(f"{float(values.mean()):.3f}" for values in (change.inside, change.outside, change.to_reference)),
        f"{np.mean(apart):.2f}",
        f"{same} of {len(apart)}",
        str(sum(one is None for one in after)),
    ]


def described(image: Pixels) -> Floats | None:
    landmarks = largest_landmarks(image)
    return None if landmarks is None else describe(image, landmarks)


if __name__ == "__main__":
    raise SystemExit(main())
