"""How many pairs were asked to change an attribute, which way they went and by how much: counts, and as text.

N rows, K attributes, B bins.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill.progress import plural
from distill.shards.changes import asked_of, attribute_kinds, changes_of, measured_attributes
from distill.shards.folder import ShardReport, shard_path
from distill.shards.read import open_shard

BINS = 8  # an even number: one edge is 0
BAR = 24  # characters of the longest
ROUND = (1.0, 1.2, 1.6, 2.0, 2.4, 3.2, 4.0, 4.8, 6.0, 8.0, 10.0)  # a quarter of each is short
Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class ChangeCounts:
    """One attribute: `rows` pairs, of them `asked` for it, measured `up` and `down`; `counts` [B] between `edges`.

    Changes are the measured ones of the pairs that were asked. `beside`: the median of the absolute change in the
    other pairs, None where there are none.
    """

    attribute: str
    rows: int
    asked: int
    up: int
    down: int
    edges: Sequence[float]
    counts: Sequence[int]
    beside: float | None


def read_change_counts(
    folder: Path, recipe: Mapping[str, Any], reports: Sequence[ShardReport]
) -> list[ChangeCounts]:
    """Count the changes of the shards in a folder; [] for a data set without measured changes."""
    if not measured_attributes(recipe):
        return []
    asked, changes = [], []
    for report in reports:
        with open_shard(shard_path(folder, report.index), report=report) as reader:
            asked.append(asked_of(reader))
            changes.append(changes_of(reader))
    return change_counts(recipe, np.concatenate(asked), np.concatenate(changes)) if asked else []


def change_counts(recipe: Mapping[str, Any], asked_NK: Floats, changes_NK: Floats) -> list[ChangeCounts]:
    """Count for each attribute of a recipe the strengths that were asked and the changes that were measured."""
    found = []
    for k, (name, kind) in enumerate(zip(measured_attributes(recipe), attribute_kinds(recipe), strict=True)):
        asked_N, changes_N = asked_NK[:, k] != 0, changes_NK[:, k].astype(np.float64)
        wanted, others = changes_N[asked_N], np.abs(changes_N[~asked_N])
        top = 1.0 if kind == "probability" else rounded_up(float(np.abs(wanted).max(initial=0.0)))
        edges = np.linspace(-top, top, BINS + 1)
        found.append(
            ChangeCounts(
                attribute=name,
                rows=len(asked_N),
                asked=len(wanted),
                up=int((wanted > 0).sum()),
                down=int((wanted < 0).sum()),
                edges=edges.tolist(),
                counts=np.histogram(wanted.clip(-top, top), edges)[0].tolist(),
                beside=float(np.median(others)) if len(others) else None,
            )
        )
    return found


def rounded_up(value: float) -> float:
    """Return the next number of which a quarter is short."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in ROUND if step * power >= value)


def change_lines(counts: Sequence[ChangeCounts]) -> list[str]:
    """Write the counts of each attribute for a person: a line, and a histogram of the measured changes."""
    lines: list[str] = []
    for item in counts:
        beside = "" if item.beside is None else f"; in the others it moves by {item.beside:.2g} (median)"
        lines.append(
            f"{item.attribute}: asked of {item.asked:,} of {plural(item.rows, 'pair')},"
            f" {item.up:,} up, {item.down:,} down{beside}"
        )
        ends = [f"{edge:+g}" if edge else "0" for edge in item.edges]
        width, most = max(map(len, ends)), max(1, *item.counts)
        for low, high, count in zip(ends[:-1], ends[1:], item.counts, strict=True):
            bar = "#" * math.ceil(BAR * count / most)
            lines.append(f"  {low:>{width}} to {high:>{width}}  {count:7,d}  {bar}".rstrip())
    return lines
