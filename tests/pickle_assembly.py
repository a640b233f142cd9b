"""Assemble pickles by hand, opcode by opcode, and put them where a reader will meet them."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile

from checkpoint_files import dumped, persistent_generator, small_state, tf_networks

P4, STOP = b"\x80\x04", b"."
MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
EMPTY = b"\x80\x02}."
TERA = struct.pack("<Q", 1 << 40)


def uni(text: str) -> bytes:
    raw = text.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(raw)) + raw


def named(module: str, name: str) -> bytes:
    """STACK_GLOBAL."""
    return uni(module) + uni(name) + b"\x93"


FLOATS, COMPLEX = named("torch", "FloatStorage"), named("torch", "ComplexFloatStorage")


def called(module: str, name: str, *args: bytes) -> bytes:
    """REDUCE of a global on arguments that are already assembled."""
    return named(module, name) + b"(" + b"".join(args) + b"tR"


def blob(raw: bytes) -> bytes:
    return b"B" + struct.pack("<I", len(raw)) + raw


def file_of(*parts: bytes) -> bytes:
    return P4 + b"".join(parts) + STOP


def dtype(code: str) -> bytes:
    return called("numpy", "dtype", uni(code), b"\x89\x88")


def array(shape: bytes, kind: bytes, data: bytes) -> bytes:
    made = called("numpy.core.multiarray", "_reconstruct", named("numpy", "ndarray"), b"K\x00\x85", b"C\x01b")
    return made + b"(K\x01" + shape + kind + b"\x89" + data + b"tb"


def storage(count: int = 4, payload: bytes | None = None) -> bytes:
    """A storage of zeros, or of whatever the payload is."""
    content = legacy(FLOATS, count, raw=bytes(4 * count)) if payload is None else payload
    return called("torch.storage", "_load_from_bytes", blob(content))


def numbers(*values: int) -> bytes:
    return b"(" + b"".join(b"\x8a\x08" + struct.pack("<q", value) for value in values) + b"t"


def tensor(shape: bytes, stride: bytes, offset: int = 0, on: bytes | None = None) -> bytes:
    args = (on or storage(), b"\x8a\x08" + struct.pack("<q", offset), shape, stride, b"\x89", b"}")
    return called("torch._utils", "_rebuild_tensor_v2", *args)


def generator_around(weight: bytes) -> bytes:
    """A complete PyTorch pickle in which one tensor is `weight`."""
    marker = "a text where a tensor should stand"
    generator = persistent_generator(small_state())
    generator.meta["state"]["_modules"]["mapping"].meta["state"]["_buffers"]["w_avg"] = marker
    return dumped(generator, protocol=3).replace(uni(marker), weight)


def persistent(name: str, state: bytes, *, source: str = "x", with_modules: bool = False) -> bytes:
    modules = b""
    if with_modules:
        children = b"".join(uni(child) + persistent("Child", b"") for child in ("mapping", "synthesis"))
        modules = uni("_modules") + b"}(" + children + b"u"
    meta = [uni("type"), uni("class"), uni("version"), b"K\x06", uni("module_src"), uni(source)]
    meta += [uni("class_name"), uni(name), uni("state"), b"}(" + state + modules + b"u"]
    return called("torch_utils.persistence", "_reconstruct_persistent_obj", b"}(" + b"".join(meta) + b"u")


def laughs(depth: int, join: bytes, start: bytes | None = None) -> bytes:
    """Each level holds the one below it several times, through the memo."""
    return (start or uni("lol")) + (b"q\x000" + join) * depth


def legacy(kind: bytes, count: int, *, key: str = "0", raw: bytes = b"") -> bytes:
    """A storage as torch.save writes it alone, with any type and count."""
    size = b"\x8a\x08" + struct.pack("<q", count)
    reference = b"(" + uni("storage") + kind + uni(key) + uni("cpu") + size + b"NtQ"
    system = pickle.dumps({"protocol_version": 1001, "little_endian": True, "type_sizes": {}}, 2)
    keys = pickle.dumps([key], 2)
    head = MAGIC + pickle.dumps(1001, 2) + system
    return head + b"\x80\x04" + reference + STOP + keys + struct.pack("<q", count) + raw


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def pickle_of(module: str, name: str, arg: bytes) -> bytes:
    return file_of(named(module, name), arg, b"\x85R")


def generator_storage(payload: bytes) -> bytes:
    """A generator with a tensor on a storage of this payload."""
    return generator_around(tensor(b")", b")", on=storage(payload=payload)))


def tf_with(value: bytes) -> bytes:
    """A TensorFlow pickle in which one variable is `value`."""
    marker = "a text where an array should stand"
    networks = tf_networks(small_state())
    networks[2].variables = [("dlatent_avg", marker)]
    return dumped(networks, protocol=3).replace(uni(marker), value)
