"""One line of `stats.jsonl`: the numbers of a run by name, as JSON."""

from __future__ import annotations

import json
import math

FILE = "stats.jsonl"


def read_line(line: bytes) -> dict[str, float]:
    """Read the numbers of a line, `samples` among them; {} for one that is broken. `null`: a value not finite."""
    try:
        values = json.loads(line)
        numbers = {name: math.nan if value is None else float(value) for name, value in values.items()
                   if value is None or type(value) in (int, float)}  # fmt: skip
        return numbers if math.isfinite(numbers["samples"]) else {}
    except (ValueError, KeyError, AttributeError, OverflowError, RecursionError):
        return {}
