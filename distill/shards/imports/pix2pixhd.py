"""pix2pixHD's folders: PHASE_A the first input, PHASE_B the target, PHASE_C (if there) the second input."""

from __future__ import annotations

from distill.errors import DistillError
from distill.shards.export import pix2pixhd_folders
from distill.shards.imports.rows import FoundRows, ImportSource, matched, sub_folders


def find(source: ImportSource) -> FoundRows:
    """Match the pictures of the two or three folders. Raises DistillError where A or B is not there."""
    phase = source.phase or (source.stamp.phase if source.stamp else "train")
    there = sub_folders(source.folder)
    for letter in "AB":
        if f"{phase}_{letter}" not in there:
            raise DistillError(
                f"{source.folder}: no folder {phase}_{letter}; pix2pixHD has PHASE_A and PHASE_B, and --phase is"
                f" {phase}; the folders are {', '.join(there) or 'none'}"
            )
    roles = source.roles(inputs=2 if f"{phase}_C" in there else 1)
    folders = {role: source.folder / name for role, name in pix2pixhd_folders(roles, phase).items()}
    rows, others = matched(folders, source.out)
    return FoundRows(roles=roles, rows=rows, other_files=others, facts={"phase": phase})
