"""What `distill compare` is asked for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from distill.devices import Precision
from distill.errors import DistillError
from distill.networks.student import NormStatistics

Alignment = Literal["ffhq", "none"]

COPIED, REAL = "copy the input", "real against real"  # rows that are always there
LONGEST_NAME = 40
LATENT_LIMIT = 48  # photographs that go through a latent space: up to half a minute each
IN_PAGE = 40  # photographs on the A/B page


@dataclass(frozen=True, kw_only=True)
class NamedMethod:
    """A method as it was named: NAME=WHAT."""

    name: str
    what: str


@dataclass(frozen=True, kw_only=True)
class CompareRequest:
    """Which methods, on which photographs (or, with `truth`, true pairs), for which edit.

    `column`: of the pictures with the true edit; what it does is told by `edit`, else by its name.
    `labels` None: the scorer says who has the edit's value. `real` None: the photographs that have it. `size` None:
    the largest of the methods' sizes. `limit`: at most this many photographs on either side, evenly spread.
    `strength` None: the task's.
    """

    photos: Path | None
    edit: str | None
    out: Path
    truth: Path | None = None
    column: str | None = None
    methods: Sequence[NamedMethod] = ()
    labels: Path | None = None
    real: Path | None = None
    align: Alignment = "ffhq"
    size: int | None = None
    limit: int | None = None
    latent_limit: int = LATENT_LIMIT
    in_page: int = IN_PAGE
    strength: float | None = None
    batch: int = 8
    features: str = "auto"
    perceptual: str = "auto"
    scorer: str = "auto"
    seed: int = 0
    device: str = "auto"
    precision: Precision = "auto"
    norm_statistics: NormStatistics = "running"


def parse_methods(texts: Sequence[str]) -> tuple[NamedMethod, ...]:
    """Read NAME=WHAT, each name once. Raises DistillError for another form, and two methods of one name."""
    found: dict[str, NamedMethod] = {}
    for text in texts:
        name, sign, what = (part.strip() for part in text.partition("="))
        if not (name and sign and what):
            raise DistillError(
                f"--method {text[:80]!r}: NAME=WHAT is needed, such as student=gender-swap or inverted=portraits:w+"
            )
        if len(name) > LONGEST_NAME or re.search(r"[\x00-\x1f\x7f|]", name):
            raise DistillError(f"--method {text[:80]!r}: a name has at most {LONGEST_NAME} letters, and no |")
        if name.casefold() in (COPIED, REAL):
            raise DistillError(
                f"--method {text[:80]!r}: a row of that name is in every table: choose another"
            )
        if name.casefold() in found:
            raise DistillError(f"--method {name}: two methods have this name: give each its own")
        found[name.casefold()] = NamedMethod(name=name, what=what)
    return tuple(found.values())
