"""How long a student was trained, by the log of its run."""

from __future__ import annotations

from pathlib import Path

from distill.files import read_regular
from distill.schema import parse_json

LOG = "stats.jsonl"


def run_minutes(run: Path, kimg: float | None) -> float | None:
    """Return the minutes that a run took up to `kimg` thousand samples; None where its log does not tell."""
    try:
        lines = read_regular(run / LOG).decode().splitlines()
        facts = [parse_json(line) for line in lines]
        seconds = [
            float(line["seconds"])
            for line in facts
            if "seconds" in line and (kimg is None or line["samples"] <= 1000 * kimg + 0.5)
        ]
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return sum(seconds) / 60 if seconds else None
