"""Rows of a source: which pictures belong together, matched by file name without suffix."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from distill.errors import DistillError
from distill.shards.images.picture import SUFFIXES
from distill.shards.imports.stamp import ExportStamp
from distill.shards.layout import NAME

Part = Literal["whole", "left", "right"]
PLAIN_INPUTS, PLAIN_TARGET = ("source", "reference"), "target"  # roles that nobody names


@dataclass(frozen=True, kw_only=True)
class ImportSource:
    """A folder and what a user says of it; None and () are left to the layout. `out` is the data set to come."""

    folder: Path
    out: Path
    inputs: tuple[str, ...] = ()
    target: str | None = None
    phase: str | None = None
    input_side: Literal["left", "right"] | None = None
    stamp: ExportStamp | None = None

    def roles(self, *, inputs: int) -> tuple[str, ...]:
        """Return names for this many inputs and the target: the user's, else the stamp's, else plain ones."""
        stamp = self.stamp
        names = self.inputs or (stamp.inputs if stamp else PLAIN_INPUTS[:inputs])
        roles = (*names, self.target or (stamp.target if stamp else PLAIN_TARGET))
        if len(names) != inputs:
            raise DistillError(
                f"{self.folder}: the pictures have {inputs} inputs, but {len(names)} named"
                f" ({', '.join(names)}): name as many with --inputs"
            )
        return checked_roles(roles)


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture file, or one half of it."""

    path: Path
    part: Part = "whole"


@dataclass(frozen=True, kw_only=True)
class SourceRow:
    """The pictures of one row by role; `missing`: the folders that have none of this name.

    `ring`: of an export of faces paired in rings, rows of one number share faces.
    """

    name: str
    pictures: Mapping[str, Picture]
    missing: tuple[str, ...] = ()
    ring: int | None = None


@dataclass(frozen=True, kw_only=True)
class FoundRows:
    """What a layout finds: roles (inputs first, the target last), rows by name, files that are no pictures.

    `facts`: what the recipe shall say of how the folder was read.
    """

    roles: tuple[str, ...]
    rows: Sequence[SourceRow]
    other_files: int
    facts: Mapping[str, Any] = field(default_factory=dict)
    stamp: ExportStamp | None = None


def checked_roles(roles: Sequence[str]) -> tuple[str, ...]:
    """Return the roles. Raises DistillError for an invalid name, and for one named twice."""
    for role in roles:
        if not NAME.fullmatch(role):
            raise DistillError(f"{role!r} cannot name a role: letters, digits, _, . and - only, 64 at most")
    if len(set(roles)) < len(roles):
        raise DistillError(f"inputs and target are {', '.join(roles)}: each role must be named once")
    return tuple(roles)


def pictures_in(folder: Path, out: Path, *, deep: bool = True) -> tuple[dict[str, Path], int]:
    """Return the pictures in a folder by name, and the number of other files; `deep`: below it too.

    A name is the path below the folder without suffix, with "/". Hidden files are left out. Raises DistillError for
    two pictures of one name, and where `out` lies inside.
    """
    if deep and out.resolve().is_relative_to(folder.resolve()):
        raise DistillError(f"{out} lies among the pictures of {folder}: choose another --out")
    found: dict[str, Path] = {}
    others = 0
    for path in _files(folder, deep=deep):
        if path.suffix.lower() not in SUFFIXES:
            others += 1
            continue
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in found:
            raise DistillError(
                f"{folder}: two pictures of one name, {found[name].name} and {path.name};"
                " remove or rename one of them"
            )
        found[name] = path
    return found, others


def _files(folder: Path, *, deep: bool) -> list[Path]:
    """List the files in a folder, with `deep` below it too; links are followed."""
    files: list[Path] = []
    for place, folders, names in os.walk(folder, onerror=_refuse, followlinks=True):
        folders[:] = sorted(name for name in folders if name[0] != ".") if deep else []
        for name in folders:
            _refuse_circle(Path(place) / name)
        files += [Path(place) / name for name in sorted(names) if name[0] != "."]
    return files


def _refuse_circle(folder: Path) -> None:
    if folder.is_symlink() and folder.resolve() in {above.resolve() for above in folder.parents}:
        raise DistillError(f"{folder}: a link to a folder that it lies in; remove it")


def _refuse(error: OSError) -> None:
    raise DistillError(f"{error.filename}: {error.strerror}") from error


def matched(folders: Mapping[str, Path], out: Path) -> tuple[list[SourceRow], int]:
    """Match the pictures of folders, given by role, by name: rows sorted by name, whole or not; other files."""
    found: dict[str, dict[str, Path]] = {}
    others: Counter[str] = Counter()
    for role, folder in folders.items():
        found[role], others[role] = pictures_in(folder, out)
    names = sorted(set().union(*found.values()))
    if not names:
        where = ", ".join(str(folder) for folder in folders.values())
        raise DistillError(f"no pictures in {where} ({others.total()} other files)")
    rows = [
        SourceRow(
            name=shown_name(name),
            pictures={role: Picture(path=paths[name]) for role, paths in found.items() if name in paths},
            missing=tuple(folders[role].name for role, paths in found.items() if name not in paths),
        )
        for name in names
    ]
    return rows, others.total()


def shown_name(name: str) -> str:
    """Return a name as text that can be written anywhere."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def sub_folders(folder: Path) -> list[str]:
    """Return the names of the folders in a folder. Raises DistillError where there is no folder."""
    if not folder.is_dir():
        what = "not a folder" if folder.exists() else "no such folder"
        raise DistillError(f"{folder}: {what}; a folder of pictures is needed")
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and path.name[0] != ".")
