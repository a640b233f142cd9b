"""pix2pix's pictures: input and target side by side in one file, in PHASE/ or in the folder itself."""

from __future__ import annotations

from distill.errors import DistillError
from distill.shards.imports.rows import (
    FoundRows,
    ImportSource,
    Picture,
    SourceRow,
    pictures_in,
    shown_name,
    sub_folders,
)


def find(source: ImportSource) -> FoundRows:
    """Take each picture for a pair; its left half is the input unless `input_side` is "right"."""
    there = sub_folders(source.folder)
    phase = source.phase or "train"
    inside = phase in there
    if source.phase and not inside:
        raise DistillError(
            f"{source.folder}: no folder {phase} (--phase); the folders are {', '.join(there) or 'none'}"
        )
    folder = source.folder / phase if inside else source.folder
    found, others = pictures_in(folder, source.out, deep=inside)
    if not found:
        raise DistillError(
            f"{folder}: no pictures ({others} other files); if their folder is not called {phase}, name it"
            f" with --phase; the folders are {', '.join(there) or 'none'}"
        )
    roles, side = source.roles(inputs=1), source.input_side or "left"
    parts = dict(zip(roles, ("left", "right") if side == "left" else ("right", "left"), strict=True))
    rows = [
        SourceRow(
            name=shown_name(name),
            pictures={
                role: Picture(path=path, part="left" if part == "left" else "right")
                for role, part in parts.items()
            },
        )
        for name, path in sorted(found.items())
    ]
    facts = {"input_side": side, **({"phase": phase} if inside else {})}
    return FoundRows(roles=roles, rows=rows, other_files=others, facts=facts)
