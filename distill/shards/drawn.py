"""What the faces of a data set hang on: data sets that say the same here drew the same faces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def drawn_by(recipe: Mapping[str, Any]) -> dict[str, str | int] | None:
    """Return by which generator (its sha256), edit and seed a recipe draws faces; None where it does not tell.

    A latent is drawn from the seed and a stream of random numbers that the edit names, so filters, crossover,
    strength, pairing, resolution and length do not change which faces come.
    """
    generator, edit = recipe.get("generator"), recipe.get("edit")
    if not isinstance(generator, Mapping) or not isinstance(edit, Mapping):
        return None
    sha256, name, seed = generator.get("sha256"), edit.get("name"), recipe.get("seed")
    if not isinstance(sha256, str) or not isinstance(name, str) or not isinstance(seed, int):
        return None
    return {"generator_sha256": sha256, "edit": name, "seed": seed}
