"""TOML files of unknown origin: checked before they are parsed.

The time and memory of the parser grow with the square of the length of a dotted key, its recursion with the depth of
brackets, and its numbers may have any length.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from distill.errors import DistillError
from distill.files import open_regular
from distill.weights.safe_pickle.machine import shown

MAX_BYTES = 256 << 10
MAX_DOTS, MAX_DEPTH = 8, 16
MAX_WORD = 300  # characters of a key or a number
# What may hold anything: texts of several lines, comments, texts of one line. One without an end reaches as far as
# the parser gets before it gives up. No group has *+: Python 3.11.2 matches such wrongly.
_HIDDEN = re.compile(
    r'"""(?:[^"\\]|\\.?|"(?!""))*(?:"{3,5}|\Z)|'
    r"'''(?:[^']|'(?!''))*(?:'{3,5}|\Z)|"
    r"#[^\n]*+|"
    r'"(?:[^"\\\n]|\\[^\n])*"?|'
    r"'[^'\n]*+'?",
    re.DOTALL,
)
_APART = re.compile(r"[\s,=\[\]{}]+")  # a dot may stand among spaces: they are taken away around it before


def read_toml(path: Path) -> dict[str, object]:
    """Return the tables of a TOML file. Raises DistillError for one that is broken, too long or too deep."""
    try:
        with open_regular(path) as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise DistillError(f"{path}: cannot be read ({error.strerror or error})") from error
    if len(data) > MAX_BYTES:
        raise DistillError(f"{path}: more than {MAX_BYTES:,} bytes, too long for settings")
    try:
        text = data.decode("utf-8")
        _check(text)
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise DistillError(f"{path}: not a TOML file of settings ({shown(str(error), 120)})") from error


def _check(text: str) -> None:
    """Raise ValueError for what no settings have."""
    bare = re.sub(r"[ \t]*+\.[ \t]*+", ".", _HIDDEN.sub("_", text))
    depth = deepest = 0
    for sign in re.findall(r"[\[\]{}]", bare):
        depth = depth + 1 if sign in "[{" else max(0, depth - 1)
        deepest = max(deepest, depth)
    if deepest > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH}")
    for word in _APART.split(bare):
        if word.count(".") > MAX_DOTS:
            raise ValueError(f"a key of more than {MAX_DOTS + 1} parts")
        if len(word) > MAX_WORD:
            raise ValueError(f"a key or number of more than {MAX_WORD} characters")
