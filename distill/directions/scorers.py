"""The scorer that a user names, and what identifies it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distill.attributes import open as scorers
from distill.attributes.builtin import DEFAULT
from distill.attributes.open import BUILTIN
from distill.attributes.protocol import AttributeScorer, main_scores
from distill.errors import DistillError


def open_scorer(
    source: str, attributes: Sequence[str], device: str
) -> tuple[AttributeScorer, dict[str, Any]]:
    """Return a scorer, and what its scores depend on.

    The built-in one gives `attributes` and, to tell what else moves, gender; of gender and age always both. Raises
    DistillError for a file that is not there or describes no scorer.
    """
    if source == BUILTIN:
        beside = DEFAULT if set(attributes) <= set(DEFAULT) else DEFAULT[:1]
        scorer: AttributeScorer = scorers.open_builtin((*beside, *attributes), device)
    else:
        scorer = scorers.open_scorer(source, device=device)
    return scorer, {"scorer": Path(source).name, "sha256": scorer.sha256}


def check_known(attributes: Sequence[str], scorer: AttributeScorer, *, otherwise: str = "") -> None:
    """Raise DistillError for an attribute that the scorer does not give (`otherwise`: what to do), and for none."""
    if not attributes:
        raise DistillError(f"no attribute is named; known are {', '.join(main_scores(scorer))}")
    for name in attributes:
        if name not in scorer.names:
            raise DistillError(
                f"unknown attribute {name!r}; this scorer knows {', '.join(main_scores(scorer))}{otherwise}"
            )


def told(scorer: AttributeScorer, asked: Sequence[str]) -> list[str]:
    """Return the scores that a report shows: those asked for, and all that belong to no other (age_spread to age)."""
    return [name for name in scorer.names if name in (*asked, *main_scores(scorer))]
