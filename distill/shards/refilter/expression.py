"""A small language to choose rows by their numbers: `identity < 0.5 and not (gender[0] > 0.1 or smile <= 0)`.

It is Python's own syntax, read by `ast`, of which only this is let through; nothing is ever run as Python: names of
columns, numbers, comparisons (chained ones too), and/or/not, brackets, one number of a column that holds several
(`gender[0]`), and min, max, span and abs of numbers. `min`, `max` and `span` (the largest less the smallest) take one
column of several numbers a row, or several values. `quantile(ssim, 0.6)` is one number for all rows, put in by
`quantile.settle` before an expression is asked about rows.

n rows; a column is [n], or [n, k] with k numbers a row.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Rows = NDArray[np.bool_]

COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
    ast.Eq: np.equal,
    ast.NotEq: lambda a, b: (
        np.less(a, b) | np.greater(a, b)
    ),  # false where one is not a number, as the others are
}
REDUCE: dict[str, Callable[[Array], Any]] = {
    "min": lambda array: np.min(array, axis=-1),
    "max": lambda array: np.max(array, axis=-1),
    "span": lambda array: np.max(array, axis=-1) - np.min(array, axis=-1),
}
QUANTILE = "quantile"
FUNCTIONS = (*REDUCE, "abs", QUANTILE)


@dataclass(frozen=True)
class NamedColumn:
    """`name` is the full one, `shown` what a person writes; `several`: numbers a row, 0 for a plain column."""

    name: str
    shown: str
    several: int
    index: int | None = None

    def __str__(self) -> str:
        return self.shown if self.index is None else f"{self.shown}[{self.index}]"


@dataclass(frozen=True)
class Expression:
    """A checked expression; ways to write it that differ in spaces and brackets alone give the same text."""

    root: ast.expr
    names: Mapping[str, NamedColumn]  # by what stands in the tree

    def __str__(self) -> str:
        return _written(self.root)

    @property
    def columns(self) -> list[NamedColumn]:
        """The columns it reads, each number of one apart, in the order they are written."""
        found = (self.names[node.id] for node in walk(self.root) if isinstance(node, ast.Name))
        return list(dict.fromkeys(found))

    @property
    def quantiles(self) -> list[ast.Call]:
        """The quantiles in it, which need the numbers of all rows."""
        return [node for node in walk(self.root) if is_quantile(node)]

    @property
    def terms(self) -> list[Expression]:
        """The parts that must all hold: those joined by the outermost `and`, else the whole."""
        root = self.root
        joined = isinstance(root, ast.BoolOp) and isinstance(root.op, ast.And)
        return [Expression(item, self.names) for item in root.values] if joined else [self]  # type: ignore[attr-defined]

    def __call__(self, columns: Mapping[str, Array], n: int) -> Rows:
        """Say for each of n rows whether it holds. What is not a number compares as false, with != too.

        A number is compared in the type of its column: a float32 score equals 0.9 where float32(0.9) is stored.
        """
        with np.errstate(over="ignore", invalid="ignore"):  # 1e300 is infinite beside a float32
            return np.broadcast_to(self.value(self.root, columns), (n,)).astype(np.bool_)

    def value(self, node: ast.expr, columns: Mapping[str, Array]) -> Any:
        """Return what a part of it comes to: a number, or an array [n] or [n, k]."""
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                return _numbers_of(self.names[name], columns)
            case ast.Call(func=ast.Name(id=function), args=args):
                return _reduced(function, [self.value(item, columns) for item in args])
            case ast.UnaryOp(op=ast.USub(), operand=inner):
                return -self.value(inner, columns)
            case ast.UnaryOp(operand=inner):
                return np.logical_not(self.value(inner, columns))
            case ast.BoolOp(op=op, values=parts):
                join = np.logical_and if isinstance(op, ast.And) else np.logical_or
                return join.reduce(np.broadcast_arrays(*(self.value(item, columns) for item in parts)))
            case ast.Compare(left=left, ops=ops, comparators=rest):
                values = [self.value(item, columns) for item in (left, *rest)]
                pairs = zip(ops, values[:-1], values[1:], strict=True)
                found = [COMPARE[type(op)](a, b) for op, a, b in pairs]
                return np.logical_and.reduce(np.broadcast_arrays(*found))
        raise AssertionError(f"{type(node).__name__} was not checked")


def _numbers_of(column: NamedColumn, columns: Mapping[str, Array]) -> Array:
    array = columns[column.name]
    if column.index is not None:
        return array[:, column.index]
    return array[:, 0] if array.shape[1:] == (1,) else array


def _reduced(function: str, values: list[Any]) -> Any:
    if function == "abs":
        return np.abs(values[0])
    array = values[0] if len(values) == 1 else np.stack(np.broadcast_arrays(*values), axis=-1)
    return REDUCE[function](array)


def is_quantile(node: ast.AST) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == QUANTILE


def walk(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node and all below it in the order they are written, functions' names left out."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not (isinstance(node, ast.Call) and child is node.func):
            yield from walk(child)


def _written(node: ast.expr) -> str:
    """Write a checked node with the fewest brackets, as text that parses to it again."""
    match node:
        case ast.BoolOp(op=op, values=parts):
            word = " and " if isinstance(op, ast.And) else " or "
            return word.join(
                f"({_written(part)})" if isinstance(part, ast.BoolOp) else _written(part) for part in parts
            )
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            return f"not ({_written(inner)})" if isinstance(inner, ast.BoolOp) else f"not {_written(inner)}"
    return ast.unparse(node)
