"""Opcodes that read values from the file or the memo: numbers, text, byte strings."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable

from distill.weights.safe_pickle.machine import MIB, Machine

LONG_BYTES = 64  # from here on a byte string stays a slice of the file
MAX_INT_BYTES = 255

Action = Callable[[Machine], None]
U1, U2, U4, U8 = (struct.Struct(layout) for layout in ("<B", "<H", "<I", "<Q"))
I4, F8 = struct.Struct("<i"), struct.Struct(">d")


def proto(machine: Machine) -> None:
    version = machine.number(U1)
    if not 2 <= version <= 5:
        raise machine.refusal(f"pickle protocol {version} is not one of 2 to 5")


def frame(machine: Machine) -> None:
    size, left = machine.number(U8), len(machine.data) - machine.position
    if size > left:
        raise machine.refusal(f"truncated: FRAME announces {size:,} bytes, {left:,} are left")


def constant(value: object) -> Action:
    return lambda machine: machine.stack.append(value)


def empty(kind: Callable[[], object]) -> Action:
    return lambda machine: machine.stack.append(kind())


def fixed(layout: struct.Struct) -> Action:
    return lambda machine: machine.stack.append(machine.number(layout))


def long_integer(layout: struct.Struct) -> Action:
    def read(machine: Machine) -> None:
        size = machine.number(layout)
        if size > MAX_INT_BYTES:
            raise machine.refusal(f"an integer of {size:,} bytes")
        machine.stack.append(int.from_bytes(machine.take(size), "little", signed=True))

    return read


def text(layout: struct.Struct) -> Action:
    def read(machine: Machine) -> None:
        raw = machine.take(machine.number(layout))
        if len(raw) > machine.limits.text:
            raise machine.refusal(f"a text of {len(raw):,} bytes, more than {machine.limits.text // MIB} MiB")
        machine.allocate(len(raw))
        made = str(raw, "utf-8", "surrogatepass")
        machine.allocate(max(0, sys.getsizeof(made) - len(raw)))  # one wide character makes all of them wide
        machine.stack.append(made)

    return read


def byte_string(layout: struct.Struct) -> Action:
    def read(machine: Machine) -> None:
        raw = machine.take(machine.number(layout))
        machine.stack.append(raw if len(raw) >= LONG_BYTES else bytes(raw))

    return read


# ---- memo


def put(layout: struct.Struct) -> Action:
    def store(machine: Machine) -> None:
        index = machine.number(layout)
        if index > machine.limits.ops:
            raise machine.refusal(f"memo index {index:,} is beyond {machine.limits.ops:,}")
        machine.memo[index] = machine.top()

    return store


def memoize(machine: Machine) -> None:
    machine.memo[len(machine.memo)] = machine.top()


def get(layout: struct.Struct) -> Action:
    def fetch(machine: Machine) -> None:
        index = machine.number(layout)
        if index not in machine.memo:
            raise machine.refusal(f"broken pickle: nothing is stored under memo index {index:,}")
        machine.stack.append(machine.memo[index])

    return fetch
