"""Tables of text as people and spreadsheets save them: what separates the cells, and what encodes the letters."""

from __future__ import annotations

import codecs
import csv
import io
import re
from pathlib import Path

from distill.errors import DistillError
from distill.files import read_regular

SEPARATORS = ",;\t"
DECIMAL_COMMA = re.compile(r"-?\d+,\d+")
HINT = "save it as a CSV in UTF-8"
BOOK = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # how .xlsx, .ods and .xls begin
Lines = list[tuple[int, list[str]]]


def read_csv(path: Path) -> Lines:
    """Return the lines that hold something, each with its number from 1, the cells stripped.

    Cells may be separated by commas, semicolons or tabs, the first line decides; letters may be UTF-8, UTF-16 or
    Windows-1252. Where no comma separates them, numbers may have one: 0,5 is 0.5. Raises DistillError for anything
    else.
    """
    try:
        data = read_regular(path)
    except OSError as error:
        raise DistillError(f"label file {path}: {error.strerror or error}") from error
    if data.startswith(BOOK):
        raise DistillError(f"label file {path}: a spreadsheet's own format, not a CSV: {HINT}")
    text = _decoded(path, data).replace("\r\n", "\n").replace("\r", "\n")
    if told := re.match(r"sep=(.)\n", text):  # which Excel writes for itself
        separator = told[1]
        text = "\n" + text[told.end() :]  # lines keep their numbers
    else:
        separator = _separator(text)
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=separator))
    except csv.Error as error:
        raise DistillError(f"label file {path}: not a CSV file ({error})") from error
    stripped = ((number, [cell.strip() for cell in line]) for number, line in enumerate(lines, 1))
    found = [(number, cells) for number, cells in stripped if any(cells)]
    return (
        found if separator == "," else [(number, [_point(cell) for cell in cells]) for number, cells in found]
    )


def _decoded(path: Path, data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        tries: tuple[str, ...] = ("utf-16",)
    elif b"\0" in data[:2]:
        tries = ("utf-16-le",) if data[1:2] == b"\0" else ("utf-16-be",)
    else:
        tries = ("utf-8-sig", "cp1252")
    for encoding in tries:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise DistillError(f"label file {path}: neither UTF-8 nor UTF-16 nor Windows-1252 text: {HINT}")


def _separator(text: str) -> str:
    """Return what separates the cells of the first line that is not empty: the most frequent, else a comma."""
    first = next((line for line in text.split("\n") if line.strip()), "")
    outside = re.sub(r'"[^"]*"', "", first)
    return max(SEPARATORS, key=outside.count)


def _point(cell: str) -> str:
    return cell.replace(",", ".") if DECIMAL_COMMA.fullmatch(cell) else cell
