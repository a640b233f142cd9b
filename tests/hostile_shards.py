"""Harm that is done to a good shard through h5py, and what must be said of it.

Each function takes the HDF5 file, opened for writing, and makes it hostile.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np


def external_storage(file: h5py.File) -> None:
    secret = Path(file.filename).with_name("secret")
    secret.write_bytes(b"S" * 24)
    del file["candidate"]
    file.create_dataset("candidate", shape=(3,), dtype="<i8", external=[(str(secret), 0, 24)])


def external_link(file: h5py.File) -> None:
    del file["candidate"]
    file["candidate"] = h5py.ExternalLink("other.h5", "/candidate")


def soft_link(file: h5py.File) -> None:
    del file["images/style"]
    file["images/style"] = h5py.SoftLink("/images/content")


def virtual(file: h5py.File) -> None:
    del file["candidate"]
    layout = h5py.VirtualLayout(shape=(3,), dtype="<i8")
    layout[:] = h5py.VirtualSource("other.h5", "candidate", shape=(3,))
    file.create_virtual_dataset("candidate", layout)


def huge_and_compressed(file: h5py.File) -> None:
    file.create_dataset(
        "params/huge", shape=(3, 1 << 38), dtype="u1", chunks=(1, 1 << 20), compression="gzip"
    )


def huge_and_never_written(file: h5py.File) -> None:
    file.create_dataset("params/huge", shape=(3, 1 << 31), dtype="u1", chunks=(1, 1 << 31), fletcher32=True)


def zeros_never_written(file: h5py.File) -> None:
    del file["images/content"]
    file.create_dataset(
        "images/content", shape=(3, 16, 16, 3), dtype="u1", chunks=(1, 16, 16, 3), fletcher32=True
    )


def no_checksum(file: h5py.File) -> None:
    values = file["candidate"][...]
    del file["candidate"]
    file.create_dataset("candidate", data=values, chunks=(3,))


def other_type(file: h5py.File) -> None:
    del file["candidate"]
    file.create_dataset("candidate", data=np.zeros(3, "<i4"), chunks=(3,), fletcher32=True)


def text_of_variable_length(file: h5py.File) -> None:
    file.create_dataset("params/text", data=["a", "b", "c"], dtype=h5py.string_dtype(), chunks=(3,))


def text_label_of_variable_length(file: h5py.File) -> None:
    file.create_dataset("labels/text", data=["a", "b", "c"], dtype=h5py.string_dtype(), chunks=(3,))


def name_of_variable_length(file: h5py.File) -> None:
    file.create_dataset("name", data=["a", "b", "c"], dtype=h5py.string_dtype(), chunks=(3,))


def text_too_long(file: h5py.File) -> None:
    data = np.array([b"x" * 4097] * 3)
    file.create_dataset("labels/text", data=data, chunks=(3,), fletcher32=True)


def label_of_wrong_length(file: h5py.File) -> None:
    file.create_dataset("labels/age", data=np.zeros(4, "<f4"), chunks=(4,), fletcher32=True)


def label_of_several_numbers(file: h5py.File) -> None:
    file.create_dataset("labels/age", data=np.zeros((3, 2), "<f4"), chunks=(3, 2), fletcher32=True)


def label_of_other_type(file: h5py.File) -> None:
    file.create_dataset("labels/age", data=np.zeros(3, "<f8"), chunks=(3,), fletcher32=True)


def label_with_a_path(file: h5py.File) -> None:
    file.create_dataset("labels/a/b", data=np.zeros(3, "<f4"), chunks=(3,), fletcher32=True)


def weight_of_other_type(file: h5py.File) -> None:
    file.create_dataset("weight", data=np.ones(3, "<f8"), chunks=(3,), fletcher32=True)


def weight_never_written(file: h5py.File) -> None:
    file.create_dataset("weight", shape=(3,), dtype="<f4", chunks=(3,), fletcher32=True)


def name_that_is_a_number(file: h5py.File) -> None:
    file.create_dataset("name", data=np.ones(3, "<i8"), chunks=(3,), fletcher32=True)


def references(file: h5py.File) -> None:
    file.create_dataset("params/ref", data=[file.ref] * 3, dtype=h5py.ref_dtype, chunks=(3,))


def growable(file: h5py.File) -> None:
    values = file["candidate"][...]
    del file["candidate"]
    file.create_dataset("candidate", data=values, maxshape=(None,), chunks=(3,), fletcher32=True)


def unknown_data_set(file: h5py.File) -> None:
    file.create_dataset("payload", data=np.zeros(3, "<i8"), chunks=(3,), fletcher32=True)


def unknown_group(file: h5py.File) -> None:
    file.create_group("scripts")


def group_in_a_ring(file: h5py.File) -> None:
    file["images/again"] = file["/"]


def named_type(file: h5py.File) -> None:
    file["params/type"] = np.dtype("<i8")


def many_members(file: h5py.File) -> None:
    for i in range(100):
        file.create_dataset(f"params/p{i}", data=np.zeros(3, "<i8"), chunks=(3,), fletcher32=True)


def missing_role(file: h5py.File) -> None:
    del file["images/style"]


def missing_ledger(file: h5py.File) -> None:
    del file["tried"]


def fewer_rows(file: h5py.File) -> None:
    file.attrs["rows"] = np.int64(2)


def negative_rows(file: h5py.File) -> None:
    file.attrs["rows"] = np.int64(-3)


def other_version(file: h5py.File) -> None:
    file.attrs["schema_version"] = np.int64(1)


def other_format(file: h5py.File) -> None:
    file.attrs["format"] = np.bytes_(b"cats")


def recipe_of_variable_length(file: h5py.File) -> None:
    file.attrs["recipe"] = "{}"


def recipe_too_long(file: h5py.File) -> None:
    file.attrs["recipe"] = np.bytes_(b'"' + b"x" * (2 << 20) + b'"')


def recipe_no_json(file: h5py.File) -> None:
    file.attrs["recipe"] = np.bytes_(b"{")


def recipe_nested_deep(file: h5py.File) -> None:
    file.attrs["recipe"] = np.bytes_(b"[" * 60000)


def roles_with_paths(file: h5py.File) -> None:
    file.attrs["roles"] = np.bytes_(b'["../content", "style", "mixed"]')


def attribute_missing(file: h5py.File) -> None:
    del file.attrs["codec"]


def attribute_more(file: h5py.File) -> None:
    file.attrs["more"] = 1


def counts_that_do_not_add_up(file: h5py.File) -> None:
    file.attrs["dropped"] = np.bytes_(b'{"ssim.nothing-changed": 2}')


HOSTILE: list[tuple[Callable[[h5py.File], None], str]] = [
    (external_storage, "another file"),
    (external_link, "is a link to another place"),
    (soft_link, "is a link to another place"),
    (virtual, "another file"),
    (huge_and_compressed, "filters"),
    (huge_and_never_written, "chunks|lacks data"),
    (zeros_never_written, "lacks data"),
    (no_checksum, "not fletcher32 alone"),
    (other_type, "kind does not allow"),
    (text_of_variable_length, "kind does not allow"),
    (text_label_of_variable_length, "kind does not allow"),
    (name_of_variable_length, "kind does not allow"),
    (text_too_long, "kind does not allow"),
    (label_of_wrong_length, "'labels/age' has 4 entries, not 3"),
    (label_of_several_numbers, "kind does not allow"),
    (label_of_other_type, "kind does not allow"),
    (label_with_a_path, "no place"),
    (weight_of_other_type, "kind does not allow"),
    (weight_never_written, "lacks data"),
    (name_that_is_a_number, "kind does not allow"),
    (references, "kind does not allow"),
    (growable, "kind does not allow"),
    (unknown_data_set, "no place"),
    (unknown_group, "no place"),
    (group_in_a_ring, "no place"),
    (named_type, "no place"),
    (many_members, "at most 64"),
    (missing_role, "data sets of images"),
    (missing_ledger, "no data set 'tried/candidate'"),
    (fewer_rows, "do not add up|entries, not 2"),
    (negative_rows, "out of range"),
    (other_version, "schema version is 1"),
    (other_format, "its format is 'cats'"),
    (recipe_of_variable_length, "fixed length"),
    (recipe_too_long, "at most 1048576 bytes"),
    (recipe_no_json, "broken structure"),
    (recipe_nested_deep, "broken structure"),
    (roles_with_paths, "not a list of names"),
    (attribute_missing, "12 attributes on the root, not 13"),
    (attribute_more, "14 attributes on the root, not 13"),
    (counts_that_do_not_add_up, "do not add up"),
]
