"""A part of one face onto another: of samples of a generator, and of own photos in its latent space.

find_people ─► shares of the style channels ─► the picture, what changed in it, and q as a file
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from distill.editing.own_latents import OpenProgress, quiet
from distill.editing.pictures import grid_sheet
from distill.editing.project import generator_mark
from distill.editing.region_people import FoundPeople, TwoPeople, find_people
from distill.faces.alignment import Pixels
from distill.faces.outputs import OutputFolder
from distill.files import check_folder
from distill.networks.image_distance import open_distance
from distill.pixels import to_numpy, to_uint8
from distill.stylegan2.interpolation.change import region_change
from distill.stylegan2.interpolation.optimise import optimised_shares
from distill.stylegan2.interpolation.pairs import RegionPairs, region_pairs
from distill.stylegan2.interpolation.settings import read_settings
from distill.stylegan2.interpolation.shares_file import SharesFacts, shares_bytes

DIMMED = 0.3  # what is left of a picture outside its region, on the sheet
COLUMNS = ("person", "its region", "reference", "its region", "result")


@dataclass(frozen=True, kw_only=True)
class RegionRequest:
    """Whose `part` goes onto whom; `changes`: NAME=NUMBER, of `InterpolationSettings`."""

    people: TwoPeople
    part: str
    changes: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class RegionResult:
    """What was written, by kind, and `facts` as they stand in its JSON.

    `change`: see `RegionChange`; beside it stands how far person and reference are apart inside (`before`).
    """

    facts: dict[str, Any]
    change: dict[str, float]
    files: dict[str, Path]

    def to_json(self) -> dict[str, Any]:
        return {**self.facts, "files": {kind: str(path) for kind, path in self.files.items()}}


def move_region(request: RegionRequest, progress: OpenProgress = quiet) -> RegionResult:
    """Move the part of the reference onto the person, and write it to the folder `out`.

    PERSON+REFERENCE_PART.png is the result; `…_mask.png` the region, `…_sheet.png` all pictures, `….json` what
    changed, `….safetensors` q. `progress` opens what shows the steps, of projections and then of the shares. Raises
    DistillError as `find_people`, for settings that cannot be, and where nothing can be written.
    """
    settings = read_settings(request.part, request.changes)
    check_folder(request.people.out)
    found = find_people(request.people, request.part, progress)
    generator = found.generator
    distance = open_distance(None, generator.device)
    pairs = region_pairs(generator, found.ws[:1], found.ws[1:], found.masks[:1], found.masks[1:])
    with OutputFolder(request.people.out, "region", generator_mark(request.people, generator)) as outputs:
        stem = "{}+{}_{}".format(*found.names, request.part)
        outputs.reserve([stem, f"{stem}_mask", f"{stem}_sheet"])
        outputs.reserve_files([f"{stem}.json", f"{stem}.safetensors"])
        with progress(settings.steps) as shown:
            optimised = optimised_shares(generator, pairs, settings, distance=distance, advance=shown.advance)
        result = pairs.draw(generator, optimised.shares)
        picture = to_numpy(to_uint8(result))[0]
        how = SharesFacts(
            part=request.part,
            made_by="optimised",
            person=found.names[0],
            reference=found.names[1],
            settings=settings,
        )
        change = _change(found, pairs, result)
        facts = {
            "generator": request.people.generator,
            "generator_sha256": generator.sha256,
            **how.model_dump(mode="json"),
            "perceptual": distance.name,
            "change": change,
            "losses": {name: float(loss[0]) for name, loss in optimised.losses.items()},
        }
        files = {
            "result": outputs.write(picture, stem),
            "mask": outputs.write(_grey(pairs.masks[0]), f"{stem}_mask"),
            "sheet": outputs.write(_sheet(found, picture, stem), f"{stem}_sheet"),
            "q": outputs.write_file(shares_bytes(optimised.shares[0], how, generator), f"{stem}.safetensors"),
            "facts": outputs.write_file(json.dumps(facts, indent=1).encode(), f"{stem}.json"),
        }
    return RegionResult(facts=facts, change=change, files=files)


def _change(found: FoundPeople, pairs: RegionPairs, result: Tensor) -> dict[str, float]:
    person, reference = (found.generator.synthesize_styles(s) for s in (pairs.persons, pairs.references))
    after = asdict(region_change(person, result, reference, pairs.masks))
    before = region_change(person, person, reference, pairs.masks).to_reference
    return {name: round(float(values[0]), 5) for name, values in {**after, "before": before}.items()}


def _grey(mask_HW: Tensor) -> Pixels:
    pixels: Pixels = (mask_HW * 255).round().to(torch.uint8).cpu().numpy()
    return pixels


def _sheet(found: FoundPeople, picture: Pixels, title: str) -> Pixels:
    """All pictures in a row; beside each of the two people what its region shows."""
    light = DIMMED + (1 - DIMMED) * found.masks.numpy()[..., None]
    lit = (found.images * light).round().astype(np.uint8)
    row = [found.images[0], lit[0], found.images[1], lit[1], picture]
    return grid_sheet(np.stack(row)[None], rows=[title], columns=COLUMNS)
