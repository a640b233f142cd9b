"""Errors as sentences of a page: the same words, without the options of a command line."""

from __future__ import annotations

import re

from distill.errors import DistillError

OPTION = re.compile(r"^(?:\S+: )?--[a-z-]+[ ,:]+")


def sentence(error: DistillError) -> str:
    """Return what went wrong as one sentence."""
    text = OPTION.sub("", " ".join(str(error).split()))
    text = text.replace("another --out", "another name").replace("--edit ", "")
    text = f"{text[:1].upper()}{text[1:]}"
    return text if text.endswith((".", "?", "!")) else f"{text}."
