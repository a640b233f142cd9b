"""The two containers that torch.save writes, cut into slices of the file.

The zip archive (torch 1.6 and later) and the older sequence of five pickles followed by raw numbers, which is
also how a storage lies inside another pickle. torch's own unpickler stays out of it.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from typing import Any

from distill.errors import UnsafePickle
from distill.weights.safe_pickle.machine import MIB, Limits, Machine, Table, Token, shown
from distill.weights.safe_pickle.records import NAMESPACE, checked_sizes, table_of
from distill.weights.safe_pickle.unpickle import load
from distill.weights.torch_records import SIZES, STORAGES_ONLY, TENSORS, PackedStorage, Storage

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
LEGACY_START = b"\x80\x02\x8a\x0a" + LEGACY_MAGIC.to_bytes(10, "little") + b"."
ZIP_START = b"PK\x03\x04"
MAX_DIRECTORY = 4 * MIB  # of a zip archive: 90,000 members
_SMALL = Limits(ops=10_000, memory=MIB, text=MIB, marks=20)

TORCH_FILE: Table = {**TENSORS, **NAMESPACE}


def _persistent(
    find: Callable[[str, str, int], Callable[[], memoryview]],
) -> Callable[[Machine, object], Storage]:
    """Answer BINPERSID: ("storage", kind, key, device, count) and nothing else."""

    def storage(machine: Machine, reference: object) -> Storage:
        if not isinstance(reference, tuple) or len(reference) not in (5, 6) or reference[0] != "storage":
            raise machine.refusal(f"refused persistent id {shown(reference)}")
        _, kind, key, _, count = reference[:5]
        if not isinstance(kind, Token) or not isinstance(kind.value, str) or not isinstance(key, str):
            raise machine.refusal(f"refused storage of type {shown(kind)}")
        if reference[5:] not in ((), (None,)):
            raise machine.refusal("refused storage: a view on another one")
        (count,) = checked_sizes(machine, (count,))
        return Storage(kind.value, count, find(key, kind.value, count))

    return storage


def unpack_storage(payload: memoryview) -> Storage:
    """Read a storage that torch.save wrote on its own. Raises UnsafePickle for anything else."""
    found = read_legacy(payload, table=STORAGES_ONLY, limits=_SMALL)
    if not isinstance(found, Storage):
        raise UnsafePickle(f"refused storage: it holds {shown(found)}")
    return found


def _packed_storage(machine: Machine, args: tuple[Any, ...]) -> PackedStorage:
    if len(args) != 1 or not isinstance(args[0], (bytes, memoryview)):
        raise machine.refusal("refused storage: not a byte string")
    return PackedStorage(args[0], unpack_storage)


def read_legacy(data: memoryview, *, table: Table = TORCH_FILE, limits: Limits | None = None) -> Any:
    """Read what torch.save wrote before version 1.6: magic, version, system, object, keys, raw storages."""
    magic, at = load(data, {}, limits=_SMALL)
    version, at = load(data, {}, start=at, limits=_SMALL)
    system, at = load(data, {}, start=at, limits=_SMALL)
    if magic != LEGACY_MAGIC or version != LEGACY_PROTOCOL:
        raise UnsafePickle("refused storage: not in the format that torch.save writes")
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise UnsafePickle("the file was written on a big-endian machine; save it again on a current one")
    sizes: dict[str, int] = {}
    found: dict[str, memoryview] = {}

    def find(key: str, code: str, count: int) -> Callable[[], memoryview]:
        sizes[key] = SIZES[code]
        return lambda: found[key]

    content, at = load(data, table, start=at, persistent=_persistent(find), limits=limits)
    keys, at = load(data, {}, start=at, limits=limits)
    _cut_storages(data, at, keys, sizes, found)
    return content


def _cut_storages(
    data: memoryview, at: int, keys: object, sizes: Mapping[str, int], found: dict[str, memoryview]
) -> None:
    if not isinstance(keys, list) or not all(isinstance(key, str) and key in sizes for key in keys):
        raise UnsafePickle("broken torch file: its list of storages does not fit its contents")
    for key in keys:
        if at + 8 > len(data):
            raise UnsafePickle(f"truncated: {len(data):,} bytes end before storage {shown(key)}")
        size = struct.unpack_from("<Q", data, at)[0] * sizes[key]
        at += 8
        if size > len(data) - at:
            raise UnsafePickle(
                f"truncated: storage {shown(key)} needs {size:,} bytes, {len(data) - at:,} are left"
            )
        found[key] = data[at : at + size]
        at += size
    missing = next((key for key in sizes if key not in found), None)
    if missing is not None:
        raise UnsafePickle(f"broken torch file: storage {shown(missing)} is missing")


PACKED_TENSORS: Table = {
    **TENSORS,
    **table_of(Token("torch.storage._load_from_bytes", _packed_storage)),
}


def read_torch(data: memoryview, *, table: Table = TORCH_FILE) -> Any:
    """Read what torch.save wrote, in either container. Raises UnsafePickle, UnsupportedCheckpoint."""
    read = read_zip if bytes(data[: len(ZIP_START)]) == ZIP_START else read_legacy
    return read(data, table=table)


def read_zip(data: memoryview, *, table: Table = TORCH_FILE) -> Any:
    """Read what torch.save writes since version 1.6: a zip archive of a pickle and raw storages."""
    return read_members(zip_members(data), table=table)


def read_members(members: Mapping[str, memoryview], *, table: Table) -> Any:
    """Read the pickle among the members of an archive, with the storages that lie beside it."""
    pickles = [name for name in members if name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise UnsafePickle(f"not a PyTorch file: a zip archive with {len(pickles)} data.pkl in it")
    folder = pickles[0].removesuffix("data.pkl")
    if bytes(members.get(folder + "byteorder", memoryview(b"little"))) != b"little":
        raise UnsafePickle("the file was written on a big-endian machine; save it again on a current one")

    def find(key: str, code: str, count: int) -> Callable[[], memoryview]:
        name = f"{folder}data/{key}"
        if name not in members:
            raise UnsafePickle(f"broken torch file: storage {shown(key)} is missing")
        return lambda: members[name]

    return load(members[pickles[0]], table, persistent=_persistent(find))[0]


def zip_members(data: memoryview) -> dict[str, memoryview]:
    """Cut a zip archive into its members, as slices. Raises UnsafePickle for compressed, damaged or broken ones."""
    return {entry.filename: stored_member(data, entry) for entry in zip_entries(data)}


def zip_entries(data: memoryview) -> list[zipfile.ZipInfo]:
    """Read the directory of a zip archive. Raises UnsafePickle for a broken one."""
    try:
        with zipfile.ZipFile(_Window(data)) as archive:
            return archive.infolist()
    except (
        zipfile.BadZipFile,
        ArithmeticError,
        LookupError,
        OSError,
        ValueError,
        RuntimeError,
        struct.error,
    ) as error:
        raise UnsafePickle(
            f"truncated or broken zip archive of {len(data):,} bytes ({shown(str(error))})"
        ) from error


def stored_member(data: memoryview, entry: zipfile.ZipInfo) -> memoryview:
    """Return the bytes of a member. Raises UnsafePickle for a compressed, damaged or broken one."""
    if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
        raise UnsafePickle(
            f"refused zip member {shown(entry.filename)}: compressed, which torch.save does not do"
        )
    content = packed_member(data, entry)
    check_sum(content, entry)
    return content


def packed_member(data: memoryview, entry: zipfile.ZipInfo) -> memoryview:
    """Return the bytes of a member as they lie in the archive. Raises UnsafePickle for encrypted and broken ones."""
    name = shown(entry.filename)
    if entry.flag_bits & 1:
        raise UnsafePickle(f"refused zip member {name}: encrypted")
    header = bytes(data[entry.header_offset : entry.header_offset + 30])
    if len(header) < 30 or header[:4] != ZIP_START:
        raise UnsafePickle(f"broken zip member {name}: no header at byte {entry.header_offset:,}")
    start = entry.header_offset + 30 + sum(struct.unpack_from("<HH", header, 26))
    left = len(data) - start
    if entry.compress_size > left:
        raise UnsafePickle(f"truncated: {name} needs {entry.compress_size:,} bytes, {left:,} are left")
    return data[start : start + entry.compress_size]


def check_sum(content: bytes | memoryview, entry: zipfile.ZipInfo) -> None:
    """Raise UnsafePickle where the content of a member is not what was packed."""
    if zlib.crc32(content) != entry.CRC:
        raise UnsafePickle(
            f"damaged: the check sum of {shown(entry.filename)} differs; copy or download it again"
        )


class _Window(io.RawIOBase):
    """A read-only file over a slice, so that zipfile copies only the directory that it reads."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._at = 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self._data)}[whence]
        if base + offset < 0:
            raise ValueError("seek before the start")
        self._at = base + offset
        return self._at

    def read(self, size: int = -1) -> bytes:
        stop = len(self._data) if size is None or size < 0 else self._at + size
        if stop - self._at > MAX_DIRECTORY:
            raise OSError(f"a directory of {stop - self._at:,} bytes")
        chunk = bytes(self._data[self._at : stop])
        self._at += len(chunk)
        return chunk
