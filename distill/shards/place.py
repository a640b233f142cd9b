"""The folder that a data set goes to: made, or refused before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distill.errors import DistillError
from distill.files import check_folder
from distill.shards.folder import EMBEDDED_PREFIX, GOAL_FILE, RECIPE_FILE


def check_place(folder: Path) -> bool:
    """Say whether a data set, begun or complete, stands in `folder`.

    Raises DistillError for a place where none can be made: a file, a folder that cannot be written, or one with
    anything else in it.
    """
    check_folder(folder)
    if not folder.exists():
        return False
    if (folder / RECIPE_FILE).exists():
        return True
    ours = (".lock", "..lock", EMBEDDED_PREFIX)
    foreign = sorted(item.name for item in folder.iterdir() if not item.name.startswith(ours))
    foreign = [name for name in foreign if not name.endswith(".tmp") and name != GOAL_FILE]
    if foreign:
        raise DistillError(
            f"{folder} holds {foreign[0]!r} and no {RECIPE_FILE}: it is not a data set of ours;"
            " choose an empty or new folder with --out"
        )
    return False


def refiltered(recipe: Mapping[str, Any]) -> Mapping[str, str] | None:
    """Return how `distill refilter` made the data set of a recipe: `from` which digest, `where`; None for others."""
    steps = recipe.get("refiltered")
    last = steps[-1] if isinstance(steps, list) and steps else None
    if not isinstance(last, dict) or last.keys() != {"from", "where"}:
        return None
    return {name: str(value) for name, value in last.items()}
