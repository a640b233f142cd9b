"""Accepted triplets a second of `distill generate` from end to end, by pairing and workers, and where the time went.

    python benchmarks/pipeline.py --n 1024
    python benchmarks/pipeline.py --n 1024 --pairings fresh ring
    python benchmarks/pipeline.py --network 512 --n 64 --codec jpeg --align none
    python benchmarks/pipeline.py --network 1024 --n 25000 --codec jpeg --align none --rounds 1      # on a GPU

Each run is the command itself in a folder of its own: one worker bound to one core, then a worker for each core; on
GPUs one worker with all cores, then a worker for each GPU. Rates count from the first candidate to the last shard, so
that loading is left out; runs alternate. Networks by number are config F with random weights, which draws no faces:
give --align none with them.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any

import psutil
import torch
from side_by_side import machine, print_table, sentence, write_json
from triplets import build

from distill.devices import visible_devices
from distill.weights.checkpoint import Checkpoint, save_safetensors

BATCH = 16  # candidates drawn at once, as by default


def main() -> int:
    options, extra = parse()
    facts = machine(torch.device(options.device))
    print(sentence(facts), end="\n\n", flush=True)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        source = teacher(options.network, folder)
        cases = list(product(options.pairings, options.workers))
        runs: dict[tuple[str, int], list[dict[str, Any]]] = {case: [] for case in cases}
        for turn in range(options.rounds):
            for case in cases:
                out = folder / f"{turn}-{case[0]}-{case[1]}"
                runs[case].append(generate(source, *case, out, options, extra))
    rows = [summary(case, runs) for case in cases]
    stages = list(rows[0]["shares"])
    print_table(
        ("pairing", "workers", "triplets/s", "times the first", "times one worker", *stages),
        [
            [
                row["pairing"],
                str(row["workers"]),
                f"{row['triplets_per_s']:.2f}",
                f"{row['speedup']:.2f}x",
                f"{row['scaling']:.2f}x",
                *(f"{row['shares'][stage]:.0%}" for stage in stages),
            ]
            for row in rows
        ],
    )
    write_json(options.json, {"machine": facts, "command": sys.argv, "rows": rows})
    return 0


def parse() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        description="End-to-end rate of distill generate; other options go to it as they are."
    )
    parser.add_argument("--network", default="portraits", help="portraits, 256, 512, 1024, or a file")
    parser.add_argument("--n", type=int, default=1024)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--pairings", nargs="+", choices=["fresh", "ring"], default=["fresh"])
    parser.add_argument("--workers", type=int, nargs="+", help="default: one, and one for each GPU or core")
    parser.add_argument(
        "--shard-size", type=int, help="default: four shards a worker of one batch to 256 rows"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the data sets are written and deleted")
    parser.add_argument("--json", type=Path, help="write all numbers here")
    options, extra = parser.parse_known_args()
    options.workers = options.workers or one_and_all(options.device)
    rows = options.n // (4 * max(options.workers)) // BATCH * BATCH  # a shard draws whole batches
    options.shard_size = options.shard_size or max(BATCH, min(256, rows))
    return options, extra


def one_and_all(device: str) -> list[int]:
    """Return 1 and the number of the GPUs or cores, where that is another."""
    return sorted({1, len(os.sched_getaffinity(0) if device == "cpu" else visible_devices())})


def teacher(network: str, folder: Path) -> str:
    """Return what --generator takes; a random network is written to a file first."""
    if not network.isdecimal():
        return network
    path = folder / f"random-{network}.safetensors"
    state = {name: tensor.contiguous() for name, tensor in build(network).state_dict().items()}
    facts = {"architecture": "skip", "mapping_lr_multiplier": 0.01}
    save_safetensors(path, Checkpoint(state=state, facts=facts, format="safetensors", sha256="0" * 64))
    return str(path)


def generate(
    source: str, pairing: str, workers: int, out: Path, options: argparse.Namespace, extra: list[str]
) -> dict[str, Any]:
    """Run the command; return its report, and `peak_mib` of its processes. On CPUs it gets a core for each worker.

    The peaks are those of resident memory, seen every quarter of a second: the driver's first, then the workers'.
    """
    command = [sys.executable, "-m", "distill", "generate", "--task", "style-mix", "--n", str(options.n)]
    command += ["--generator", source, "--workers", str(workers), "--shard-size", str(options.shard_size)]
    command += ["--pairing", pairing, "--out", str(out), "--device", options.device, "--json", *extra]
    cores = sorted(os.sched_getaffinity(0))[: workers if options.device == "cpu" else None]
    run = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, preexec_fn=lambda: os.sched_setaffinity(0, cores)
    )
    peaks: dict[int, float] = {}
    while run.poll() is None:
        note_memory(run.pid, peaks)
        time.sleep(0.25)
    if run.returncode:
        raise subprocess.CalledProcessError(run.returncode, command)
    assert run.stdout is not None
    report: dict[str, Any] = json.loads(run.stdout.read())
    shutil.rmtree(out)
    driver = peaks.pop(run.pid, 0.0)
    return report | {"peak_mib": [driver, *sorted(peaks.values(), reverse=True)[:workers]]}


def note_memory(pid: int, peaks: dict[int, float]) -> None:
    """Raise each process's peak to the memory that it holds now, in MiB."""
    with suppress(psutil.NoSuchProcess):
        driver = psutil.Process(pid)
        for process in (driver, *driver.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                peaks[process.pid] = max(peaks.get(process.pid, 0.0), process.memory_info().rss / 2**20)


def summary(case: tuple[str, int], runs: dict[tuple[str, int], list[dict[str, Any]]]) -> dict[str, Any]:
    """Medians over the rounds; ratios to the first case and the first number of workers, each within a round."""

    def rates(of: tuple[str, int]) -> list[float]:
        return [report["rows_per_second"] for report in runs[of]]

    def times(other: tuple[str, int]) -> float:
        return statistics.median(a / b for a, b in zip(rates(case), rates(other), strict=True))

    (pairing, workers), first, reports = case, next(iter(runs)), runs[case]
    seconds = {
        name: statistics.median(report["seconds"][name] for report in reports)
        for name in reports[0]["seconds"]
    }
    total = sum(seconds.values())
    return {
        "pairing": pairing,
        "workers": workers,
        "triplets_per_s": statistics.median(rates(case)),
        "rates": rates(case),
        "speedup": times(first),
        "scaling": times((pairing, first[1])),
        "shares": {name: value / total for name, value in seconds.items()},
    }


if __name__ == "__main__":
    sys.exit(main())
