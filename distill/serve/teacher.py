"""A generator to play with: samples by their seeds, moved along directions, and mixed with each other.

N samples, M styles, L w+ layers, D latent width, H = W image side.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from distill.directions.file import Direction
from distill.editing.pictures import grid_sheet
from distill.errors import DistillError
from distill.faces.alignment import Pixels
from distill.pixels import Mark
from distill.serve.editors import direction_sliders, offset_of
from distill.stylegan2 import mixing
from distill.stylegan2.generator import Generator, Noise
from distill.stylegan2.sampling import CONTENT, MAX_SEED, sample_z
from distill.weights.by_name import credit

MOST_PARENTS = 12  # contents, and styles, of a grid
MOST_PSI = 2.0
NUMBER = re.compile(r"\d{1,19}")
SPAN = re.compile(r"(\d{1,19})\s*-\s*(\d{1,19})")


@dataclass(frozen=True, kw_only=True, eq=False)
class TeacherView:
    """A generator by name, with the directions that come for it."""

    name: str
    generator: Generator
    directions: Sequence[Direction]

    @property
    def sliders(self) -> list[str]:
        return [slider.name for slider in direction_sliders(self.directions)]

    @property
    def mark(self) -> Mark:
        """The mark of its pictures, which lie beside each other with names."""
        return Mark(by=f"the generator {credit(self.name, self.generator.sha256)}")

    @property
    def noises(self) -> list[Noise]:
        """What its noise may be; one where noise changes nothing."""
        return ["const", "none", "random"] if self.generator.has_noise else ["none"]

    def sample(
        self, seed: int, psi: float, strengths: Mapping[str, float], noise: Noise = "const"
    ) -> tuple[Pixels, Pixels]:
        """Draw the first content of a data set of this seed, as it is and moved along directions: two [H, W, 3].

        Raises DistillError for what is not a number, and for an unknown direction.
        """
        ws_1LD = self.latents([seed], psi)
        moved_1LD = ws_1LD + offset_of(self.directions, dict(strengths)).to(ws_1LD)
        images = mixing.drawn(self.generator, torch.cat([ws_1LD, moved_1LD]), noise=noise).numpy()
        return images[0], images[1]

    def grid(self, contents: Sequence[int], styles: Sequence[int], psi: float, crossover: int) -> Pixels:
        """Draw each content with each style from layer `crossover` on, as one sheet [H, W, 3]."""
        if not 0 <= crossover <= self.generator.num_ws:
            raise DistillError(f"crossover {crossover}: a layer from 0 to {self.generator.num_ws} is needed")
        ws_NLD, ws_MLD = self.latents(contents, psi), self.latents(styles, psi)
        mixes = mixing.drawn(self.generator, mixing.mixed(ws_NLD, ws_MLD, crossover)).numpy()
        sides, heads = (mixing.drawn(self.generator, ws).numpy() for ws in (ws_NLD, ws_MLD))
        return grid_sheet(
            mixes,
            rows=[f"seed {seed}" for seed in contents],
            columns=[f"seed {seed}" for seed in styles],
            heads=heads,
            sides=sides,
        )

    def latents(self, seeds: Sequence[int], psi: float) -> torch.Tensor:
        """Map the seeds to w+ [N, L, D] at truncation `psi`."""
        if bad := [seed for seed in seeds if not 0 <= seed <= MAX_SEED]:
            raise DistillError(f"seed {bad[0]}: a whole number from 0 to {MAX_SEED} is needed")
        if not 0 <= psi <= MOST_PSI:
            raise DistillError(f"ψ {psi:g}: a number from 0 to {MOST_PSI:g} is needed")
        z_NZ = torch.cat(
            [
                torch.from_numpy(sample_z(seed, 0, [0], [CONTENT], self.generator.z_dim)[:, 0])
                for seed in seeds
            ]
        )
        return self.generator.map(z_NZ, truncation_psi=psi)


def read_seeds(text: str) -> list[int]:
    """Read "0, 3, 8-11" as seeds, of which a grid takes MOST_PARENTS. Raises DistillError."""
    seeds: list[int] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        span = SPAN.fullmatch(part)
        if not span and not NUMBER.fullmatch(part):
            raise DistillError(f"seeds {text[:80]!r}: whole numbers are needed, such as 0, 3, 8-11")
        first, last = (int(end) for end in span.groups()) if span else (int(part), int(part))
        seeds += range(first, min(last, first + MOST_PARENTS) + 1)
    if not 1 <= len(seeds) <= MOST_PARENTS:
        count = "none" if not seeds else f"more than {MOST_PARENTS}"
        raise DistillError(f"seeds {text[:80]!r}: {count}; give 1 to {MOST_PARENTS}, such as 0, 3, 8-11")
    return seeds
