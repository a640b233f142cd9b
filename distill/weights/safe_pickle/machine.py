"""The state of the restricted pickle machine: stack, memo, position, budgets. Its opcodes: `unpickle`."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from distill.errors import UnsafePickle

MIB = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a pickle may cost: opcodes (and items copied), bytes allocated, bytes of one text, open marks."""

    ops: int = 1_000_000
    memory: int = 512 * MIB
    text: int = 64 * MIB
    marks: int = 1_000


class Buildable:
    """A record of ours that BUILD may fill; `build` checks the state itself."""

    __slots__ = ()

    def build(self, machine: Machine, state: object) -> None:
        raise machine.refusal(f"refused BUILD of {type(self).__name__}")


@dataclass(frozen=True, slots=True, eq=False)
class Token:
    """What a global of the pickle stands for: `reduce` answers REDUCE, `new` answers NEWOBJ; None refuses."""

    name: str
    reduce: Callable[[Machine, tuple[Any, ...]], object] | None = None
    new: Callable[[], object] | None = None
    value: object = None


Table = Mapping[tuple[str, str], Token]
Persistent = Callable[["Machine", object], object]


def shown(value: object, length: int = 60) -> str:
    """Quote a value from a file on one line: text cut and without control characters, others by their type's name.

    Whatever a file says and a terminal shows goes through here.
    """
    if isinstance(value, Token):
        return value.name
    if isinstance(value, (bool, float)) or value is None:
        return str(value)
    if isinstance(value, int):
        return str(value) if abs(value) < 1 << 64 else "a huge integer"
    if isinstance(value, str):
        text = "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in value[: length + 1])
        return text if len(text) <= length else text[:length] + "…"
    return f"a {type(value).__name__}"


def opcode_name(code: int) -> str:
    """Name an opcode byte as the pickle documentation does."""
    names = [name for name in pickle.__all__ if getattr(pickle, name) == bytes([code])]
    return names[0] if names else f"0x{code:02x}"


class Machine:
    """The stack machine: `stack`, `marks` (stack heights), `memo`, and a position in `data`."""

    def __init__(
        self, data: memoryview, table: Table, *, start: int, persistent: Persistent | None, limits: Limits
    ) -> None:
        self.data = data
        self.table = table
        self.persistent = persistent
        self.limits = limits
        self.position = start
        self.at = start
        self.code = 0
        self.ops = 0
        self.memory = 0
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    # ---- budgets and errors

    def refusal(self, what: str) -> UnsafePickle:
        return UnsafePickle(f"{what} (byte {self.at})")

    def spend(self, ops: int) -> None:
        self.ops += ops
        if self.ops > self.limits.ops:
            raise self.refusal(f"more than {self.limits.ops:,} pickle operations, beyond any weight file")

    def allocate(self, size: int) -> None:
        self.memory += size
        if self.memory > self.limits.memory:
            raise self.refusal(f"asks for more than {self.limits.memory // MIB:,} MiB of memory")

    # ---- reading

    def take(self, size: int) -> memoryview:
        """Return the next `size` bytes as a slice of the file."""
        left = len(self.data) - self.position
        if size > left:
            raise self.refusal(f"truncated: {opcode_name(self.code)} needs {size:,} bytes, {left:,} are left")
        self.position += size
        return self.data[self.position - size : self.position]

    def number(self, layout: struct.Struct) -> Any:
        return layout.unpack(self.take(layout.size))[0]

    def line(self) -> str:
        """Read up to a newline: the two halves of a GLOBAL (at most 256 bytes each)."""
        window = bytes(self.data[self.position : self.position + 257])
        size = window.find(b"\n")
        if size < 0:
            raise self.refusal("a global without an end of line within 256 bytes")
        self.take(size + 1)
        return window[:size].decode("utf-8")

    # ---- stack

    def pop(self) -> Any:
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise self.refusal(f"broken pickle: {opcode_name(self.code)} on an empty stack")
        return self.stack.pop()

    def top(self) -> Any:
        value = self.pop()
        self.stack.append(value)
        return value

    def pop_mark(self) -> list[Any]:
        if not self.marks:
            raise self.refusal(f"broken pickle: {opcode_name(self.code)} without a MARK")
        height = self.marks.pop()
        items = self.stack[height:]
        del self.stack[height:]
        return items
