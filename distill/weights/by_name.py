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
    entry_of,
    entry_of_kind,
    expected_sha256,
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
            f"{path_text(path)}: no such file, and no {kind} of that name; the {kind}s are {known}{hint}"
        )
    return path


def name_of(path: Path) -> str:
    """Return what to call a file: its name in the table where it came with the package, else its path."""
    names = (entry.name for entry in weights_entries("student") if entry.path == path)
    return next(names, path_text(path))


def credit(source: str | PathLike[str], sha256: str) -> str:
    """Say whose a picture is to somebody who has it alone: the name in the table, else a file and its sha256."""
    entries = [*weights_entries("generator"), *weights_entries("student")]
    known = (entry.name for entry in entries if sha256 and expected_sha256(entry) == sha256)
    return next(known, path_text(Path(source).name) + (f" (sha256 {sha256[:12]})" if sha256 else ""))


def encoder_of(generator_sha256: str) -> Path | None:
    """Return the file of the first encoder in the table whose generator has this sha256; None where there is none."""
    for entry in weights_entries("encoder"):
        generator = entry_of(entry.generator or "")
        if generator and expected_sha256(generator) == generator_sha256:
            return resolve_entry(entry)
    return None


def generator_name(sha256: str) -> str | None:
    """Return the name of the generator in the table that has this sha256; None where there is none."""
    names = (entry.name for entry in weights_entries("generator") if expected_sha256(entry) == sha256)
    return next(names, None)


def ships(path: Path) -> bool:
    """Tell whether a file came with the package."""
    return weights_folder() in path.absolute().parents
