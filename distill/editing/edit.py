"""Own photos moved along a direction in the latent space of a generator: a strip for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from distill.directions.file import read_direction
from distill.editing.own_latents import OpenProgress, OwnPhotos, find_latents, quiet
from distill.editing.pictures import grid_sheet
from distill.editing.project import generator_mark
from distill.errors import DistillError
from distill.faces.outputs import SHEET, OutputFolder
from distill.faces.photo_results import SkippedPhoto
from distill.stylegan2 import mixing
from distill.stylegan2.generator import Generator

MOST_STRENGTHS = 100
FARTHEST = 100.0


@dataclass(frozen=True, kw_only=True)
class EditRequest:
    """Which photos go along which direction (a name or a file), and how far."""

    own: OwnPhotos
    direction: str
    strengths: tuple[float, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class EditResult:
    """What was written, and who was skipped."""

    names: Sequence[str]
    direction: str
    strengths: Sequence[float]
    files: Sequence[Path]
    sheet: Path
    skipped: Sequence[SkippedPhoto]

    def to_json(self) -> dict[str, Any]:
        return {
            "photos": list(self.names),
            "direction": self.direction,
            "strengths": list(self.strengths),
            "files": [str(path) for path in self.files],
            "sheet": str(self.sheet),
            "skipped": [skip.to_json() for skip in self.skipped],
        }


def read_strengths(text: str) -> tuple[float, ...]:
    """Read FROM:TO:COUNT, or numbers with commas between. Raises DistillError."""
    try:
        if ":" in text:
            first, last, count = text.split(":")
            steps = int(count) if int(count) <= MOST_STRENGTHS else 0
            found = tuple(np.linspace(float(first), float(last), steps).round(6).tolist())
        else:
            found = tuple(float(part) for part in text.split(","))
    except ValueError:
        found = ()
    if len(set(map(strength_text, found))) < len(found):
        raise DistillError(f"--strengths {text!r}: two of them are the same to six digits; give fewer")
    if not 1 <= len(found) <= MOST_STRENGTHS or not all(abs(strength) <= FARTHEST for strength in found):
        raise DistillError(
            f"--strengths {text!r}: give FROM:TO:COUNT, such as -3:3:7, or numbers such as -3,0,3; up to"
            f" {MOST_STRENGTHS} of at most {FARTHEST:g}"
        )
    return found


def strength_text(strength: float) -> str:
    """Write a strength as names of pictures and their titles have it."""
    return f"{strength:+g}"


def edit_photos(
    request: EditRequest,
    progress: OpenProgress = quiet,
) -> EditResult:
    """Move each photo's w+ by each strength, and draw. Raises as `find_latents`, and for a misfit direction.

    `progress` opens what shows the steps of projecting.
    """
    own = request.own
    direction = read_direction(request.direction, generator=own.generator)

    def check(generator: Generator) -> None:
        direction.check_fits(
            num_ws=generator.num_ws, w_dim=generator.w_dim, generator_sha256=generator.sha256
        )

    found = find_latents(own, progress, check)
    with OutputFolder(own.out, "edit", generator_mark(own, found.generator)) as outputs:
        names = [
            [f"{name}_{strength_text(strength)}" for strength in request.strengths] for name in found.names
        ]
        outputs.reserve([SHEET, *(name for row in names for name in row)])
        images = mixing.drawn(
            found.generator, mixing.moved(found.ws, direction.vector, request.strengths)
        ).numpy()
        files = [
            outputs.write(images[row, column], name)
            for row, line in enumerate(names)
            for column, name in enumerate(line)
        ]
        titles = [f"{direction.attribute} {strength_text(strength)}" for strength in request.strengths]
        sheet = outputs.write(grid_sheet(images, rows=found.names, columns=titles), SHEET)
    return EditResult(
        names=found.names,
        direction=direction.name,
        strengths=request.strengths,
        files=files,
        sheet=sheet,
        skipped=found.skipped,
    )
