"""Text → expression: what of Python's syntax the language of `--where` has, and what is said of the rest."""

from __future__ import annotations

import ast
import difflib
import math
import warnings
from collections.abc import Mapping
from typing import NoReturn

from distill.errors import DistillError
from distill.shards.refilter.expression import (
    COMPARE,
    FUNCTIONS,
    QUANTILE,
    Expression,
    NamedColumn,
    is_quantile,
    walk,
)

LONGEST = 2000  # characters
DEEPEST = 50  # nodes inside one another
SHOWN = 24  # names in an error
HINTS = {
    "=": "two numbers are compared with ==",
    "&": "write and",
    "|": "write or",
    "!": "write not, or != between two numbers",
    "'": "names are written without quotes",
    '"': "names are written without quotes",
    **dict.fromkeys("+*%^", "there is no arithmetic"),
}


class ExpressionError(DistillError):
    """An expression that does not parse, or asks for what is not there; the line names the column, from 1."""


def parse(text: str, shapes: Mapping[str, tuple[int, ...]]) -> Expression:
    """Parse an expression over columns by full name ("scores/identity"), with the shape of a row: () or (k,).

    A name may be written without its group where only one column is called so. Raises ExpressionError, one line that
    says in which column of the text, for anything that is not such an expression.
    """
    if len(text) > LONGEST:
        raise ExpressionError(f"an expression of {len(text)} characters is too long: {LONGEST} are allowed")
    checker = _Checker(text, shapes)
    root = checker.truth(_tree(text), 0)
    expression = Expression(root, checker.names)
    if _names(root) == sum(map(_names, expression.quantiles)):
        beside = " beside the quantile" if expression.quantiles else ""
        checker.fail(None, f"no column is named{beside}, so every row is alike; {checker.known()}")
    return expression


def _names(node: ast.AST) -> int:
    return sum(isinstance(inner, ast.Name) for inner in walk(node))


def _tree(text: str) -> ast.expr:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # On one line: an indent would mean something to Python, a line break would not in brackets.
            return ast.parse(" ".join(text.split()) if "\n" in text else text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        at = (getattr(error, "offset", None) or len(text.strip()) + 1) + len(text) - len(text.lstrip())
        what = getattr(error, "msg", None) or "too deep, or no text"
        if at > len(text.rstrip()):
            what = "the expression ends too early"
        hint = next((HINTS[letter] for letter in text[max(at - 2, 0) : at] if letter in HINTS), "")
        raise ExpressionError(_line(text, at, f"{what} ({hint})" if hint else what)) from error


class _Checker:
    """Lets the nodes through that the language has, columns resolved; `fail` for all others."""

    def __init__(self, text: str, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.text, self.shapes, self.names = text, shapes, dict[str, NamedColumn]()

    def truth(self, node: ast.expr, depth: int) -> ast.expr:
        """Check a condition."""
        self._check_depth(node, depth)
        match node:
            case ast.BoolOp(op=op, values=parts):
                flat: list[ast.expr] = []
                for part in (self.truth(part, depth + 1) for part in parts):
                    same = isinstance(part, ast.BoolOp) and type(part.op) is type(op)
                    flat += part.values if same else [part]  # type: ignore[attr-defined]
                return ast.BoolOp(op, flat)
            case ast.UnaryOp(op=ast.Not(), operand=inner):
                return ast.UnaryOp(ast.Not(), self.truth(inner, depth + 1))
            case ast.Compare(left=left, ops=ops, comparators=rest):
                if any(type(sign) not in COMPARE for sign in ops):
                    self.fail(node, "conditions compare numbers with <, <=, >, >=, == and !=")
                first, *others = (self.number(item, depth + 1) for item in (left, *rest))
                return ast.Compare(first, ops, others)
        self.number(node, depth)
        self.fail(node, "a number is not yet a condition: compare it, as in identity < 0.5")

    def number(self, node: ast.expr, depth: int, *, several: bool = False) -> ast.expr:
        """Check a number; with `several`, a column of several numbers a row will do."""
        self._check_depth(node, depth)
        match node:
            case ast.Constant(value=bool() | str() | bytes() | complex() | None):
                self.fail(
                    node, "only numbers and names of columns stand here; names are written without quotes"
                )
            case ast.Constant(value=int() | float() as value):
                return ast.Constant(self._finite(node, value))
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)) if (
                type(value) is not bool
            ):
                return ast.UnaryOp(ast.USub(), ast.Constant(self._finite(node, value)))
            case ast.Call(func=ast.Name(id=function)):
                return self._call(node, function, depth)
            case ast.Subscript(value=inner, slice=ast.Constant(value=int() as index)) if type(index) is int:
                return self._column(inner, index, several=several)
            case ast.Name() | ast.Attribute() | ast.BinOp(op=ast.Div() | ast.Sub()):
                return self._column(node, None, several=several)
            case ast.BoolOp() | ast.Compare() | ast.UnaryOp(op=ast.Not()):
                self.fail(node, "a condition is not a number: join conditions with and, or")
            case ast.BinOp(op=ast.BitAnd() | ast.BitOr()):
                self.fail(node, "join conditions with and, or")
            case ast.BinOp() | ast.UnaryOp():
                self.fail(node, "there is no arithmetic")
        self.fail(
            node,
            f"only names of columns, numbers, comparisons, and, or, not, {', '.join(FUNCTIONS)} are known",
        )

    def _call(self, node: ast.Call, function: str, depth: int) -> ast.expr:
        if function not in FUNCTIONS:
            self.fail(node, f"no function {_short(function)!r}; the functions are {', '.join(FUNCTIONS)}")
        if node.keywords or not node.args:
            self.fail(node, f"{function} takes numbers in brackets")
        if function == QUANTILE:
            return self._quantile(node, depth)
        if function == "abs" and len(node.args) > 1:
            self.fail(node, f"abs takes one number, not {len(node.args)}")
        one = function != "abs" and len(node.args) == 1
        args = [self.number(item, depth + 1, several=one) for item in node.args]
        if one and not (isinstance(args[0], ast.Name) and self._is_several(self.names[args[0].id])):
            self.fail(
                node, f"{function} takes a column of several numbers a row, or several numbers, not one"
            )
        return ast.Call(ast.Name(function), args, [])

    def _quantile(self, node: ast.Call, depth: int) -> ast.expr:
        if len(node.args) != 2:
            self.fail(node, "quantile takes a column and a part of the rows, as quantile(ssim, 0.6)")
        inner, part = node.args
        if not (isinstance(part, ast.Constant) and type(part.value) in (int, float) and 0 <= part.value <= 1):  # type: ignore[operator]
            said = _short(ast.unparse(part))
            self.fail(part, f"the part of the rows below a quantile is a number from 0 to 1, not {said}")
        number = self.number(inner, depth + 1)
        if any(map(is_quantile, walk(number))) or not _names(number):
            self.fail(inner, "a quantile is taken of a column, and this is the same in every row")
        return ast.Call(ast.Name(QUANTILE), [number, part], [])

    def _column(self, node: ast.expr, index: int | None, *, several: bool) -> ast.Name:
        text = ast.unparse(node).replace(" ", "")
        name, shown = self._resolved(node, text)
        count = (*self.shapes[name], 0)[0]
        if index is not None and not count:
            self.fail(node, f"{shown} is one number a row: leave out [{index}]")
        if index is not None and not 0 <= index < count:
            self.fail(node, f"{shown} holds {count} numbers a row, [0] to [{count - 1}]")
        column = NamedColumn(name, shown, count, index)
        if self._is_several(column) and not several:
            self.fail(
                node,
                f"{shown} holds {count} numbers a row: write {shown}[0] to {shown}[{count - 1}],"
                f" or min, max or span of it, as max({shown})",
            )
        self.names[str(column)] = column
        return ast.Name(str(column))

    def _resolved(self, node: ast.expr, text: str) -> tuple[str, str]:
        """Return the full name of a column, and the shortest that is clear."""
        leaf = text.rpartition("/")[2]
        same = [name for name in self.shapes if name.rpartition("/")[2] == leaf]
        if text in self.shapes:
            return text, leaf if len(same) == 1 and not leaf[0].isdigit() else text
        if "/" in text or not same:
            if self._is_arithmetic(node):
                self.fail(node, "there is no arithmetic")
            near = difflib.get_close_matches(leaf, self._leaves(), n=2, cutoff=0.6)
            meant = f"; did you mean {' or '.join(near)}?" if near else ""
            self.fail(node, f"no column {_short(text)!r}{meant}; {self.known()}")
        if len(same) > 1:
            self.fail(node, f"{_short(text)!r} is {' and '.join(same)}: write one of them")
        return same[0], leaf

    def _is_arithmetic(self, node: ast.expr) -> bool:
        """Tell whether numbers or columns are divided or subtracted: other names have / and - in them."""
        match node:
            case ast.BinOp(left=left, right=right):
                return self._is_arithmetic(left) and self._is_arithmetic(right)
            case ast.Name(id=name):
                return name in self._leaves()
        return isinstance(node, ast.Constant)

    def _is_several(self, column: NamedColumn) -> bool:
        return column.index is None and column.several > 1

    def _finite(self, node: ast.expr, value: float) -> float:
        if abs(value) > 1e308 or not math.isfinite(value):
            self.fail(node, f"{_short(ast.get_source_segment(self.text, node) or 'the number')} is too large")
        return int(value) if float(value).is_integer() and abs(value) < 1e15 else float(value)

    def _check_depth(self, node: ast.expr, depth: int) -> None:
        if depth > DEEPEST:
            self.fail(node, f"more than {DEEPEST} conditions inside one another")

    def _leaves(self) -> list[str]:
        return sorted({name.rpartition("/")[2] for name in self.shapes})

    def known(self) -> str:
        names = self._leaves()
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        return f"the columns are {', '.join(names[:SHOWN]) or 'none'}{more}"

    def fail(self, node: ast.expr | None, what: str) -> NoReturn:
        at = len(self.text.encode()[: node.col_offset].decode(errors="ignore")) if node else 0
        raise ExpressionError(_line(self.text, at + 1, what))


def _line(text: str, at: int, what: str) -> str:
    at = min(max(at, 1), len(text) + 1)
    before, after = text[: at - 1][-30:], text[at - 1 :][:30]
    return f"column {at}: {what} (at the ^ in {f'{before}^{after}'!r})"


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}…"
