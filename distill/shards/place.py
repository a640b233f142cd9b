"""The folder that a data set goes to: made, or refused before anything is written."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from distill.errors import DistillError
from distill.shards.folder import RECIPE_FILE


def check_place(folder: Path) -> bool:
    """Say whether a data set, begun or complete, stands in `folder`.

    Raises DistillError for a place where none can be made: a file, a folder that cannot be written, or one with
    anything else in it.
    """
    if not folder.exists():
        parent = next(path for path in folder.absolute().parents if path.exists())
        if not parent.is_dir():
            raise DistillError(f"{folder}: cannot be made, {parent} is a file; choose another --out")
        if not os.access(parent, os.W_OK):
            raise DistillError(f"{folder}: cannot be made, {parent} is not writable; choose another --out")
        return False
    if not folder.is_dir():
        raise DistillError(f"{folder} is a file, not a folder; choose another --out")
    if not os.access(folder, os.W_OK):
        raise DistillError(f"{folder} is not writable; choose another --out")
    if (folder / RECIPE_FILE).exists():
        return True
    foreign = sorted(item.name for item in folder.iterdir() if not item.name.startswith((".lock", "..lock")))
    foreign = [name for name in foreign if not name.endswith(".tmp")]
    if foreign:
        raise DistillError(
            f"{folder} holds {foreign[0]!r} and no {RECIPE_FILE}: it is not a data set of ours;"
            " choose an empty or new folder with --out"
        )
    return False


@contextmanager
def made_folder(folder: Path) -> Iterator[None]:
    """Make the folder; take it away again if nothing came of it."""
    existed = folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        if not existed:
            with suppress(OSError):  # not empty: that is what it is for
                folder.rmdir()


def refiltered(recipe: Mapping[str, Any]) -> Mapping[str, str] | None:
    """Return how `distill refilter` made the data set of a recipe: `from` which digest, `where`; None for others."""
    steps = recipe.get("refiltered")
    last = steps[-1] if isinstance(steps, list) and steps else None
    if not isinstance(last, dict) or last.keys() != {"from", "where"}:
        return None
    return {name: str(value) for name, value in last.items()}
