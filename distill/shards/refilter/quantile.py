"""`quantile(NUMBER, q)` in an expression: what it comes to over all rows takes its place before rows are chosen.

A part q of the rows lies below the quantile; between two rows it is interpolated, as numpy and pandas do by default.
Only a complete data set has quantiles, so that none depends on the order in which its shards were made.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from distill.errors import DistillError
from distill.shards.refilter.expression import Array, Expression, is_quantile


@dataclass(frozen=True, kw_only=True)
class Quantile:
    """A quantile as it was written, and its value over the `rows` that have a number; `missing` others have none."""

    text: str
    value: float
    rows: int
    missing: int

    def __str__(self) -> str:
        without = f" (not a number in {self.missing} others)" if self.missing else ""
        return f"{self.text} is {self.value:.7g}, over {self.rows} rows{without}"


def settle(
    expression: Expression, tables: Iterable[tuple[Mapping[str, Array], int]]
) -> tuple[Expression, tuple[Quantile, ...]]:
    """Put numbers in place of the quantiles of an expression, taken over all tables of columns and their rows.

    Raises DistillError for a quantile of what is nowhere a number.
    """
    found: dict[str, list[Array]] = {}
    for columns, rows in tables:
        for text, node in {ast.unparse(node): node for node in expression.quantiles}.items():
            values = expression.value(node.args[0], columns)
            found.setdefault(text, []).append(np.broadcast_to(values, (rows,)))
    parts = {ast.unparse(node): node.args[1] for node in expression.quantiles}
    settled = {text: _taken(text, part, np.concatenate(found[text])) for text, part in parts.items()}
    root = _Numbers(settled).visit(copy.deepcopy(expression.root))
    return Expression(root, expression.names), tuple(settled.values())


def _taken(text: str, part: ast.expr, values_N: Array) -> Quantile:
    """Take one, in the type of its column: it is compared in that, and its shortest text is the number meant."""
    known = values_N[np.isfinite(values_N)]
    if not known.size:
        raise DistillError(
            f"--where: {text} has no value: none of the {len(values_N)} rows has a number there"
        )
    value = np.quantile(known.astype(np.float64), ast.literal_eval(part))
    if known.dtype.kind == "f":
        value = known.dtype.type(value)
    return Quantile(text=text, value=float(str(value)), rows=known.size, missing=len(values_N) - known.size)


class _Numbers(ast.NodeTransformer):
    """Puts the value of each quantile in its place."""

    def __init__(self, settled: Mapping[str, Quantile]) -> None:
        self.settled = settled

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if not is_quantile(node):
            return self.generic_visit(node)
        value = self.settled[ast.unparse(node)].value
        number = ast.Constant(int(abs(value)) if value.is_integer() and abs(value) < 1e15 else abs(value))
        return ast.UnaryOp(ast.USub(), number) if value < 0 else number
