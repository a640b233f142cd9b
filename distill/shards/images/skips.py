"""How many pictures of a set may be left out: `--max-skips`."""

from __future__ import annotations

import re

from distill.errors import DistillError


def most_skips(text: str, count: int) -> int:
    """Read a number such as "20", or a share of `count` such as "10%". Raises DistillError for another text."""
    found = re.fullmatch(r"([0-9]{1,9})(%?)", text)
    if not found:
        raise DistillError(f"--max-skips {text}: a number such as 20 or a share such as 10% is needed")
    number = int(found[1])
    if not found[2]:
        return number
    if number > 100:
        raise DistillError(f"--max-skips {text}: a share goes from 0% to 100%")
    return count * number // 100
