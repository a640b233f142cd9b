"""The numbers of a run: means over a tick, one JSON line each in `stats.jsonl`, TensorBoard where it is there."""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from distill.files import append, atomic_write, read_regular

FILE = "stats.jsonl"


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
    """Appends lines to `stats.jsonl` and to TensorBoard. Lines from after the position that is resumed from go."""

    def __init__(self, folder: Path, *, samples: int) -> None:
        self.path = folder / FILE
        self._cut(samples)
        self.board = self._open_board(folder, samples)

    def write(self, samples: int, values: Mapping[str, float]) -> None:
        finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
        append(self.path, (json.dumps({"samples": samples, **finite}) + "\n").encode())
        if self.board is not None:
            for name, value in values.items():
                self.board.add_scalar(name, value, samples)

    def close(self) -> None:
        if self.board is not None:
            self.board.close()

    def _cut(self, samples: int) -> None:
        if not self.path.exists():
            return
        lines = [
            line
            for line in read_regular(self.path).decode(errors="replace").splitlines()
            if _samples(line) <= samples
        ]
        atomic_write(self.path, "".join(f"{line}\n" for line in lines).encode())

    @staticmethod
    def _open_board(folder: Path, samples: int) -> Any:
        try:
            writer = importlib.import_module("torch.utils.tensorboard").SummaryWriter
        except ImportError:
            return None
        return writer(str(folder / "tensorboard"), purge_step=samples + 1 if samples else None)


def _samples(line: str) -> float:
    try:
        return float(json.loads(line)["samples"])
    except (ValueError, KeyError, TypeError):
        return math.inf  # a line cut short by a crash


def read_stats(folder: Path) -> list[dict[str, Any]]:
    """Read the lines of a run."""
    return [json.loads(line) for line in read_regular(folder / FILE).decode().splitlines()]
