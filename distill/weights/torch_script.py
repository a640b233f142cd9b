"""TorchScript archives: the tensors of their modules by name. The code in them is neither read nor run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from distill.errors import UnsafePickle
from distill.weights.safe_pickle.machine import Table, Token
from distill.weights.safe_pickle.records import AttributeDict, inert, table_of
from distill.weights.torch_archive import ZIP_START, read_members, stored_member, zip_entries
from distill.weights.torch_records import TENSORS, TensorRecord

MODULE = Token("a TorchScript module", None, AttributeDict)
LISTS = ("intlist", "tensorlist", "doublelist", "boollist")
MAX_DEPTH = 32  # modules within modules


class _ScriptTable(dict[tuple[str, str], Token]):
    """The tokens of tensors, and one for every class that a script defines for itself."""

    def get(self, key: Any, default: Any = None) -> Any:
        own = isinstance(key, tuple) and str(key[0]).split(".")[0] == "__torch__"
        return MODULE if own else super().get(key, default)


SCRIPT: Table = _ScriptTable(
    {
        **TENSORS,
        **table_of(*(Token(f"torch.jit._pickle.build_{kind}", inert) for kind in LISTS)),
        **table_of(Token("torch.jit._pickle.restore_type_tag", inert)),
    }
)


def is_script(data: memoryview) -> bool:
    """Tell whether a file is a TorchScript archive. Raises UnsafePickle for a broken zip archive."""
    if bytes(data[: len(ZIP_START)]) != ZIP_START:
        return False
    return any(entry.filename.partition("/")[2] == "constants.pkl" for entry in zip_entries(data))


def read_script(data: memoryview) -> dict[str, TensorRecord]:
    """Return the parameters and buffers of all modules by dotted name. Raises UnsafePickle."""
    members = {
        entry.filename: stored_member(data, entry)
        for entry in zip_entries(data)
        if entry.filename.partition("/")[2].startswith(("data.pkl", "data/", "byteorder"))
    }
    content = read_members(members, table=SCRIPT)
    return dict(_tensors(content, "", set(), 0))


def _tensors(value: object, name: str, seen: set[int], depth: int) -> Iterator[tuple[str, TensorRecord]]:
    if isinstance(value, TensorRecord):
        yield name, value
    elif isinstance(value, Mapping) and id(value) not in seen:
        if depth >= MAX_DEPTH:
            raise UnsafePickle(f"modules nested deeper than {MAX_DEPTH}")
        seen.add(id(value))
        for key, child in value.items():
            yield from _tensors(child, f"{name}.{key}".strip("."), seen, depth + 1)
