"""How fast this device can multiply, and what share of that drawing a triplet reaches.

    python benchmarks/floor.py
    python benchmarks/floor.py 512 --json floor.json

Measures the best rate of square matrix products and of 3x3 convolutions (channels last) in each number format, adds
up the products of a triplet layer by layer (a multiplication and an addition count as two; a transposed
convolution needs 9 products for each pixel of its input), and draws triplets with the fused path. The share is
the rate of the triplet over the best convolution rate of its format: 1 would mean that only convolutions took time
and each ran as fast as the best one. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from side_by_side import as_in_a_run, print_table, race, seconds_of, write_json
from torch import Tensor
from torch.nn import functional as F
from triplets import BATCHES, CROSSOVER, build, latents, sharing, triplet_flops

from distill.devices import DTYPES
from distill.stylegan2.fused import FusedSynthesis

MATRICES = {"cpu": (1024, 2048), "cuda": (4096, 8192)}
CONVOLUTIONS = {  # channels, side, batch
    "cpu": ((512, 32, 1), (512, 64, 1), (256, 128, 1), (128, 256, 1), (64, 512, 1)),
    "cuda": ((512, 32, 64), (512, 64, 32), (256, 128, 32), (128, 256, 16), (64, 512, 16), (32, 1024, 8)),
}


def main() -> int:
    options = parse()
    device, facts = as_in_a_run(options.device, options.threads)
    peaks = {name: measure_peak(DTYPES[name], device, options.rounds) for name in options.precision}
    print_table(
        ("format", "work", "GFLOP/s"), [row for name, peak in peaks.items() for row in peak_rows(name, peak)]
    )
    shares = [share for name in options.networks for share in measure_shares(name, peaks, options, device)]
    write_json(options.json, {"machine": facts, "command": sys.argv, "peaks": peaks, "shares": shares})
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="This device's peak, and the share that a triplet reaches.")
    parser.add_argument("networks", nargs="*", help="256, 512, 1024; default: all three")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--precision", nargs="+", choices=list(DTYPES))
    parser.add_argument("--compiled", action="store_true", help="draw with torch.compile: minutes to build")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write all numbers here")
    options = parser.parse_args()
    options.networks = options.networks or ["256", "512", "1024"]
    if unknown := set(options.networks) - {"256", "512", "1024"}:
        parser.error(f"unknown network {sorted(unknown)[0]!r}: take 256, 512 or 1024")
    if options.precision is None:
        options.precision = list(DTYPES) if options.device.startswith("cuda") else ["fp32", "bf16"]
    return options


def measure_peak(dtype: torch.dtype, device: torch.device, rounds: int) -> dict[str, float]:
    """GFLOP/s of every piece of work: the best of the rounds."""
    kind = "cuda" if device.type == "cuda" else "cpu"
    work: dict[str, tuple[float, Callable[[], Tensor]]] = {}
    for size in MATRICES[kind]:
        a = torch.randn(size, size, device=device).to(dtype)
        work[f"matrix {size}"] = (2.0 * size**3, lambda a=a: a @ a)  # type: ignore[misc]
    for channels, side, batch in CONVOLUTIONS[kind]:
        x = torch.randn(batch, channels, side, side, device=device).to(
            dtype, memory_format=torch.channels_last
        )
        w = torch.randn(channels, channels, 3, 3, device=device).to(dtype, memory_format=torch.channels_last)
        flops = 2.0 * 9 * channels**2 * side**2 * batch
        work[f"convolution {batch} x {channels} @ {side}"] = (
            flops,
            lambda x=x, w=w: F.conv2d(x, w, padding=1),  # type: ignore[misc]
        )
    with torch.inference_mode():
        times = race({name: call for name, (_, call) in work.items()}, rounds=rounds, device=device)
    return {name: flops / times[name].best / 1e9 for name, (flops, _) in work.items()}


def peak_rows(name: str, peak: dict[str, float]) -> list[tuple[str, str, str]]:
    return [(name, work, f"{rate:.0f}") for work, rate in peak.items()]


def measure_shares(
    name: str, peaks: dict[str, dict[str, float]], options: argparse.Namespace, device: torch.device
) -> list[dict[str, Any]]:
    """Draw triplets of config F in each format; print and return rates and shares."""
    network = build(name).to(device)
    batch = BATCHES["cuda" if device.type == "cuda" else "cpu"][int(name)]
    content, style = latents(network, batch, device)
    flops = triplet_flops(network.shape, shared_layers=CROSSOVER) * batch
    shares = []
    for precision, peak in peaks.items():
        draw = sharing(FusedSynthesis(network, precision, compiled=options.compiled))  # type: ignore[arg-type]
        draw(content, style)
        best = min(seconds_of(lambda d=draw: d(content, style), device) for _ in range(options.rounds))  # type: ignore[misc]
        limit = max(rate for work, rate in peak.items() if work.startswith("convolution"))
        rate = flops / best / 1e9
        shares.append(
            {
                "network": name,
                "format": precision,
                "triplet_gflop": flops / batch / 1e9,
                "best_s": best / batch,
                "gflop_per_s": rate,
                "share_of_convolution_peak": rate / limit,
                "floor_s": flops / batch / 1e9 / limit,
            }
        )
    print(f"config F, {name} px, {batch} triplets at once")
    print_table(
        ("format", "GFLOP a triplet", "s at peak", "s (best)", "GFLOP/s", "share"),
        [
            (
                share["format"],
                f"{share['triplet_gflop']:.0f}",
                f"{share['floor_s']:.3f}",
                f"{share['best_s']:.3f}",
                f"{share['gflop_per_s']:.0f}",
                f"{share['share_of_convolution_peak']:.0%}",
            )
            for share in shares
        ],
    )
    return shares


if __name__ == "__main__":
    sys.exit(main())
