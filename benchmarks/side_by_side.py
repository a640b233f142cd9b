"""Time several ways of doing the same thing in one process, round by round, so that what else the machine does
meets all of them alike; tell which machine it was."""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from distill.devices import be_reproducible, keep_freed_memory, processor_name

Clock = Callable[[], float]  # seconds: time.perf_counter, or time.process_time for this process's share


@dataclass(frozen=True)
class Times:
    """Seconds of each round."""

    seconds: Sequence[float]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def best(self) -> float:
        return min(self.seconds)

    def times_faster_than(self, other: Times) -> float:
        """Return the median, over the rounds, of how often this fits into the other."""
        return statistics.median(b / a for a, b in zip(self.seconds, other.seconds, strict=True))


def race(
    ways: Mapping[str, Callable[[], object]],
    *,
    rounds: int,
    device: torch.device,
    clock: Clock = time.perf_counter,
) -> dict[str, Times]:
    """Run every way once to warm up, then each once a round, another one first each time."""
    names = list(ways)
    for name in names:
        seconds_of(ways[name], device)
    taken: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        for i in range(len(names)):
            name = names[(turn + i) % len(names)]
            taken[name].append(seconds_of(ways[name], device, clock))
    return {name: Times(seconds) for name, seconds in taken.items()}


def seconds_of(work: Callable[[], object], device: torch.device, clock: Clock = time.perf_counter) -> float:
    """Time one call, the device's queue emptied before and after."""
    wait_for(device)
    since = clock()
    work()
    wait_for(device)
    return clock() - since


def wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def as_in_a_run(device: str, threads: int = 1) -> tuple[torch.device, dict[str, Any]]:
    """Set this process up as a worker of a run is: no TF32, deterministic kernels; say and return the machine."""
    be_reproducible()
    torch.set_num_threads(threads)
    keep_freed_memory()
    facts = machine(torch.device(device))
    print(sentence(facts), end="\n\n", flush=True)
    return torch.device(device), facts


def machine(device: torch.device) -> dict[str, Any]:
    """Describe what the numbers were measured on."""
    facts: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d"),
        "torch": torch.__version__,
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
    }
    if device.type == "cuda":
        facts |= {"gpu": torch.cuda.get_device_name(device), "cuda": torch.version.cuda}
    return facts


def processor() -> str:
    units = {"AMX": torch.cpu._is_amx_tile_supported, "AVX512-BF16": torch.cpu._is_avx512_bf16_supported}
    return " with ".join([processor_name(), *(name for name, here in units.items() if here())])


def sentence(facts: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in facts.items() if value is not None)


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a Markdown table, its columns aligned."""
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    for number, line in enumerate(lines):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |")
        if number == 0:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")
    print(flush=True)


def write_json(path: Path | None, result: Mapping[str, Any]) -> None:
    if path:
        path.write_text(json.dumps(result, indent=1) + "\n")
        print(f"written to {path}")
