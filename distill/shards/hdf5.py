"""Guards for HDF5 files that somebody else may have made: attributes and members, checked before they are believed.

By HDF5's own handles: a reader opens all shards at its start, and h5py's objects are slower.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import h5py
import numpy as np

MAX_MEMBERS = 64  # of a group


def read_attribute(file: h5py.File, name: str, *, is_text: bool, max_bytes: int) -> str | int:
    """Return one attribute of the root: a text of fixed length, or a 64-bit integer. Raises ValueError."""
    attribute = h5py.h5a.open(file.id, name.encode())
    kind = attribute.get_type()
    if attribute.shape != () or kind.get_size() > max_bytes:
        raise ValueError(f"attribute {name} is not a single value of at most {max_bytes} bytes")
    if is_text:
        if kind.get_class() != h5py.h5t.STRING or kind.is_variable_str():
            raise ValueError(f"attribute {name} is not a text of fixed length")
    elif attribute.dtype != np.dtype("<i8"):
        raise ValueError(f"attribute {name} is not a 64-bit integer")
    value = np.empty((), dtype=attribute.dtype)
    attribute.read(value)
    return bytes(value[()]).decode() if is_text else int(value)


def data_sets(
    group: h5py.h5g.GroupID, groups: Collection[str], what: str, prefix: str = ""
) -> Iterator[tuple[str, h5py.h5d.DatasetID]]:
    """Yield every data set of the root and of the named groups; ValueError for links and anything else.

    `what` names the kind of file in errors.
    """
    if group.get_num_objs() > MAX_MEMBERS:
        raise ValueError(f"{group.get_num_objs()} members in {prefix or '/'!r}, at most {MAX_MEMBERS} belong")
    for leaf in group:
        name = prefix + leaf.decode()
        if group.links.get_info(leaf).type != h5py.h5l.TYPE_HARD:
            raise ValueError(f"{name!r} is a link to another place")
        member = h5py.h5o.open(group, leaf)
        if isinstance(member, h5py.h5d.DatasetID):
            yield name, member
        elif isinstance(member, h5py.h5g.GroupID) and name in groups:
            yield from data_sets(member, groups, what, f"{name}/")
        else:
            raise ValueError(f"{name!r} has no place in {what}")
