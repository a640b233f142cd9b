"""A small language to choose rows by their numbers: `identity < 0.5 and not (gender[0] > 0.1 or smile <= 0)`.

Names of columns, numbers, comparisons (chained ones too), and/or/not, brackets, one number of a column that holds
several (`gender[0]`), and min, max, span and abs of numbers. Nothing else parses, and nothing is ever run as Python.

    any        = all { "or" all }
    all        = negation { "and" negation }
    negation   = "not" negation | comparison
    comparison = value { ("<" | "<=" | ">" | ">=" | "==" | "!=") value }
    value      = [ "-" ] NUMBER | "(" any ")" | NAME [ "[" NUMBER "]" ] | NAME "(" value { "," value } ")"

`min`, `max` and `span` (the largest less the smallest) take one column of several numbers a row, or several values.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NoReturn

from distill.errors import DistillError
from distill.shards.refilter.tree import (
    COMPARE,
    FUNCTIONS,
    Call,
    Column,
    Comparison,
    Expression,
    Join,
    Not,
    Number,
    Truth,
    Value,
    walk,
)

__all__ = ["Expression", "ExpressionError", "parse"]

LONGEST = 2000  # characters
DEEPEST = 50  # brackets, calls and nots inside one another
SHOWN = 24  # names in an error
WORDS = ("and", "or", "not")
TOKEN = re.compile(
    r"(?P<space>[ \t\r\n]+)"
    r"|(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>(?:scores|params)/[A-Za-z0-9_.-]+|[A-Za-z_][A-Za-z0-9_.-]*)"
    r"|(?P<sign><=|>=|==|!=|[<>()\[\],-])"
)
HINTS = {
    "=": "two numbers are compared with ==",
    "&": "write and",
    "|": "write or",
    "!": "write not, or != between two numbers",
    "'": "names are written without quotes",
    '"': "names are written without quotes",
    **dict.fromkeys("+*/%^", "there is no arithmetic"),
}


class ExpressionError(DistillError):
    """An expression that does not parse, or asks for what is not there; the line names the column, from 1."""


def parse(text: str, shapes: Mapping[str, tuple[int, ...]]) -> Expression:
    """Parse an expression over columns by full name ("scores/identity"), with the shape of a row: () or (k,).

    A name may be written without its group where only one column is called so. Raises ExpressionError, one line that
    says in which column of the text, for anything that is not such an expression.
    """
    return Expression(_Parser(text, shapes).parse())


@dataclass(frozen=True)
class _Token:
    kind: str  # number, name, word, sign or end
    text: str
    at: int  # column of the text, from 1


class _Parser:
    """Recursive descent: one method for each line of the grammar, one token of look-ahead."""

    def __init__(self, text: str, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.text, self.shapes = text, shapes
        if len(text) > LONGEST:
            raise ExpressionError(
                f"an expression of {len(text)} characters is too long: {LONGEST} are allowed"
            )
        self.tokens = list(self._tokens())
        self.place = self.depth = 0

    def parse(self) -> Truth:
        root = self._truth(self._any())
        if self.now.kind != "end":
            self._unexpected("and, or or the end")
        if not any(isinstance(node, Column) for node in walk(root)):
            self._fail(1, f"no column is named, so every row is alike; {self._known()}")
        return root

    # ---- tokens

    def _tokens(self) -> Iterator[_Token]:
        place = 0
        while place < len(self.text):
            match = TOKEN.match(self.text, place)
            if match is None:
                letter = self.text[place]
                hint = f" ({HINTS[letter]})" if letter in HINTS else ""
                self._fail(place + 1, f"{letter!a} means nothing here{hint}")
            if match.lastgroup != "space":
                kind = "word" if match[0] in WORDS else str(match.lastgroup)
                yield _Token(kind, match[0], place + 1)
            place = match.end()
        yield _Token("end", "", len(self.text) + 1)

    @property
    def now(self) -> _Token:
        return self.tokens[self.place]

    def _take(self) -> _Token:
        self.place += 1
        return self.tokens[self.place - 1]

    def _skip(self, text: str) -> bool:
        """Take the token if it is this one; a number or a column never is."""
        found = self.now.text == text and self.now.kind in ("word", "sign")
        self.place += found
        return found

    def _need(self, sign: str) -> None:
        if not self._skip(sign):
            self._unexpected(f"{sign!r}")

    # ---- the grammar

    def _any(self) -> Truth | Value:
        return self._joined("or")

    def _joined(self, word: str) -> Truth | Value:
        """Both lines that join: `or` around `and` around negations."""
        part = self._negation if word == "and" else lambda: self._joined("and")
        at, first = self.now.at, part()
        items = [first]
        while self._skip(word):
            items.append(part())
        if len(items) == 1:
            return first
        flat: list[Truth] = []
        for item in map(self._truth, items):
            flat += item.items if isinstance(item, Join) and item.word == word else (item,)
        return Join(at, word, tuple(flat))

    def _negation(self) -> Truth | Value:
        at = self.now.at
        if not self._skip("not"):
            return self._comparison()
        with_not = self._deeper(self._negation)
        return Not(at, self._truth(with_not))

    def _comparison(self) -> Truth | Value:
        at, first = self.now.at, self._operand()
        values, signs = [first], []
        while self.now.text in COMPARE:
            signs.append(self._take().text)
            values.append(self._operand())
        if not signs:
            return first
        return Comparison(at, tuple(map(self._one_number, values)), tuple(signs))

    def _operand(self) -> Truth | Value:
        token = self.now
        if self._skip("("):
            inner = self._deeper(self._any)
            self._need(")")
            return inner
        if token.kind == "number":
            return self._number(1)
        if self._skip("-"):
            return self._number(-1)
        if token.kind != "name":
            self._unexpected("a column or a number")
        self._take()
        return self._call(token) if self._skip("(") else self._column(token)

    def _number(self, sign: int) -> Number:
        if self.now.kind != "number":
            self._unexpected("a number after '-'")
        token = self._take()
        value = float(token.text)
        if value == float("inf"):
            self._fail(token.at, f"{_short(token.text)} is too large")
        return Number(token.at, sign * value)

    def _call(self, name: _Token) -> Call:
        if name.text not in FUNCTIONS:
            self._fail(
                name.at, f"no function {_short(name.text)!r}; the functions are {', '.join(FUNCTIONS)}"
            )
        values = [self._deeper(self._any)]
        while self._skip(","):
            values.append(self._deeper(self._any))
        self._need(")")
        if name.text == "abs" and len(values) > 1:
            self._fail(name.at, f"abs takes one number, not {len(values)}")
        if name.text == "abs" or len(values) > 1:
            return Call(name.at, name.text, tuple(map(self._one_number, values)))
        (value,) = values
        if not isinstance(value, Column) or not self._several(value):
            self._fail(
                name.at, f"{name.text} takes a column of several numbers a row, or several numbers, not one"
            )
        return Call(name.at, name.text, (value,))

    def _column(self, token: _Token) -> Column:
        name, shown = self._resolved(token)
        index = None
        if self._skip("["):
            at = self.now.at
            if not re.fullmatch(r"[0-9]{1,9}", self.now.text):
                self._unexpected("a whole number from 0")
            index = int(self._take().text)
            self._need("]")
            if not self.shapes[name]:
                self._fail(at, f"{shown} is one number a row: leave out [{index}]")
            if index >= self.shapes[name][0]:
                self._fail(
                    at,
                    f"{shown} holds {self.shapes[name][0]} numbers a row, [0] to [{self.shapes[name][0] - 1}]",
                )
        return Column(token.at, name, shown, (*self.shapes[name], 0)[0], index)

    # ---- what fits where

    def _resolved(self, token: _Token) -> tuple[str, str]:
        """Return the full name of a column, and the shortest that is clear."""
        leaf = token.text.rpartition("/")[2]
        same = [name for name in self.shapes if name.rpartition("/")[2] == leaf]
        if token.text in self.shapes:
            return token.text, leaf if len(same) == 1 and not leaf[0].isdigit() else token.text
        if "/" in token.text or not same:
            self._fail(token.at, f"no column {_short(token.text)!r}{self._near(leaf)}; {self._known()}")
        if len(same) > 1:
            self._fail(token.at, f"{_short(token.text)!r} is {' and '.join(same)}: write one of them")
        return same[0], leaf

    def _truth(self, node: Truth | Value) -> Truth:
        if isinstance(node, Number | Column | Call):
            self._fail(node.at, "a number is not yet a condition: compare it, as in identity < 0.5")
        return node

    def _one_number(self, node: Truth | Value) -> Value:
        if not isinstance(node, Number | Column | Call):
            self._fail(node.at, "a condition is no number: join conditions with and, or")
        if isinstance(node, Column) and self._several(node):
            last = node.several - 1
            self._fail(
                node.at,
                f"{node.shown} holds {last + 1} numbers a row: write {node.shown}[0] to {node.shown}[{last}],"
                f" or min, max or span of it, as max({node.shown})",
            )
        return node

    def _several(self, column: Column) -> bool:
        return column.index is None and column.several > 1

    def _deeper(self, part: Callable[[], Truth | Value]) -> Truth | Value:
        self.depth += 1
        if self.depth > DEEPEST:
            self._fail(self.now.at, f"more than {DEEPEST} brackets and nots inside one another")
        found = part()
        self.depth -= 1
        return found

    # ---- errors

    def _near(self, leaf: str) -> str:
        names = sorted({name.rpartition("/")[2] for name in self.shapes})
        near = difflib.get_close_matches(leaf, names, n=2, cutoff=0.6)
        return f"; did you mean {' or '.join(near)}?" if near else ""

    def _known(self) -> str:
        names = sorted({name.rpartition("/")[2] for name in self.shapes})
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        return f"the columns are {', '.join(names[:SHOWN]) or 'none'}{more}"

    def _unexpected(self, wanted: str) -> NoReturn:
        token = self.now
        found = "the expression ends" if token.kind == "end" else f"{_short(token.text)!r} stands"
        self._fail(token.at, f"{found} where {wanted} is expected")

    def _fail(self, at: int, what: str) -> NoReturn:
        before, after = self.text[: at - 1][-30:], self.text[at - 1 :][:30]
        raise ExpressionError(f"column {at}: {what} (at the ^ in {f'{before}^{after}'!r})")


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}…"
