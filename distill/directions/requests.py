"""What the commands on directions are asked to do."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from distill.devices import Precision
from distill.errors import DistillError

Note = Callable[[str], None]  # takes one line for the user


@dataclass(frozen=True, kw_only=True)
class DrawnFaces:
    """Which generator draws the faces, and how far its w are pulled towards their mean."""

    generator: str
    truncation_psi: float = 0.7
    seed: int = 0
    device: str = "auto"
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        if not math.isfinite(self.truncation_psi) or not 0 <= self.truncation_psi <= 2:
            raise DistillError(f"--truncation-psi {self.truncation_psi}: give a number from 0 to 2")


@dataclass(frozen=True, kw_only=True)
class ScoredFaces:
    """Drawn faces and who reads their scores; `threads` faces are looked for at a time, None: one a core."""

    drawn: DrawnFaces
    scorer: str = "builtin"
    threads: int | None = None


@dataclass(frozen=True, kw_only=True)
class FitRequest:
    """Fit a direction for each attribute to `n` samples, and try it on `faces` others.

    `out` and `work` None: beside each other in `directions/`. `out` as `output_paths` takes it: a "/" at its end
    means a folder. `command`: as the card tells it.
    """

    scored: ScoredFaces
    attributes: Sequence[str]
    n: int
    method: str
    layers: str
    orthogonal_to: Sequence[str]
    confidence: float
    faces: int
    out: str | None
    work: Path | None
    overwrite: bool
    command: str


@dataclass(frozen=True, kw_only=True)
class ImportRequest:
    """Read a published direction, turn and scale it by `faces` drawn faces."""

    scored: ScoredFaces
    file: Path
    attribute: str
    layers: str
    faces: int
    out: str | None
    overwrite: bool
    command: str


@dataclass(frozen=True, kw_only=True)
class SefaRequest:
    """Factorise the style layers into `count` directions, written into the folder `out`."""

    drawn: DrawnFaces
    count: int
    layers: str
    out: Path
    overwrite: bool
