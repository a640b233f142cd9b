"""The table of layouts that can be imported."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from distill.errors import DistillError
from distill.shards.export import TABLE
from distill.shards.imports import folders, pix2pixhd, side_by_side
from distill.shards.imports.rows import FoundRows, ImportSource, SourceRow
from distill.shards.imports.stamp import read_rings


@dataclass(frozen=True, kw_only=True)
class SourceLayout:
    """How rows are found in a folder; `takes`: the fields of ImportSource that only some layouts know."""

    find: Callable[[ImportSource], FoundRows]
    takes: tuple[str, ...] = ()


LAYOUTS: dict[str, SourceLayout] = {
    "pix2pixhd": SourceLayout(find=pix2pixhd.find, takes=("phase",)),
    "folders": SourceLayout(find=folders.find),
    "pix2pix": SourceLayout(find=side_by_side.find, takes=("phase", "input_side")),
}
OWN_OPTIONS = {"phase": "--phase", "input_side": "--input-side"}


def find_rows(layout: str, source: ImportSource) -> FoundRows:
    """Find the rows of a folder. Raises DistillError for what does not fit the layout."""
    if layout not in LAYOUTS:
        raise DistillError(f"--from {layout}: the layouts are {', '.join(LAYOUTS)}")
    stamp = source.stamp
    if stamp and stamp.to != layout:
        better = (
            f"give --from {stamp.to}" if stamp.to in LAYOUTS else "export it with --to folders to import it"
        )
        raise DistillError(f"{source.folder} is an export --to {stamp.to}, not {layout}: {better}")
    for name, option in OWN_OPTIONS.items():
        if getattr(source, name) is not None and name not in LAYOUTS[layout].takes:
            users = [other for other, row in LAYOUTS.items() if name in row.takes]
            raise DistillError(f"{option} is for --from {' and '.join(users)}, not for {layout}")
    found = LAYOUTS[layout].find(source)
    rows = _in_rings(found.rows, source.folder) if stamp else found.rows
    return replace(found, rows=rows, stamp=stamp)


def _in_rings(rows: Sequence[SourceRow], folder: Path) -> Sequence[SourceRow]:
    """Give the rows of an export their rings. Raises DistillError for a row that was not exported."""
    rings = read_rings(folder)
    if not rings:
        return rows
    for row in rows:
        if row.name not in rings:
            raise DistillError(
                f"{folder}: {row.name} is not of the export, whose faces are paired in rings ({TABLE}): take it away"
            )
    return [replace(row, ring=rings[row.name]) for row in rows]
