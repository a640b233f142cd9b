"""What the globals of weight pickles stand for here: inert records, and the tables that name them.

The globals are those of real files (NVIDIA's PyTorch and TensorFlow pickles, torch archives); nothing of
torch_utils, dnnlib, TensorFlow or numpy's own unpickling is imported or called.
"""

from __future__ import annotations

import hashlib
import math
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill.weights.safe_pickle.machine import Buildable, Machine, Table, Token, shown

FLOATS = ("f2", "f4", "f8")
_NUMERIC = (*FLOATS, "b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")  # no objects, no records, no text
MAX_DIMS = 16


class AttributeDict(dict[Any, Any], Buildable):
    """A dict that BUILD may extend: EasyDict, OrderedDict, argparse.Namespace, a pickled network's state."""

    def build(self, machine: Machine, state: object) -> None:
        if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
            raise machine.refusal(f"refused BUILD of {type(self).__name__} with {shown(state)}")
        machine.spend(len(state))
        self.update(state)


class Ordered(AttributeDict):
    """collections.OrderedDict; its only attribute in weight files, torch's `_metadata`, is left out."""

    def build(self, machine: Machine, state: object) -> None:
        if not isinstance(state, dict) or set(state) != {"_metadata"}:
            raise machine.refusal(f"refused BUILD of an OrderedDict with {shown(state)}")


class TFNetwork(AttributeDict):
    """A dnnlib.tflib.network.Network: name, static_kwargs, components, variables, source code as text."""


class PersistentObject:
    """An object of torch_utils.persistence: class name, sha256 of its source (never compiled), attributes."""

    __slots__ = ("class_name", "source_sha256", "state")

    def __init__(self, class_name: str, source_sha256: str, state: dict[str, Any]) -> None:
        self.class_name = class_name
        self.source_sha256 = source_sha256
        self.state = state


class DType(Buildable):
    """A numpy dtype out of the numeric ones, little-endian."""

    __slots__ = ("code",)

    def __init__(self, code: str) -> None:
        self.code = code

    @property
    def itemsize(self) -> int:
        return int(self.code[1])

    def build(self, machine: Machine, state: object) -> None:
        plain = isinstance(state, tuple) and len(state) in (8, 9) and state[1] in ("<", "|", "=")
        if not plain or state[2:5] != (None, None, None):  # type: ignore[index]
            raise machine.refusal(f"refused numpy dtype {self.code}: big-endian or with fields")


class Array(Buildable):
    """A numpy array that still lies in the file: `shape`, `dtype`, `data`."""

    __slots__ = ("data", "dtype", "fortran", "shape")

    def __init__(self) -> None:
        self.shape: tuple[int, ...] | None = None

    def build(self, machine: Machine, state: object) -> None:
        if not isinstance(state, tuple) or len(state) not in (4, 5):
            raise machine.refusal(f"refused BUILD of a numpy array with {shown(state)}")
        self.fill(machine, *state[-4:])

    def fill(self, machine: Machine, shape: object, dtype: object, fortran: object, data: object) -> None:
        if not isinstance(dtype, DType) or not isinstance(data, (bytes, memoryview)):
            raise machine.refusal(f"refused numpy array of dtype {shown(dtype)} holding {shown(data)}")
        sizes = checked_sizes(machine, shape)
        if math.prod(sizes) * dtype.itemsize != len(data):
            raise machine.refusal(
                f"refused numpy array: {len(data):,} bytes do not make up {shown_sizes(sizes)}"
            )
        self.shape, self.dtype, self.fortran, self.data = sizes, dtype, bool(fortran), data

    @classmethod
    def of_number(cls, value: float) -> Array:
        """Make an array without axes."""
        made = cls()
        made.shape, made.dtype, made.fortran, made.data = (), DType("f8"), False, struct.pack("<d", value)
        return made

    def values(self) -> NDArray[Any]:
        """View the array in the file. Raises ValueError where BUILD never came."""
        if self.shape is None:
            raise ValueError("a numpy array without contents")
        flat = np.frombuffer(self.data, dtype="<" + self.dtype.code)
        return flat.reshape(self.shape, order="F" if self.fortran else "C")

    @property
    def is_float(self) -> bool:
        return self.shape is not None and self.dtype.code in FLOATS


def checked_sizes(machine: Machine, shape: object) -> tuple[int, ...]:
    """Accept a tuple of at most 16 non-negative integers below 2**40."""
    if not isinstance(shape, tuple) or len(shape) > MAX_DIMS:
        raise machine.refusal(f"refused array shape: {shown(shape)}, not a tuple of at most {MAX_DIMS} sizes")
    if not all(type(size) is int and 0 <= size < 1 << 40 for size in shape):
        raise machine.refusal("refused array shape: sizes must be non-negative integers")
    return shape


def shown_sizes(sizes: tuple[int, ...]) -> str:
    return "[" + ", ".join(str(size) for size in sizes) + "]"


# ---- what the tokens do


def _ordered_dict(machine: Machine, args: tuple[Any, ...]) -> Ordered:
    made = Ordered()
    pairs = args[0] if args else []
    if len(args) > 1 or not isinstance(pairs, list):
        raise machine.refusal("refused OrderedDict: its argument is not a list of pairs")
    machine.spend(len(pairs))
    for pair in pairs:
        if not isinstance(pair, (list, tuple)) or len(pair) != 2 or not isinstance(pair[0], str):
            raise machine.refusal("refused OrderedDict: its argument is not a list of pairs")
        made[pair[0]] = pair[1]
    return made


def _set(machine: Machine, args: tuple[Any, ...]) -> set[str]:
    items = args[0] if args else []
    if (
        len(args) > 1
        or not isinstance(items, (list, tuple))
        or not all(isinstance(item, str) for item in items)
    ):
        raise machine.refusal("refused set: its argument is not a list of names")
    machine.spend(len(items))
    return set(items)


def _encode(machine: Machine, args: tuple[Any, ...]) -> bytes:
    """Bytes as protocol 2 writes them: a text of code points 0 to 255."""
    if len(args) != 2 or not isinstance(args[0], str) or args[1] not in ("latin1", "latin-1"):
        raise machine.refusal("refused _codecs.encode: anything but a text to latin1")
    machine.allocate(len(args[0]))
    return args[0].encode("latin-1")


def _dtype(machine: Machine, args: tuple[Any, ...]) -> DType:
    code = args[0] if args else None
    if not isinstance(code, str) or code not in _NUMERIC:
        raise machine.refusal(f"refused numpy dtype {shown(code)}: not a plain number")
    return DType(code)


def _array(machine: Machine, args: tuple[Any, ...]) -> Array:
    if len(args) != 3 or not isinstance(args[0], Token) or args[0].name != "numpy.ndarray":
        raise machine.refusal("refused numpy reconstruction of anything but an ndarray")
    return Array()


def _array_from_buffer(machine: Machine, args: tuple[Any, ...]) -> Array:
    if len(args) not in (4, 5) or args[3] not in ("C", "F") or args[4:] not in ((), (None,)):
        raise machine.refusal(f"refused numpy buffer with {len(args)} arguments")
    made = Array()
    made.fill(machine, args[2], args[1], args[3] == "F", args[0])
    return made


def _scalar(machine: Machine, args: tuple[Any, ...]) -> object:
    if len(args) != 2:
        raise machine.refusal("refused numpy scalar: not a dtype and its bytes")
    made = Array()
    made.fill(machine, (), args[0], False, args[1])
    return made.values().item()


def _persistent_object(machine: Machine, args: tuple[Any, ...]) -> PersistentObject:
    meta = args[0] if len(args) == 1 and isinstance(args[0], dict) else {}
    name, source, state = meta.get("class_name"), meta.get("module_src"), meta.get("state")
    if not isinstance(name, str) or not isinstance(source, str) or not isinstance(state, dict):
        raise machine.refusal("refused persistent object: class name, source text or state is missing")
    if meta.get("type") != "class":
        raise machine.refusal(f"refused persistent object of type {shown(meta.get('type'))}")
    machine.spend(1 + len(source) // 400)  # hashing is work too
    digest = hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()
    return PersistentObject(name, digest, state)


def table_of(*tokens: Token) -> dict[tuple[str, str], Token]:
    """Index tokens by (module, name); a token's name is `module.name`."""
    return {(token.name.rpartition(".")[0], token.name.rpartition(".")[2]): token for token in tokens}


def _numpy_tokens() -> list[Token]:
    """numpy's own names, before 2.0 (`numpy.core`) and since (`numpy._core`)."""
    tokens = [Token("numpy.ndarray"), Token("numpy.dtype", _dtype)]
    for core in ("numpy.core", "numpy._core"):
        tokens.append(Token(f"{core}.multiarray._reconstruct", _array))
        tokens.append(Token(f"{core}.multiarray.scalar", _scalar))
        tokens.append(Token(f"{core}.numeric._frombuffer", _array_from_buffer))
    return tokens


def inert(machine: Machine, args: tuple[Any, ...]) -> object:
    """A plain value that no network needs, such as a path or a device: its arguments."""
    return args


def _inert_tokens() -> list[Token]:
    paths = [f"{kind}Path" for kind in ("", "Posix", "Windows", "PurePosix", "PureWindows", "Pure")]
    names = [f"{home}.{path}" for home in ("pathlib", "pathlib._local") for path in paths]
    names += [f"datetime.{name}" for name in ("datetime", "date", "timedelta")]
    names += [
        f"{home}.{name}"
        for home in ("builtins", "__builtin__")
        for name in ("complex", "range", "xrange", "slice")
    ]
    return [Token(name, inert) for name in names]


COMMON: Table = table_of(
    Token("collections.OrderedDict", _ordered_dict, Ordered),
    Token("builtins.set", _set),
    Token("__builtin__.set", _set),
    Token("_codecs.encode", _encode),
    *_numpy_tokens(),
    *_inert_tokens(),
)
NVIDIA: Table = table_of(
    Token("torch_utils.persistence._reconstruct_persistent_obj", _persistent_object),
    Token("dnnlib.tflib.network.Network", None, TFNetwork),
    Token("dnnlib.util.EasyDict", None, AttributeDict),
    Token("dnnlib.EasyDict", None, AttributeDict),
)
NAMESPACE: Table = table_of(Token("argparse.Namespace", None, AttributeDict))
