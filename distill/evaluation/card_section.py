"""A section of a model card that is renewed by whoever measures, between two marks; the prose around it stays."""

from __future__ import annotations

import re
from pathlib import Path

from distill.errors import DistillError
from distill.files import check_file, read_regular, write_result


def marks(name: str) -> tuple[str, str]:
    """Return the lines that begin and end the section of that name."""
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"


def check_card(card: Path | None, name: str, *, grid: bool = False) -> None:
    """Make sure that the section, and a `grid` beside it, can be written once they are there. Raises DistillError.

    A picture that the card does not show is another's, and is not replaced.
    """
    if card is None:
        return
    if {card.suffix, card.resolve().suffix} != {".md"}:
        raise DistillError(f"--card {card}: a file that ends in .md is needed")
    check_file(card, overwrite=True, option="--card")
    check_file(card.resolve(), overwrite=True, option="--card")
    with_section(card, "", name)
    if not grid:
        return
    picture = grid_beside(card)
    check_file(picture, overwrite=True, option="--card")
    if picture.exists() and f"]({picture.name})" not in _text_of(card):
        raise DistillError(f"{picture} is not shown by {card} and would be replaced: choose another --card")


def grid_beside(card: Path) -> Path:
    """Return where the grid of a card lies: beside the file itself, where the card is a link."""
    return card.resolve().with_suffix(".png")


def write_card(card: Path, text: str, name: str) -> Path:
    """Put a section into a card, through a link into the file it points to; return the card."""
    write_result(card.resolve(), with_section(card, text, name).encode())
    return card


def with_section(card: Path, text: str, name: str) -> str:
    """Return a model card with the section replaced or added; a card that is not there yet is empty."""
    try:
        return put_into(_text_of(card), text, name)
    except DistillError as error:
        raise DistillError(f"{card}: {error}") from error


def _text_of(card: Path) -> str:
    try:
        return read_regular(card).decode() if card.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise DistillError(f"cannot be read as text ({why})") from error


def put_into(card: str, text: str, name: str) -> str:
    """Replace what stands between the two marks of a card by `text`, or append it with the marks."""
    begin, end = marks(name)
    marked = f"{begin}\n{text}{end}"
    if (card.count(begin), card.count(end)) == (0, 0):
        return f"{card.rstrip()}\n\n{marked}\n".lstrip()
    match = re.fullmatch(f"(.*){re.escape(begin)}.*{re.escape(end)}(.*)", card, flags=re.DOTALL)
    if match is None or (card.count(begin), card.count(end)) != (1, 1):
        raise DistillError(
            f"the card needs one line {begin} and after it one {end}, or neither, to have them added"
        )
    return f"{match[1]}{marked}{match[2]}"
