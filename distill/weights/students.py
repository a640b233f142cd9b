"""Students by name: those of the table, which the package comes with."""

from __future__ import annotations

import difflib
import os
from os import PathLike
from pathlib import Path

from distill.errors import DistillError
from distill.files import path_text, user_path
from distill.weights.registry import entry_of, resolve_entry, weights_entries, weights_folder


def student_path(source: str | PathLike[str]) -> Path:
    """Return the file of a student's name in the table, or the path that `source` is otherwise.

    A name wins over a file of that name in the working folder: write ./NAME for the file; a Path is never a name.
    Raises DistillError for the name of another kind, a damaged file of the package, and where nothing is.
    """
    if entry := entry_of(source):
        if entry.kind != "student":
            raise DistillError(
                f"{entry.name!r} is no student but {entry.kind} ({entry.summary}); the students are {_names()}"
            )
        return resolve_entry(entry)
    path = user_path(os.fspath(source))
    if not os.path.lexists(path):
        near = difflib.get_close_matches(path.name, [entry.name for entry in weights_entries("student")], n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise DistillError(
            f"{path_text(path)}: no such file or run; the students by name are {_names()}{hint}"
        )
    return path


def ships(path: Path) -> bool:
    """Tell whether a file came with the package."""
    return weights_folder() in path.absolute().parents


def _names() -> str:
    return ", ".join(entry.name for entry in weights_entries("student"))
