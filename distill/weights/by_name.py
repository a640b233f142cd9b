"""Students and encoders by name: those of the table, which the package comes with."""

from __future__ import annotations

import difflib
import os
from os import PathLike
from pathlib import Path

from distill.errors import DistillError
from distill.files import path_text, user_path
from distill.weights.registry import (
    WeightsKind,
    entry_of_kind,
    resolve_entry,
    weights_entries,
    weights_folder,
)


def path_by_name(source: str | PathLike[str], kind: WeightsKind) -> Path:
    """Return the file of a name of this kind in the table, or the path that `source` is otherwise.

    A name wins over a file of that name in the working folder: write ./NAME for the file; a Path is never a name.
    Raises DistillError for the name of another kind, a damaged file of the package, and where nothing is.
    """
    if entry := entry_of_kind(source, kind):
        return resolve_entry(entry)
    path = user_path(os.fspath(source))
    if not os.path.lexists(path):
        names = [entry.name for entry in weights_entries(kind)]
        near = difflib.get_close_matches(path.name, names, n=1)
        known = ", ".join(names) or "none"
        hint = f"; did you mean {near[0]}?" if near else ""
        raise DistillError(
            f"{path_text(path)}: no such file, and no {kind} of that name: there are {known}{hint}"
        )
    return path


def ships(path: Path) -> bool:
    """Tell whether a file came with the package."""
    return weights_folder() in path.absolute().parents
