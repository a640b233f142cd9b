"""Read a pickle without running anything that it asks for.

A pickle is a program for a small stack machine. The one here knows fewer instructions than Python's: no text
opcodes, no INST, OBJ, EXT, NEWOBJ_EX, no out-of-band buffers. A global is looked up in a table that the
caller passes in and becomes a `Token`: a label with our own function behind it. Nothing is imported, and
REDUCE, NEWOBJ and BUILD reach only our own functions. Long byte strings are slices of the file, never copies.

Opcodes and allocated bytes are counted; a length is checked against the bytes left before anything is made.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable, Mapping
from typing import Any

from distill.errors import UnsafePickle
from distill.weights.safe_pickle import values
from distill.weights.safe_pickle.machine import (
    Buildable,
    Limits,
    Machine,
    Persistent,
    Table,
    Token,
    opcode_name,
    shown,
)

BROKEN = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)


def load(
    data: memoryview,
    table: Table,
    *,
    start: int = 0,
    persistent: Persistent | None = None,
    limits: Limits | None = None,
) -> tuple[Any, int]:
    """Run the pickle at `data[start:]`; return what it holds and the position after its STOP.

    Raises UnsafePickle, and nothing else, for whatever is refused or broken.
    """
    machine = Machine(data, table, start=start, persistent=persistent, limits=limits or Limits())
    try:
        return _run(machine)
    except UnsafePickle:
        raise
    except BROKEN as error:
        what = f"broken pickle: {type(error).__name__} in {opcode_name(machine.code)} at byte {machine.at}"
        raise UnsafePickle(what) from error


def _run(machine: Machine) -> tuple[Any, int]:
    data, end = machine.data, len(machine.data)
    if end < machine.position + 2:
        raise UnsafePickle(f"truncated: {max(0, end - machine.position)} bytes are not a pickle")
    if data[machine.position] != PROTO:
        raise UnsafePickle(f"not a pickle of protocol 2 to 5 at byte {machine.position}")
    while True:
        machine.at = machine.position
        if machine.at >= end:
            raise UnsafePickle(f"truncated: the file ends at byte {end:,} without a STOP opcode")
        machine.code = data[machine.at]
        machine.position += 1
        machine.spend(1)
        if machine.code == STOP:
            return _result(machine), machine.position
        action = ACTIONS.get(machine.code)
        if action is None:
            raise machine.refusal(f"refused opcode {opcode_name(machine.code)}: no weight file needs it")
        action(machine)


def _result(machine: Machine) -> Any:
    if len(machine.stack) != 1 or machine.marks:
        raise machine.refusal(f"broken pickle: STOP with {len(machine.stack)} values on the stack")
    return machine.stack[0]


# ---- containers


def _mark(machine: Machine) -> None:
    if len(machine.marks) >= machine.limits.marks:
        raise machine.refusal(f"nested deeper than {machine.limits.marks:,}")
    machine.marks.append(len(machine.stack))


def _pop(machine: Machine) -> None:
    if machine.marks and machine.marks[-1] == len(machine.stack):
        machine.marks.pop()
    else:
        machine.pop()


def _tuple_of(count: int) -> Callable[[Machine], None]:
    def build(machine: Machine) -> None:
        items = [machine.pop() for _ in range(count)]
        machine.stack.append(tuple(reversed(items)))

    return build


def _extend(machine: Machine, items: list[Any]) -> None:
    target = machine.top()
    if type(target) is not list:
        raise machine.refusal(f"{opcode_name(machine.code)} on {shown(target)}")
    target.extend(items)


def _set_items(machine: Machine, items: list[Any]) -> None:
    target = machine.top()
    if not isinstance(target, dict) or len(items) % 2:
        raise machine.refusal(f"{opcode_name(machine.code)} on {shown(target)} with {len(items)} values")
    for key, value in zip(items[::2], items[1::2], strict=True):
        target[plain_key(machine, key)] = value


def _add_items(machine: Machine) -> None:
    items, target = machine.pop_mark(), machine.top()
    if type(target) is not set:
        raise machine.refusal(f"ADDITEMS on {shown(target)}")
    target.update(plain_key(machine, item) for item in items)


def plain_key(machine: Machine, key: object) -> str | int | None:
    """Let through what hashes quickly: text and 64-bit integers (hashing nested tuples may take for ever)."""
    if key is None or isinstance(key, str) or (isinstance(key, int) and abs(key) < 1 << 63):
        return key
    raise machine.refusal(f"{shown(key)} as a key")


def _set_item(machine: Machine) -> None:
    value, key = machine.pop(), machine.pop()
    _set_items(machine, [key, value])


# ---- globals and what may be done with them


def _find(machine: Machine, module: object, name: object) -> None:
    if not isinstance(module, str) or not isinstance(name, str):
        raise machine.refusal(f"a global named by {shown(module)} and {shown(name)}, not by two texts")
    token = machine.table.get((module, name))
    if token is None:
        raise machine.refusal(f"refused global {shown(module)}.{shown(name)}")
    machine.stack.append(token)


def _global(machine: Machine) -> None:
    module, name = machine.line(), machine.line()
    _find(machine, module, name)


def _stack_global(machine: Machine) -> None:
    name, module = machine.pop(), machine.pop()
    _find(machine, module, name)


def _reduce(machine: Machine) -> None:
    args, target = machine.pop(), machine.pop()
    if not isinstance(target, Token) or target.reduce is None or not isinstance(args, tuple):
        raise machine.refusal(f"refused call of {shown(target)} with {shown(args)}")
    machine.stack.append(target.reduce(machine, args))


def _newobj(machine: Machine) -> None:
    args, target = machine.pop(), machine.pop()
    if not isinstance(target, Token) or target.new is None or not isinstance(args, tuple) or args:
        raise machine.refusal(f"refused construction of {shown(target)} with {shown(args)}")
    machine.stack.append(target.new())


def _build(machine: Machine) -> None:
    state, target = machine.pop(), machine.top()
    if not isinstance(target, Buildable):
        raise machine.refusal(f"refused BUILD on {shown(target)}")
    target.build(machine, state)


def _binpersid(machine: Machine) -> None:
    if machine.persistent is None:
        raise machine.refusal("opcode BINPERSID is not allowed here")
    machine.stack.append(machine.persistent(machine, machine.pop()))


PROTO, STOP = pickle.PROTO[0], pickle.STOP[0]
ACTIONS: Mapping[int, Callable[[Machine], None]] = {
    code[0]: action
    for code, action in (
        (pickle.PROTO, values.proto),
        (pickle.FRAME, values.frame),
        (pickle.NONE, values.constant(None)),
        (pickle.NEWTRUE, values.constant(True)),
        (pickle.NEWFALSE, values.constant(False)),
        (pickle.EMPTY_TUPLE, values.constant(())),
        (pickle.EMPTY_LIST, values.empty(list)),
        (pickle.EMPTY_DICT, values.empty(dict)),
        (pickle.EMPTY_SET, values.empty(set)),
        (pickle.BININT, values.fixed(values.I4)),
        (pickle.BININT1, values.fixed(values.U1)),
        (pickle.BININT2, values.fixed(values.U2)),
        (pickle.BINFLOAT, values.fixed(values.F8)),
        (pickle.LONG1, values.long_integer(values.U1)),
        (pickle.LONG4, values.long_integer(values.U4)),
        (pickle.SHORT_BINUNICODE, values.text(values.U1)),
        (pickle.BINUNICODE, values.text(values.U4)),
        (pickle.BINUNICODE8, values.text(values.U8)),
        (pickle.SHORT_BINBYTES, values.byte_string(values.U1)),
        (pickle.BINBYTES, values.byte_string(values.U4)),
        (pickle.BINBYTES8, values.byte_string(values.U8)),
        (pickle.BYTEARRAY8, values.byte_string(values.U8)),
        (pickle.BINPUT, values.put(values.U1)),
        (pickle.LONG_BINPUT, values.put(values.U4)),
        (pickle.MEMOIZE, values.memoize),
        (pickle.BINGET, values.get(values.U1)),
        (pickle.LONG_BINGET, values.get(values.U4)),
        (pickle.MARK, _mark),
        (pickle.POP, _pop),
        (pickle.POP_MARK, lambda machine: machine.pop_mark().clear()),
        (pickle.TUPLE, lambda machine: machine.stack.append(tuple(machine.pop_mark()))),
        (pickle.TUPLE1, _tuple_of(1)),
        (pickle.TUPLE2, _tuple_of(2)),
        (pickle.TUPLE3, _tuple_of(3)),
        (pickle.APPEND, lambda machine: _extend(machine, [machine.pop()])),
        (pickle.APPENDS, lambda machine: _extend(machine, machine.pop_mark())),
        (pickle.SETITEM, _set_item),
        (pickle.SETITEMS, lambda machine: _set_items(machine, machine.pop_mark())),
        (pickle.ADDITEMS, _add_items),
        (pickle.GLOBAL, _global),
        (pickle.STACK_GLOBAL, _stack_global),
        (pickle.REDUCE, _reduce),
        (pickle.NEWOBJ, _newobj),
        (pickle.BUILD, _build),
        (pickle.BINPERSID, _binpersid),
    )
}
