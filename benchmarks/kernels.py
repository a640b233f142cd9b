"""Which kernels the time of a triplet goes to: what the bottleneck is, and what is left to gain.

    python benchmarks/kernels.py 256 1024

Draws style-mixing triplets as `generate.py` does under PyTorch's profiler. On a GPU the rows are its kernels, on a
CPU PyTorch's operators by the time of their own. The profiler slows small pieces of work: shares, not rates.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import torch
from side_by_side import as_in_a_run, print_table, wait_for, write_json
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile
from triplets import BATCHES, build, latents, sharing

from distill.devices import resolve_precision
from distill.stylegan2.fused import FusedSynthesis

WIDTH = 70  # characters of a kernel's name


def main() -> int:
    options = parse()
    device, facts = as_in_a_run(options.device)
    results = [measure(name, options, device) for name in options.networks]
    write_json(options.json, {"machine": facts, "command": sys.argv, "networks": results})
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Which kernels the time of a triplet goes to.")
    parser.add_argument("networks", nargs="*", default=["1024"], help="portraits, 256, 512, 1024")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--precision", default="auto", choices=["auto", "fp32", "bf16", "fp16"])
    parser.add_argument("--compiled", action="store_true", help="with torch.compile: minutes to build")
    parser.add_argument("--batch", type=int, help="triplets at once; default: by resolution")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--top", type=int, default=15, help="rows")
    parser.add_argument("--json", type=Path, help="write all numbers here")
    return parser.parse_args()


def measure(name: str, options: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    """Profile one network; print the table, return the numbers."""
    network = build(name).to(device)
    batch = options.batch or BATCHES["cuda" if device.type == "cuda" else "cpu"][network.shape.resolution]
    content, style = latents(network, batch, device)
    precision = resolve_precision(options.precision, device)
    draw = sharing(FusedSynthesis(network, precision, compiled=options.compiled))
    for _ in range(2):  # compiles, chooses kernels, fills the caches of memory
        draw(content, style)
    wait_for(device)
    on_gpu = device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with profile(activities=activities) as profiler:
        for _ in range(options.repeats):
            draw(content, style)
        wait_for(device)
    triplets = batch * options.repeats
    rows = [
        {"kernel": kernel, "calls": calls / triplets, "ms": microseconds / 1000 / triplets}
        for kernel, calls, microseconds in own_times(profiler, on_gpu=on_gpu)
    ]
    total = sum(row["ms"] for row in rows)
    how = f"{precision}{' compiled' if options.compiled else ''}"
    print(f"{name}: {network.shape.resolution} px, {batch} at once, {how}; {total:.2f} ms a triplet")
    print_table(
        ("kernel", "calls a triplet", "ms a triplet", "share"),
        [
            (row["kernel"][:WIDTH], f"{row['calls']:.2f}", f"{row['ms']:.3f}", f"{row['ms'] / total:.0%}")
            for row in rows[: options.top]
        ],
    )
    return {"network": name, "batch": batch, "precision": precision, "total_ms": total, "kernels": rows}


def own_times(profiler: profile, *, on_gpu: bool) -> list[tuple[str, int, float]]:
    """Name, calls and microseconds of each kernel or operator, the longest first."""
    found = [
        (event.key, event.count, event.self_device_time_total if on_gpu else event.self_cpu_time_total)
        for event in profiler.key_averages()
        if (event.device_type == DeviceType.CUDA) == on_gpu
    ]
    return sorted(((key, count, time) for key, count, time in found if time), key=lambda row: -row[2])


if __name__ == "__main__":
    sys.exit(main())
