"""A section of a model card that is renewed by whoever measures, between two marks; the prose around it stays."""

from __future__ import annotations

import re
from pathlib import Path

from distill.errors import DistillError
from distill.files import check_file, read_regular


def marks(name: str) -> tuple[str, str]:
    """Return the lines that begin and end the section of that name."""
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"


def check_card(card: Path | None, name: str) -> None:
    """Make sure that the section can be put into the card once it is there. Raises DistillError."""
    if card is None:
        return
    if card.suffix != ".md":
        raise DistillError(f"--card {card}: a file that ends in .md is needed")
    check_file(card, overwrite=True)
    with_section(card, "", name)


def with_section(card: Path, text: str, name: str) -> str:
    """Return a model card with the section replaced or added; a card that is not there yet is empty."""
    try:
        return put_into(read_regular(card).decode() if card.exists() else "", text, name)
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise DistillError(f"{card}: cannot be read as text ({why})") from error


def put_into(card: str, text: str, name: str) -> str:
    """Replace what stands between the two marks of a card by `text`, or append it with the marks."""
    begin, end = marks(name)
    marked = f"{begin}\n{text}{end}"
    if (card.count(begin), card.count(end)) == (0, 0):
        return f"{card.rstrip()}\n\n{marked}\n".lstrip()
    match = re.fullmatch(f"(.*){re.escape(begin)}.*{re.escape(end)}(.*)", card, flags=re.DOTALL)
    if match is None or (card.count(begin), card.count(end)) != (1, 1):
        raise DistillError(
            f"the card needs one line {begin} and after it one {end}, or none of both to have them added"
        )
    return f"{match[1]}{marked}{match[2]}"
