"""Files that try something: code execution, memory, time, or the reader's own mistakes."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from checkpoint_files import EasyDict, Network, Persistent, dumped, small_state, tf_networks, write_rosinality
from pickle_assembly import (
    COMPLEX,
    EMPTY,
    FLOATS,
    MAGIC,
    P4,
    TERA,
    array,
    called,
    dtype,
    file_of,
    generator_around,
    generator_storage,
    laughs,
    legacy,
    named,
    numbers,
    persistent,
    pickle_of,
    storage,
    tensor,
    tf_with,
    uni,
    zipped,
)


def executions(canary: Path) -> dict[str, bytes]:
    """Ways to have code run; `canary` would appear."""
    touch, write = uni(f"touch {canary}"), uni(f"open({str(canary)!r}, 'w').close()")
    tr = b"\x85R"
    easy, ordered = named("dnnlib.util", "EasyDict") + b")\x81", called("collections", "OrderedDict")
    plain = {
        "os.system": named("os", "system") + touch + tr,
        "posix.system by GLOBAL": b"cposix\nsystem\n" + touch + tr,
        "eval": named("builtins", "eval") + write + tr,
        "exec": named("builtins", "exec") + write + tr,
        "python 2 eval": named("__builtin__", "eval") + write + tr,
        "subprocess": called("subprocess", "check_output", b"](" + uni("touch") + uni(str(canary)) + b"e"),
        "getattr": called("builtins", "getattr", named("os", "system"), uni("__call__")),
        "import": named("builtins", "__import__") + uni("os") + tr,
        "runpy": named("runpy", "run_path") + uni(str(canary)) + tr,
        "torch.load": named("torch", "load") + uni(str(canary)) + tr,
        "torch.hub": called("torch.hub", "load", uni("x"), uni("y")),
        "numpy.load": called("numpy", "load", uni(str(canary)), b"NN\x88"),
        "copyreg._reconstructor": called("copyreg", "_reconstructor", named("os", "system"), b"NN"),
        "copyreg.__newobj__": called("copyreg", "__newobj__", named("subprocess", "Popen")),
        "INST": b"(" + touch + b"ios\nsystem\n",
        "OBJ": b"(" + named("dnnlib.util", "EasyDict") + touch + b"o",
        "NEWOBJ of os.system": named("os", "system") + touch + b"\x85\x81",
        "NEWOBJ with arguments": named("dnnlib.util", "EasyDict") + touch + b"\x85\x81",
        "NEWOBJ_EX": named("dnnlib.util", "EasyDict") + b")}\x92",
        "EXT1": b"\x82\x01" + touch + tr,
        "EXT2": b"\x83\x01\x00" + touch + tr,
        "EXT4": b"\x84\x01\x00\x00\x00" + touch + tr,
        "PERSID": b"Pos.system\n",
        "BINPERSID": touch + b"Q",
        "NEXT_BUFFER": b"\x97\x98",
        "STRING": b"S'x'\n",
        "FROZENSET": b"(\x91",
        "DUP": b"N2",
        "BUILD on a function": named("torch.storage", "_load_from_bytes") + b"}" + uni("__code__") + b"Nsb",
        "BUILD with __setstate__": easy + b"}" + uni("__setstate__") + named("os", "system") + b"sb",
        "BUILD of a Namespace in a pickle": named("argparse", "Namespace") + b")\x81}b",
        "BUILD of slots": named("dnnlib.util", "EasyDict") + b")\x81" + b"N}" + uni("__class__") + b"Ns\x86b",
        "BUILD on a list": b"]}b",
        "BUILD of OrderedDict attributes": ordered + b"}" + uni("__class__") + b"Nsb",
        "STACK_GLOBAL of bytes": b"C\x02osC\x06system\x93" + touch + tr,
        "STACK_GLOBAL of numbers": b"K\x01K\x02\x93",
        "GLOBAL that is no text": b"c\xff\xfe\nsystem\n",
        "GLOBAL without an end": b"c" + b"a" * 300,
        "GLOBAL with a line break": named("os\nsystem", "x\ny"),
        "REDUCE of a dict": b"}" + touch + tr,
        "REDUCE of a class token": named("numpy", "ndarray") + touch + tr,
        "REDUCE with a list": named("builtins", "set") + b"]R",
        "REDUCE of a bare dtype": named("torch", "float32") + b")R",
        "no generator, but a call inside": b"}" + uni("G_ema") + named("os", "system") + touch + tr + b"s",
        "encode by name": called("_codecs", "encode", uni("x"), uni("rot13")),
    }
    dotted = {
        f"dotted global {module} {name}": named(module, name)
        for module, name in (
            ("collections", "OrderedDict.__init__.__globals__"),
            ("torch_utils.persistence", "_reconstruct_persistent_obj.__globals__"),
            ("dnnlib.util", "EasyDict.__class__"),
            ("numpy", "ndarray.__reduce__"),
            ("torch_utils", "persistence._reconstruct_persistent_obj"),
            ("", "collections.OrderedDict"),
        )
    }
    return {name: file_of(body) for name, body in (plain | dotted).items()} | whole_files(canary, touch)


def whole_files(canary: Path, touch: bytes) -> dict[str, bytes]:
    """Attacks that are more than one pickle, or none."""
    evil = pickle_of("os", "system", touch)
    source = f"open({str(canary)!r}, 'w').close()"
    lonely = Persistent("Generator", {"_modules": {}}, source)
    parts: dict[str, Any] = {"static_kwargs": EasyDict(), "components": EasyDict(), "variables": []}
    network = Network(version=4, build_module_src=source, **parts)
    head = MAGIC + pickle.dumps(1001, 2) + pickle.dumps({"little_endian": True}, 2)
    return {
        "protocol 0": b"cos\nsystem\n(S'touch " + str(canary).encode() + b"'\ntR.",
        "source of a persistent object": dumped({"G_ema": lonely}),
        "source of a TensorFlow network": dumped((network, network, network)),
        "pickle in a storage": generator_storage(evil),
        "old torch file in a storage": generator_storage(head + evil),
        "torch archive in a storage": generator_storage(zipped({"x/data.pkl": evil})),
        "torch archive": zipped({"archive/data.pkl": evil, "archive/version": b"3"}),
        "torch archive with code": zipped({"archive/data.pkl": EMPTY, "archive/code/x.py": b"boom"}),
        "old torch file": head + evil,
        "old torch file, second pickle": MAGIC + evil,
        "old torch file, keys": head + pickle.dumps({}, 2) + evil,
        "module saved whole": zipped({"a/data.pkl": file_of(named("model", "Generator"), b")\x81}b")}),
    }


def memory() -> dict[str, bytes]:
    """Ways to ask for more memory than there is."""
    wide, huge = numbers(1 << 20, 1 << 20), numbers(1 << 39, 1 << 39)
    from_buffer, parameter = ("numpy._core.numeric", "_frombuffer"), ("torch._utils", "_rebuild_parameter")
    return {
        "LONG_BINPUT": file_of(b"Nr\xff\xff\xff\xff"),
        "BINBYTES8": file_of(b"\x8e" + TERA),
        "BINUNICODE8": file_of(b"\x8d" + TERA),
        "BYTEARRAY8": file_of(b"\x96" + TERA),
        "BINBYTES": file_of(b"B\xff\xff\xff\xff"),
        "BINUNICODE": file_of(b"X\xff\xff\xff\xff"),
        "FRAME": file_of(b"\x95" + b"\xff" * 8),
        "LONG1": file_of(b"\x8a\xff" + b"\x7f" * 100),
        "LONG4": file_of(b"\x8b\xff\xff\xff\x7f"),
        "LONG4 that is there": file_of(b"\x8b\x00\x10\x00\x00" + b"\x7f" * 4096),
        "negative LONG4": file_of(b"\x8b\xff\xff\xff\xff"),
        "array bomb": file_of(array(wide, dtype("f4"), b"C\x04aaaa")),
        "array of huge sides": file_of(array(numbers(1 << 62, 1 << 62), dtype("f4"), b"C\x00")),
        "array of zero and huge sides": tf_with(array(numbers(0, 1 << 39, 1 << 39), dtype("f4"), b"C\x00")),
        "array of 30 axes": file_of(array(numbers(*[1] * 30), dtype("f4"), b"C\x04aaaa")),
        "array of negative sides": file_of(array(numbers(-1, -4), dtype("f4"), b"C\x10" + b"a" * 16)),
        "array never filled": tf_with(array(b")", dtype("f4"), b"C\x04aaaa").rpartition(b"(K\x01")[0]),
        "array of objects": file_of(array(b"K\x01\x85", dtype("O8"), b"]Na")),
        "array with a list": file_of(array(b"K\x01\x85", dtype("f4"), b"]Na")),
        "void dtype": file_of(dtype("V1000000000")),
        "text dtype": file_of(dtype("U99999999")),
        "record dtype": file_of(dtype("f4"), b"(K\x03", uni("|"), b"N", uni("x"), b"\x85}K\x04K\x01K\x00tb"),
        "big-endian dtype": file_of(dtype("f4"), b"(K\x03", uni(">"), b"NNNK\x00K\x00K\x00tb"),
        "scalar bomb": file_of(called("numpy.core.multiarray", "scalar", dtype("f8"), b"C\x00")),
        "buffer bomb": file_of(called(*from_buffer, b"C\x00", dtype("f4"), wide, uni("C"))),
        "storage of 2**40 numbers": generator_around(
            tensor(wide, numbers(0, 0), on=storage(payload=legacy(FLOATS, 1 << 39)))
        ),
        "storage of -1 numbers": generator_storage(legacy(FLOATS, -1)),
        "storage of 2**63 numbers": generator_storage(legacy(FLOATS, (1 << 63) - 1)),
        "storage of another kind": generator_storage(legacy(COMPLEX, 1, raw=bytes(8))),
        "storage named by a dict": generator_storage(legacy(b"}", 1, raw=bytes(8))),
        "storage in a storage": generator_storage(MAGIC + pickle.dumps(1001, 2) + file_of(storage())),
        "expanded tensor": generator_around(tensor(numbers(8, 8), numbers(0, 0))),
        "enormous tensor": generator_around(tensor(wide, numbers(0, 0))),
        "tensor beyond its storage": generator_around(tensor(numbers(2, 2), numbers(2, 2))),
        "tensor at a far offset": generator_around(tensor(numbers(1), numbers(1), offset=100)),
        "tensor at a negative offset": generator_around(tensor(numbers(1), numbers(1), offset=-1)),
        "tensor of negative strides": generator_around(tensor(numbers(2, 2), numbers(-1, 1))),
        "tensor of negative sides": generator_around(tensor(numbers(-2, -2), numbers(1, 1))),
        "tensor with too few strides": generator_around(tensor(numbers(2, 2), numbers(1))),
        "tensor of zero and huge sides": generator_around(tensor(numbers(0, 1 << 39), huge)),
        "tensor on a dict": generator_around(tensor(b")", b")", on=b"}")),
        "parameter of a text": generator_around(called(*parameter, uni("x"), b"\x89", b"}")),
        "zip bomb": zipped({"a/data.pkl": EMPTY, "a/data/0": bytes(1 << 20)}, zipfile.ZIP_DEFLATED),
        "zip with an escaping name": zipped({"../../x/data.pkl": EMPTY}),
        "zip of nothing": zipped({}),
        "zip with two pickles": zipped({"a/data.pkl": EMPTY, "b/data.pkl": EMPTY}),
        "safetensors header": struct.pack("<Q", 1 << 62) + b'{"a":1}',
        "safetensors nesting": struct.pack("<Q", 200_002) + b'{"a":' + b"[" * 199_997,
        "safetensors text": struct.pack("<Q", 8) + b'{\xff\xff\xff"":}',
    }


def time() -> dict[str, bytes]:
    """Ways to keep the reader busy or to exhaust its stack."""
    names = b"".join(uni(f"{i:05d}") for i in range(20_000))
    pairs = b"".join(uni(f"{i:05d}") + b"N" for i in range(20_000))
    prime = (1 << 61) - 1  # Python's integers of equal remainder have equal hashes
    same_hash = b"".join(b"\x8a\x10" + (i * prime).to_bytes(16, "little") + b"N" for i in range(1, 20_000))
    new_dict, new_set = named("dnnlib.util", "EasyDict") + b")\x81", named("builtins", "set")
    text = uni("#" * 1_000_000) + b"q\x00"
    source = persistent("A", b"").replace(uni("x"), b"h\x00")
    inner = persistent("Generator", uni("_modules") + b"}(" + uni("a") + b"h\x00" + uni("b") + b"h\x00u")
    itself = persistent("Generator", uni("_modules") + b"h\x00")
    tuples, lists = laughs(60, b"h\x00h\x00\x86"), laughs(60, b"](h\x00h\x00h\x00e")
    return {
        "laughs": file_of(tuples),
        "laughs in lists": file_of(lists),
        "laughs as a key": file_of(b"}", tuples, b"Ns"),
        "laughs in a set": file_of(b"\x8f(", tuples, b"\x90"),
        "laughs as arguments": file_of(persistent("Generator", uni("_init_kwargs") + lists)),
        "laughs as modules": file_of(laughs(60, inner, start=persistent("Generator", b""))),
        "laughs in attributes": file_of(persistent("Generator", uni("c_dim") + tuples, with_modules=True)),
        "laughs in a TensorFlow variable": tf_with(tuples),
        "laughs for a tensor": generator_around(lists),
        "a module inside itself": file_of(b"}q\x00", uni("mapping"), itself, b"q\x01s0h\x01"),
        "200,000 tuples deep": file_of(b")" + b"\x85" * 200_000),
        "200,000 lists deep": file_of(b"]" * 200_000 + b"a" * 199_999),
        "200,000 marks deep": file_of(b"(" * 200_000 + b"t" * 200_000),
        "three million opcodes": file_of(b"N0" * 1_500_000 + b"N"),
        "one dict copied often": file_of(b"}(", pairs, b"uq\x00", (new_dict + b"h\x00b0") * 2_000),
        "one list copied often": file_of(b"](", names, b"eq\x00", (new_set + b"h\x00\x85R0") * 2_000),
        "one text encoded often": file_of(text, called("_codecs", "encode", b"h\x00", uni("latin1")) * 2_000),
        "one source hashed often": file_of(text, source * 3_000),
        "keys of one hash": file_of(b"}(", same_hash, b"u"),
    }


def mistakes(folder: Path) -> dict[str, bytes]:
    """Broken stack programs, missing pieces, truncation."""
    whole = write_rosinality(folder / "whole.pt", small_state()).read_bytes()
    network = dumped(tf_networks(small_state()))
    record = ("torch_utils.persistence", "_reconstruct_persistent_obj")
    return {
        "nothing but a protocol": b"\x80\x04",
        "protocol 255": b"\x80\xffN.",
        "second protocol": file_of(b"\x80\x63N"),
        "no STOP": P4 + b"N",
        "STOP on nothing": file_of(),
        "STOP on two": file_of(b"NN"),
        "STOP inside a MARK": file_of(b"(N"),
        "POP of nothing": file_of(b"0N"),
        "TUPLE without MARK": file_of(b"Nt"),
        "TUPLE3 of two": file_of(b"NN\x87"),
        "TUPLE2 across a MARK": file_of(b"N(N\x86"),
        "MEMOIZE of nothing": file_of(b"\x94"),
        "GET of nothing": file_of(b"h\x07"),
        "LONG_BINGET of nothing": file_of(b"j\xff\xff\xff\xff"),
        "APPEND to a tuple": file_of(b")Na"),
        "APPENDS to a token": file_of(named("builtins", "set") + b"(Ne"),
        "SETITEM on a token": file_of(named("argparse", "Namespace") + uni("x") + b"Ns"),
        "SETITEM on a numpy token": file_of(named("numpy", "ndarray") + uni("x") + b"Ns"),
        "SETITEMS of three": file_of(b"}(NNNu"),
        "SETITEM with a list as key": file_of(b"}]Ns"),
        "ADDITEMS to a list": file_of(b"](N\x90"),
        "text that is no text": file_of(b"\x8c\x02\xff\xff"),
        "unknown opcode": file_of(b"\xee"),
        "persistent object of nothing": file_of(called(*record)),
        "persistent object without source": file_of(called(*record, b"}" + uni("type") + b"Ns")),
        "persistent object of a function": file_of(persistent("A", b"").replace(uni("class"), uni("def"), 1)),
        "a text": file_of(uni("hello")),
        "an empty dict": file_of(b"}"),
        "a dict of others": file_of(b"}" + uni("G_ema") + b"Ns"),
        "half a torch archive": whole[: len(whole) // 2],
        "a torch archive without its end": whole[:-30],
        "a TensorFlow pickle cut off": network[: len(network) // 3],
        "a TensorFlow pickle without its last byte": network[:-1],
        "an npz archive": npz(),
        "a web page": b"<!DOCTYPE html><html>log in</html>",
        "noise": bytes(range(255, 0, -1)) * 9,
        "nothing": b"",
        "one byte": b"\x80",
    }


def npz() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, x=np.zeros(3))
    return buffer.getvalue()


def corpus(canary: Path) -> dict[str, bytes]:
    """All attacks by name."""
    parts: list[dict[str, Any]] = [executions(canary), memory(), time(), mistakes(canary.parent)]
    return {name: content for part in parts for name, content in part.items()}
