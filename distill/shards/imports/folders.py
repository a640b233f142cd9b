"""Plain folders: one a role, named by the user or by the stamp of `distill export --to folders`."""

from __future__ import annotations

from distill.errors import DistillError
from distill.shards.imports.rows import FoundRows, ImportSource, checked_roles, matched, sub_folders


def find(source: ImportSource) -> FoundRows:
    """Match the pictures of the folders that are called as the roles. Raises DistillError for one not there."""
    there, stamp = sub_folders(source.folder), source.stamp
    inputs = source.inputs or (stamp.inputs if stamp else ())
    target = source.target or (stamp.target if stamp else None)
    if not inputs or target is None:
        raise DistillError(
            f"{source.folder}: which folder is what? Name the inputs and the target, such as --inputs content,style"
            f" --target mixed; the folders are {', '.join(there) or 'none'}"
        )
    roles = checked_roles([*inputs, target])
    for role in roles:
        if role not in there:
            raise DistillError(
                f"{source.folder}: no folder {role}; the folders are {', '.join(there) or 'none'}"
            )
    rows, others = matched({role: source.folder / role for role in roles}, source.out)
    return FoundRows(roles=roles, rows=rows, other_files=others)
