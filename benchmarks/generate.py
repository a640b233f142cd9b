"""Triplets a second by resolution and precision, beside the public formulation of the same network.

    python benchmarks/generate.py --quick
    python benchmarks/generate.py --json generate.json

On the embedded teacher and on config F with random weights at 256, 512 and 1024 px. A triplet is content, style
and mixed. The public code draws three images for it (see transcription.py), ours shares the layers below the
crossover between content and mixed, as `distill generate` does. All ways run in one process, one after the other
in each round; "faster" is the median over the rounds of the ratio to "grouped". Before anything is timed, each
way's images are compared with the reference's: PSNR and mean difference in grey levels.

Synthesis only, on one thread unless --threads says otherwise (the workers of a run have one each).
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import torch
from side_by_side import as_in_a_run, print_table, race, write_json
from torch import Tensor
from transcription import Transcription
from triplets import BATCHES, CROSSOVER, Triplet, build, latents, mix, sharing, triplet_flops

from distill.pixels import to_uint8
from distill.stylegan2.fused import FusedSynthesis
from distill.stylegan2.networks import GeneratorNetwork

HEADER = ("way", "triplets/s", "s each", "best s", "faster", "GFLOP/s", "PSNR", "grey levels", "largest")


def main() -> int:
    options = parse()
    device, facts = as_in_a_run(options.device, options.threads)
    results = [measure(name, options, device) for name in options.networks]
    write_json(options.json, {"machine": facts, "command": sys.argv, "networks": results})
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Triplets a second, beside the public formulation.")
    parser.add_argument(
        "networks", nargs="*", help="portraits, 256, 512, 1024; default: all, or with --quick the first two"
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--precision", nargs="+", choices=["fp32", "bf16", "fp16"])
    parser.add_argument("--compiled", action="store_true", help="also with torch.compile: minutes to build")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch", type=int, help="triplets at once; default: by resolution")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help="this process's processor time: where other work runs beside it",
    )
    parser.add_argument("--quick", action="store_true", help="two rounds on portraits and 256 px")
    parser.add_argument("--json", type=Path, help="write all numbers here")
    options = parser.parse_args()
    if options.quick:
        options.rounds = min(options.rounds, 2)
    options.networks = options.networks or ["portraits", "256", *([] if options.quick else ["512", "1024"])]
    if options.cpu_time and options.device != "cpu":
        parser.error("--cpu-time measures nothing that a GPU does")
    if unknown := set(options.networks) - {"portraits", "256", "512", "1024"}:
        parser.error(f"unknown network {sorted(unknown)[0]!r}: take portraits, 256, 512 or 1024")
    if options.precision is None:
        options.precision = (
            ["fp32", "bf16", "fp16"] if options.device.startswith("cuda") else ["fp32", "bf16"]
        )
    return options


def measure(name: str, options: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    """Race all ways on one network; print the table, return the numbers."""
    network = build(name).to(device)
    resolution = network.shape.resolution
    batch = options.batch or BATCHES["cuda" if device.type == "cuda" else "cpu"][resolution]
    content, style = latents(network, batch, device)
    ways = all_ways(network, options)
    images = {way: torch.cat(list(triplet(content, style))) for way, triplet in ways.items()}
    quality = {way: compare(drawn, images["reference"]) for way, drawn in images.items()}
    times = race(
        {way: lambda triplet=triplet: triplet(content, style) for way, triplet in ways.items()},  # type: ignore[misc]
        rounds=options.rounds,
        device=device,
        clock=time.process_time if options.cpu_time else time.perf_counter,
    )
    flops = triplet_flops(network.shape, shared_layers=CROSSOVER)
    rows = [
        {
            "way": way,
            "triplets_per_s": batch / taken.median,
            "median_s": taken.median / batch,
            "best_s": taken.best / batch,
            "faster": taken.times_faster_than(times["grouped fp32"]),
            "gflop_per_s": flops * batch / taken.median / 1e9,
            "psnr_db": quality[way][0],
            "grey_levels": quality[way][1],
            "largest_grey_levels": quality[way][2],
        }
        for way, taken in times.items()
    ]
    print(
        f"{name}: {resolution} px, {batch} at once, {options.rounds} rounds; {flops / 1e9:.0f} GFLOP a triplet"
    )
    print_table(HEADER, [format_row(row) for row in rows])
    return {
        "network": name,
        "resolution": resolution,
        "batch": batch,
        "flop_per_triplet": flops,
        "ways": rows,
    }


def format_row(row: dict[str, Any]) -> list[str]:
    return [
        row["way"],
        f"{row['triplets_per_s']:.3g}",
        f"{row['median_s']:.3g}",
        f"{row['best_s']:.3g}",
        f"{row['faster']:.2f}x",
        f"{row['gflop_per_s']:.0f}",
        "same" if row["psnr_db"] == float("inf") else f"{row['psnr_db']:.1f} dB",
        f"{row['grey_levels']:.3f}",
        f"{row['largest_grey_levels']:.0f}",
    ]


def all_ways(network: GeneratorNetwork, options: argparse.Namespace) -> dict[str, Triplet]:
    """The public formulations, the reference and the fused path, each as a function that draws triplets."""
    ways: dict[str, Triplet] = {
        "grouped fp32": three_images(Transcription(network, grouped=True)),
        "plain fp32": three_images(Transcription(network, grouped=False)),
    }
    if options.device.startswith("cuda"):
        ways["grouped fp16"] = three_images(Transcription(network, grouped=True, half=True))
        ways["plain fp16"] = three_images(Transcription(network, grouped=False, half=True))
    ways["reference"] = sharing(network.synthesis)
    for compiled in (False, True) if options.compiled else (False,):
        for precision in options.precision:
            name = f"fused {precision} compiled" if compiled else f"fused {precision}"
            ways[name] = sharing(FusedSynthesis(network, precision, compiled=compiled))
    if options.device.startswith("cuda"):  # a quarter of the products, but a filter for each channel
        ways["fused fp16 by phases"] = sharing(FusedSynthesis(network, "fp16", up_form="phases"))
    return ways


def three_images(draw: Transcription) -> Triplet:
    """Draw every role by itself."""
    return lambda content, style: [draw(content), draw(style), draw(mix(content, style))]


def compare(images: Tensor, reference: Tensor) -> tuple[float, float, float]:
    """PSNR in dB, mean and largest difference in grey levels, of 8-bit images."""
    error = to_uint8(images).double() - to_uint8(reference).double()
    mse = float(error.square().mean())
    psnr = float("inf") if mse == 0 else float(10 * torch.log10(torch.tensor(255.0**2 / mse)))
    return psnr, float(error.abs().mean()), float(error.abs().max())


if __name__ == "__main__":
    sys.exit(main())
