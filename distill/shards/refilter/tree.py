"""What an expression over columns is once it is parsed: its nodes, its value for rows, its one way to be written.

n rows; a column is [n], or [n, k] with k numbers a row. `distill.shards.refilter.expression` parses text to this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Rows = NDArray[np.bool_]

COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": lambda a, b: np.less(a, b) | np.greater(a, b),  # false where one is not a number, as the others are
}
REDUCE: dict[str, Callable[[Array], Any]] = {
    "min": lambda array: np.min(array, axis=-1),
    "max": lambda array: np.max(array, axis=-1),
    "span": lambda array: np.max(array, axis=-1) - np.min(array, axis=-1),
}
FUNCTIONS = (*REDUCE, "abs")


@dataclass(frozen=True)
class Number:
    at: int
    value: float


@dataclass(frozen=True)
class Column:
    """`name` is the full one, `shown` what a person writes; `several`: numbers a row, 0 for a plain column."""

    at: int
    name: str
    shown: str
    several: int
    index: int | None = None


@dataclass(frozen=True)
class Call:
    at: int
    function: str
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Comparison:
    at: int
    values: tuple[Value, ...]
    signs: tuple[str, ...]


@dataclass(frozen=True)
class Not:
    at: int
    inner: Truth


@dataclass(frozen=True)
class Join:
    at: int
    word: str  # "and" or "or"
    items: tuple[Truth, ...]


Value = Number | Column | Call
Truth = Comparison | Not | Join


@dataclass(frozen=True)
class Expression:
    """A parsed expression; ways to write it that differ in spaces and brackets alone give the same text."""

    root: Truth

    def __str__(self) -> str:
        return written(self.root)

    @property
    def columns(self) -> list[Column]:
        """The columns it reads, each number of one apart, in the order they are written."""
        found = {(node.name, node.index): node for node in walk(self.root) if isinstance(node, Column)}
        return list(found.values())

    @property
    def terms(self) -> list[Expression]:
        """The parts that must all hold: those joined by the outermost `and`, else the whole."""
        joined = isinstance(self.root, Join) and self.root.word == "and"
        return [Expression(item) for item in self.root.items] if joined else [self]  # type: ignore[union-attr]

    def __call__(self, columns: Mapping[str, Array], n: int) -> Rows:
        """Say for each of n rows whether it holds. What is not a number compares as false, with != too.

        A number is compared in the type of its column: a float32 score equals 0.9 where float32(0.9) is stored.
        """
        with np.errstate(over="ignore", invalid="ignore"):  # 1e300 is infinite beside a float32
            return np.broadcast_to(_truth(self.root, columns), (n,)).astype(np.bool_)


def written(node: Value | Truth) -> str:
    """Write a node as text that parses to it again."""
    match node:
        case Number(value=value):
            return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
        case Column(shown=shown, index=index):
            return shown if index is None else f"{shown}[{index}]"
        case Call(function=function, values=values):
            return f"{function}({', '.join(map(written, values))})"
        case Comparison(values=values, signs=signs):
            rest = (f" {sign} {written(value)}" for sign, value in zip(signs, values[1:], strict=True))
            return written(values[0]) + "".join(rest)
        case Not(inner=inner):
            return f"not ({written(inner)})" if isinstance(inner, Join) else f"not {written(inner)}"
        case Join(word=word, items=items):
            parts = (f"({written(item)})" if isinstance(item, Join) else written(item) for item in items)
            return f" {word} ".join(parts)


def walk(node: Value | Truth) -> Iterator[Value | Truth]:
    """Yield a node and all below it."""
    yield node
    inside: tuple[Value | Truth, ...] = ()
    match node:
        case Call(values=values) | Comparison(values=values):
            inside = values
        case Not(inner=inner):
            inside = (inner,)
        case Join(items=items):
            inside = items
    for item in inside:
        yield from walk(item)


# ---- what it means


def _truth(node: Truth, columns: Mapping[str, Array]) -> Any:
    match node:
        case Not(inner=inner):
            return np.logical_not(_truth(inner, columns))
        case Join(word=word, items=items):
            join = np.logical_and if word == "and" else np.logical_or
            found = _truth(items[0], columns)
            for item in items[1:]:
                found = join(found, _truth(item, columns))
            return found
        case Comparison(values=nodes, signs=signs):
            values = [_value(value, columns) for value in nodes]
            pairs = zip(signs, values[:-1], values[1:], strict=True)
            return np.logical_and.reduce(np.broadcast_arrays(*(COMPARE[s](a, b) for s, a, b in pairs)))


def _value(node: Value, columns: Mapping[str, Array]) -> Any:
    """A number, or an array [n] or [n, k]."""
    match node:
        case Number(value=value):
            return value
        case Column(name=name, index=index):
            array = columns[name]
            if index is not None:
                return array[:, index]
            return array[:, 0] if array.shape[1:] == (1,) else array
        case Call(function=function, values=nodes):
            values = [_value(value, columns) for value in nodes]
            if function == "abs":
                return np.abs(values[0])
            array = values[0] if len(values) == 1 else np.stack(np.broadcast_arrays(*values), axis=-1)
            return REDUCE[function](array)
