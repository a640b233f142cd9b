"""The numbers of a run: means over a tick, one JSON line each in `stats.jsonl`, and to the boards."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from distill.files import append, atomic_write, read_regular
from distill.progress import plural
from distill.training.boards import Board
from distill.training.stats_line import FILE, read_line


class LossMeans:
    """Adds up losses by name without waiting for the device; `take` returns their means and starts anew."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}

    def add(self, values: Mapping[str, Tensor | float]) -> None:
        for name, value in values.items():
            number = torch.as_tensor(value, dtype=torch.float64).detach()
            self.sums[name] = self.sums[name] + number if name in self.sums else number
            self.counts[name] = self.counts.get(name, 0) + 1

    def take(self) -> dict[str, float]:
        means = {name: float(total) / self.counts[name] for name, total in self.sums.items()}
        self.sums, self.counts = {}, {}
        return means


class StatsFile:
    """Appends lines to `stats.jsonl`, and tells the boards. Lines from after the position that is resumed from go.

    So do those that cannot be read, such as one that a crash cut short; `note` says how many.
    """

    def __init__(self, folder: Path, *, samples: int, boards: Sequence[Board] = ()) -> None:
        self.path, self.note, self.boards = folder / FILE, "", boards
        self._cut(samples)

    def write(self, samples: int, values: Mapping[str, float]) -> None:
        finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
        append(self.path, (json.dumps({"samples": samples, **finite}) + "\n").encode())
        for board in self.boards:
            board.write(samples, values)

    def close(self) -> None:
        for board in self.boards:
            board.close()

    def _cut(self, samples: int) -> None:
        if not os.path.lexists(self.path):
            return
        lines = [(line, read_line(line)) for line in read_regular(self.path).splitlines() if line.strip()]
        broken = sum(not numbers for _, numbers in lines)
        if broken:
            self.note = f"{self.path}: {plural(broken, 'line')} cut short or damaged, left out"
        kept = [line for line, numbers in lines if numbers and numbers["samples"] <= samples]
        atomic_write(self.path, b"".join(line + b"\n" for line in kept))


def read_stats(folder: Path) -> list[dict[str, Any]]:
    """Read the lines of a run."""
    return [json.loads(line) for line in read_regular(folder / FILE).decode().splitlines()]
