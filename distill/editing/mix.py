"""Own photos mixed in the latent space of a generator: grids, strips between two, sweeps of ψ, and what noise does.

find_latents ─► w+ of contents and styles ─► mixing ─► a picture of each, and sheets
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from distill.editing.own_latents import OpenProgress, OwnLatents, OwnPhotos, find_latents, quiet
from distill.editing.pictures import grid_sheet
from distill.editing.project import generator_mark
from distill.errors import DistillError
from distill.faces.alignment import Pixels
from distill.faces.outputs import SHEET, OutputFolder
from distill.faces.photo_results import SkippedPhoto
from distill.generation.edits.style_mix import parse_crossover
from distill.stylegan2 import mixing
from distill.stylegan2.generator import Generator

STRIP, SWEEP, NOISE = "interpolation", "psi", "noise"
MOST_STEPS = 100
BRIGHTEST = 8.0  # grey levels of spread that are shown as white


@dataclass(frozen=True, kw_only=True)
class MixRequest:
    """Whose shape (`contents`) and whose colours (`styles`, of the same generator and folder).

    Without styles, two contents are content and style, more are each mixed with every other. `interpolate`: this many
    pictures from each content to each style. `psis`: each content at these ψ. `noise`: where noise draws detail.
    """

    contents: OwnPhotos
    styles: tuple[str, ...] = ()
    crossover: str = "half"
    interpolate: int | None = None
    psis: tuple[float, ...] = ()
    noise: bool = False

    def __post_init__(self) -> None:
        """Raise DistillError for numbers that no picture can show."""
        if self.interpolate is not None and not 2 <= self.interpolate <= MOST_STEPS:
            raise DistillError(f"--interpolate {self.interpolate}: give 2 to {MOST_STEPS} pictures")

    @property
    def figures_alone(self) -> bool:
        """Whether what is asked for needs no mix."""
        return self.interpolate is None and bool(self.psis or self.noise)

    def first_layer(self, generator: Generator) -> int:
        """Return the first layer that takes a style's w. Raises DistillError for what this generator cannot do."""
        if self.noise and not generator.has_noise:
            raise DistillError(
                f"--noise: {self.contents.generator} draws without noise, all its noise strengths are 0: leave it out"
            )
        low, high = parse_crossover(self.crossover, generator.num_ws)
        if low != high:
            raise DistillError(f"--crossover {self.crossover}: one layer is needed, such as {low}")
        return low


@dataclass(frozen=True, kw_only=True, eq=False)
class MixResult:
    """What was written, by kind, the layer from which styles rule, and who was skipped."""

    contents: Sequence[str]
    styles: Sequence[str]
    crossover: int
    files: dict[str, list[Path]]
    skipped: Sequence[SkippedPhoto]

    def to_json(self) -> dict[str, Any]:
        return {
            "contents": list(self.contents),
            "styles": list(self.styles),
            "crossover": self.crossover,
            "files": {kind: [str(path) for path in paths] for kind, paths in self.files.items()},
            "skipped": [skip.to_json() for skip in self.skipped],
        }


def read_psis(text: str) -> tuple[float, ...]:
    """Read numbers from 0 to 2 with commas between. Raises DistillError."""
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        found = ()
    if not 1 <= len(found) <= MOST_STEPS or not all(0 <= psi <= 2 for psi in found):
        raise DistillError(f"--psi {text!r}: give numbers from 0 to 2, such as 0,0.5,0.7,1")
    return found


def mix_photos(
    request: MixRequest,
    progress: OpenProgress = quiet,
) -> MixResult:
    """Find all latents, mix, and draw. Raises as `find_latents`, and DistillError for a crossover outside.

    `progress` opens what shows the steps of projecting.
    """
    contents, styles = _parents(request, progress)
    generator = contents.generator
    crossover = request.first_layer(generator)
    files: dict[str, list[Path]] = {}
    with OutputFolder(request.contents.out, "mix", generator_mark(request.contents, generator)) as outputs:
        pairs = {
            (row, column): f"{content}+{style}"
            for row, content in enumerate(contents.names)
            for column, style in enumerate(styles.names)
            if content != style
        }
        check_pairs(list(pairs.values()), contents.names[0], asked=request.figures_alone)
        sheets = [SHEET, *_asked(request)]
        outputs.reserve([*sheets, *pairs.values()])
        pictures = _draw(generator, mixing.mixed(contents.ws, styles.ws, crossover))
        files["mixes"] = [outputs.write(pictures[place], name) for place, name in pairs.items()]
        heads, sides = (_draw(generator, latents.ws) for latents in (styles, contents))
        sheet = grid_sheet(pictures, rows=contents.names, columns=styles.names, heads=heads, sides=sides)
        files["sheets"] = [outputs.write(sheet, SHEET)]
        for name in _asked(request):
            files["sheets"].append(outputs.write(_figure(name, request, contents, styles), name))
    return MixResult(
        contents=contents.names,
        styles=styles.names,
        crossover=crossover,
        files=files,
        skipped=[*contents.skipped, *(() if styles is contents else styles.skipped)],
    )


def check_pairs(names: Sequence[str], first: str, *, asked: bool) -> None:
    """Raise DistillError for no mix at all unless other figures are `asked` for, and for two mixes of one name."""
    if not names and not asked:
        raise DistillError(f"nothing to mix {first} with: name a second photo, or one with --style")
    for number, name in enumerate(names):
        if name in names[:number]:
            raise DistillError(f"two mixes would be {name}.png: give one of these photos another name")


def _parents(request: MixRequest, progress: OpenProgress) -> tuple[OwnLatents, OwnLatents]:
    own = request.contents
    if request.styles:
        first = find_latents(own, progress, request.first_layer)
        return first, find_latents(replace(own, photos=request.styles), progress)
    found = find_latents(own, progress, request.first_layer)
    if len(found.names) != 2:
        return found, found
    parts = [replace(found, names=[name], ws=found.ws[at : at + 1]) for at, name in enumerate(found.names)]
    return parts[0], replace(parts[1], skipped=())


def _asked(request: MixRequest) -> list[str]:
    asked = {STRIP: request.interpolate is not None, SWEEP: bool(request.psis), NOISE: request.noise}
    return [name for name, wanted in asked.items() if wanted]


def _figure(name: str, request: MixRequest, contents: OwnLatents, styles: OwnLatents) -> Pixels:
    generator = contents.generator
    if name == STRIP:
        assert request.interpolate is not None
        ways = [
            (f"{first} → {last}", mixing.between(a, b, request.interpolate))
            for first, a in zip(contents.names, contents.ws, strict=True)
            for last, b in zip(styles.names, styles.ws, strict=True)
            if first != last
        ]
        shares = [f"{100 * step / (request.interpolate - 1):.0f} %" for step in range(request.interpolate)]
        images = _draw(generator, torch.stack([ws for _, ws in ways]))
        return grid_sheet(images, rows=[title for title, _ in ways], columns=shares)
    if name == SWEEP:
        images = _draw(generator, mixing.pulled(contents.ws, generator.w_avg, request.psis))
        return grid_sheet(images, rows=contents.names, columns=[f"ψ {psi:g}" for psi in request.psis])
    plain = _draw(generator, contents.ws)
    spread = [mixing.noise_spread(generator, ws).numpy() for ws in contents.ws]
    shown = (
        np.clip(np.stack(spread) * (255 / BRIGHTEST), 0, 255).astype(np.uint8)[..., None].repeat(3, axis=-1)
    )
    images = np.stack([plain, shown], axis=1)
    return grid_sheet(images, rows=contents.names, columns=["drawn", f"spread, 0 to {BRIGHTEST:g}"])


def _draw(generator: Generator, ws: torch.Tensor) -> Pixels:
    pixels: Pixels = mixing.drawn(generator, ws).numpy()
    return pixels
