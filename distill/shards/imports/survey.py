"""A look at every file of the rows before anything is written: content hashes, sizes, faults."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from distill.faces.decode import PhotoError, photo_size
from distill.files import file_sha256
from distill.shards.imports.rows import Picture, SourceRow

Size = tuple[int, int]  # height, width


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Why a row cannot be taken: a countable reason, and a detail about this row."""

    reason: str
    detail: str


@dataclass(frozen=True, kw_only=True)
class RowSurvey:
    """What is known of a row without decoding it: a hash of names and contents, the size its pictures share."""

    sha256: str
    size: Size | None
    fault: Fault | None = None


def survey_row(row: SourceRow) -> RowSurvey:
    """Hash the files of a row and read their headers."""
    try:
        sha256 = _row_sha256(row)
    except OSError as error:
        return RowSurvey(sha256="", size=None, fault=Fault(reason="unreadable", detail=str(error)))
    if row.missing:
        detail = f"{' and '.join(row.missing)}: no picture of that name"
        return RowSurvey(sha256=sha256, size=None, fault=Fault(reason="no partner", detail=detail))
    try:
        sizes = {role: picture_size(picture) for role, picture in row.pictures.items()}
    except PhotoError as error:
        detail = f"{error.path.name}: {error.detail}"
        return RowSurvey(sha256=sha256, size=None, fault=Fault(reason=error.reason, detail=detail))
    if len(set(sizes.values())) > 1:
        detail = ", ".join(f"{role} {_text(size)}" for role, size in sizes.items())
        return RowSurvey(sha256=sha256, size=None, fault=Fault(reason="sizes differ", detail=detail))
    return RowSurvey(sha256=sha256, size=next(iter(sizes.values())))


def picture_size(picture: Picture) -> Size:
    """Return height and width of a picture. Raises PhotoError, also where a half is not square."""
    height, width = photo_size(picture.path)
    if picture.part == "whole":
        return height, width
    if width != 2 * height:
        detail = f"{_text((height, width))} is not twice as wide as high"
        raise PhotoError(picture.path, "not side by side", detail)
    return height, height


def common_side(surveys: Sequence[RowSurvey]) -> int | None:
    """Return the side of most square rows, the larger of two that are as frequent; None where no row is square."""
    sides = Counter(size[0] for size in (row.size for row in surveys) if size and size[0] == size[1])
    return max(sides, key=lambda side: (sides[side], side), default=None)


def size_fault(size: Size | None, side: int) -> Fault | None:
    """Say what keeps a row from being stored as it is."""
    if size is None or size == (side, side):
        return None
    if size[0] != size[1]:
        return Fault(reason="not square", detail=_text(size))
    return Fault(reason="another size", detail=f"{_text(size)} where most are {_text((side, side))}")


def source_sha256(surveys: Sequence[RowSurvey]) -> str:
    """Hash all rows together."""
    return hashlib.sha256("\n".join(row.sha256 for row in surveys).encode()).hexdigest()


def _row_sha256(row: SourceRow) -> str:
    """Hash roles, file names, contents and the ring; a file that has two roles is read once."""
    contents = {picture.path: "" for picture in row.pictures.values()}
    contents = {path: file_sha256(path) if path.is_file() else "none" for path in contents}
    ring = "" if row.ring is None else f"\0ring {row.ring}"
    hashed = hashlib.sha256(os.fsencode(row.name + ring))
    for role, picture in row.pictures.items():
        facts = f"\0{role}\0{picture.part}\0{picture.path.suffix}\0{contents[picture.path]}"
        hashed.update(os.fsencode(facts))
    return hashed.hexdigest()


def _text(size: Size) -> str:
    return f"{size[1]}×{size[0]}"
