"""The scorer that a user names, and what identifies it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distill.attributes import open as scorers
from distill.attributes.protocol import AttributeScorer
from distill.errors import DistillError


def open_scorer(source: str, device: str) -> tuple[AttributeScorer, dict[str, Any]]:
    """Return the scorer for gender and age ("builtin"), or that of a file, and what its scores depend on.

    Raises DistillError for a file that is not there or describes no scorer.
    """
    scorer = scorers.open_scorer(source, device=device)
    return scorer, {"scorer": Path(source).name, "sha256": scorer.sha256}


def check_known(attributes: Sequence[str], scorer: AttributeScorer, *, otherwise: str = "") -> None:
    """Raise DistillError for an attribute that the scorer does not give (`otherwise`: what to do), and for none."""
    if not attributes:
        raise DistillError(f"no attribute is named; known are {', '.join(scorer.names)}")
    for name in attributes:
        if name not in scorer.names:
            raise DistillError(
                f"unknown attribute {name!r}; this scorer knows {', '.join(scorer.names)}{otherwise}"
            )


def told(scorer: AttributeScorer, asked: Sequence[str]) -> list[str]:
    """Return the scores that a report shows: those asked for, and all that belong to no other (age_spread to age)."""
    names = list(scorer.names)
    return [
        name for name in names if name in asked or not any(name.startswith(f"{other}_") for other in names)
    ]
