"""Measure an update of `distill train-pix2pix` beside the plain order of the public implementation, in one run.

    python benchmarks/train_pix2pix.py demo@64 --seconds 20 --json pix2pix.json
    python benchmarks/train_pix2pix.py seed@256 --data runs/triplets --device cuda --compiled --profile

The plain order: the generator, three passes of the discriminator (fake, cut off from the generator; real; fake), the
losses, a backward pass and an Adam step for the generator, then for the discriminator; PyTorch's defaults. It runs
in float32 and in the precision of a run. Both begin with the same weights, see the same batch and must give the same
losses in float32, or nothing is measured. The ways take turns, `--rounds` times; the table has medians. Augmentation
is left out where ways are compared: the plain order has none on the device.

× plain: against the plain order in float32; × same: in the same precision; by time on a GPU, by CPU s on a CPU. CPU
s: seconds of this process's processors an update takes, which other work on the machine changes little. TFLOP: the
operations of an update's matrix products and convolutions. Beside it the loader alone: triplets/s that are decoded,
and that are drawn from memory, from --data or from a data set made for it. Those images are random, so no loss says
anything about learning. `--profile`: where the time goes, by part and by operator. Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pix2pix_loader import make_data, measure_loader
from pix2pix_plain_order import PlainOrder
from side_by_side import machine, print_table, sentence, write_json
from update_profile import print_profile
from updates import SEED, Way, check_agreement, peak, plain_of, race

from distill.devices import DTYPES, Format, keep_freed_memory, resolve_device, resolve_training_precision
from distill.networks.perceptual import default_perceptual, load_perceptual
from distill.shards.dataset import TripletDataset
from distill.training.pix2pix.data import TripletBatch, TripletReader
from distill.training.pix2pix.settings import PRESETS, Pix2PixSettings
from distill.training.pix2pix.step import Pix2PixHDStep
from distill.training.schedule import Schedule
from distill.training.settings import changed

PARTS = ("generator", "discriminator", "features")


def ways_of(
    preset: Pix2PixSettings, inputs: int, batch: TripletBatch, options: argparse.Namespace
) -> list[Way]:
    """The plain order and ours in float32 and in the precision of a run; compiled if asked, and with augmentation."""
    device, features = options.device, load_perceptual(options.perceptual, device=options.device)
    architecture, plain = preset.architecture(inputs), changed(preset, {"augment": ()})
    schedule = Schedule(lr=preset.lr, constant=1 << 40, decay=0)
    half = resolve_training_precision(options.precision, device)

    def in_plain_order(precision: Format) -> Callable[[], PlainOrder]:
        return lambda: PlainOrder(
            plain, architecture, features, device=device, seed=SEED, half=DTYPES[precision]
        )

    def ours(settings: Pix2PixSettings, precision: Format) -> Callable[[], Pix2PixHDStep]:
        return lambda: Pix2PixHDStep(
            settings, architecture, features, schedule, seed=SEED, device=device, half=DTYPES[precision]
        )

    def way(name: str, build: Callable[[], Any], precision: Format, **facts: bool) -> Way:
        where = torch.device(device)
        return Way(f"{name}, {precision}", build, batch, preset.batch, where, precision, **facts)

    made = [
        way("plain order", in_plain_order("fp32"), "fp32", plain=True),
        way("distill", ours(plain, "fp32"), "fp32"),
    ]
    if half != "fp32":
        made.append(way("distill", ours(plain, half), half))
    if half == "bf16":  # the plain order has no scaling of losses, which fp16 needs
        made.append(way("plain order", in_plain_order(half), half, plain=True))
    if options.compiled:
        compiled = ours(changed(plain, {"compiled": True}), half)
        made.append(way("distill compiled", compiled, half, compiled=True))
    made.append(way("distill augmented", ours(preset, half), half))
    return made


# ---- the report


def facts_of(
    way: Way, ways: list[Way], peaks: dict[Format, float], loader: dict[str, float]
) -> dict[str, float | str | None]:
    """What the table says of a way."""
    images, same = way.rate * way.samples, plain_of(way, ways)
    return {
        "way": way.name,
        "updates_per_second": way.rate,
        "triplets_per_second": images,
        "against_plain_order": way.times_faster_than(ways[0]),
        "against_same_precision": way.times_faster_than(same) if same else None,
        "processor_seconds": statistics.median(way.efforts),
        "operations": way.operations,
        "share_of_peak": way.rate * way.operations / peaks[way.precision],
        "loader_decoded_against_step": loader["decoded"] / images,
        "memory": way.memory or None,
    }


def print_ways(rows: list[dict[str, Any]], loader: dict[str, float]) -> None:
    head = (
        "", "updates/s", "triplets/s", "× plain", "× same", "CPU s", "TFLOP", "of peak", "loader / step", "GiB"
    )  # fmt: skip
    lines = [
        (
            row["way"], f"{row['updates_per_second']:.3f}", f"{row['triplets_per_second']:.2f}",
            f"{row['against_plain_order']:.2f}",
            f"{row['against_same_precision']:.2f}" if row["against_same_precision"] else "-",
            f"{row['processor_seconds']:.3f}", f"{row['operations'] / 1e12:.3f}", f"{row['share_of_peak']:.0%}",
            f"{row['loader_decoded_against_step']:.1f}", f"{row['memory'] / 2**30:.1f}" if row["memory"] else "-",
        )
        for row in rows
    ]  # fmt: skip
    print_table(head, lines)
    print("loader alone, triplets/s:", ", ".join(f"{name} {rate:.0f}" for name, rate in loader.items()))


def read_data(options: argparse.Namespace, preset: Pix2PixSettings) -> tuple[TripletBatch, dict[str, float]]:
    """Return a batch and the loader's triplets/s, of --data or of a data set made for it."""
    with tempfile.TemporaryDirectory(prefix="pix2pix-benchmark-") as made:
        folder = options.data or Path(made)
        if options.data is None:
            make_data(folder, preset.max_resolution)
        dataset = TripletDataset(folder, resolution=preset.max_resolution)
        reader = TripletReader(dataset)
        images = reader.read(np.arange(preset.batch) % len(dataset))
        reader.close()
        loader = measure_loader(dataset, preset.batch, options.loader_seconds)
        dataset.close()
    return TripletBatch(images=images), loader


def main() -> int:
    options = parse()
    name, _, side = options.case.partition("@")
    if name not in PRESETS or not side.isdecimal():
        raise SystemExit(f"case {options.case!r}: write PRESET@RESOLUTION with one of {', '.join(PRESETS)}")
    asked = {key: getattr(options, key) for key in ("batch", "ngf") if getattr(options, key)}
    preset = changed(PRESETS[name], {"max_resolution": int(side), **asked})
    keep_freed_memory()
    device = torch.device(options.device)
    facts = machine(device)
    print(sentence(facts), flush=True)
    batch, loader = read_data(options, preset)
    ways = ways_of(preset, batch.images.shape[1] - 1, batch, options)
    race(ways, seconds=options.seconds, rounds=options.rounds)
    apart = check_agreement(ways[0], ways[1])
    for way in ways:
        way.operations = way.operations or ways[1].operations
    peaks = {precision: peak(device, precision) for precision in {way.precision for way in ways}}
    print(
        f"{options.case}, batch {preset.batch}, perceptual {options.perceptual}; first losses apart by {apart:.1g}\n"
    )
    rows = [facts_of(way, ways, peaks, loader) for way in ways]
    print_ways(rows, loader)
    last = [way for way in ways if way.precision == ways[-1].precision and not way.compiled]
    profiles = print_profile(last, PARTS) if options.profile else {}
    result = {
        "machine": facts, "case": options.case, "batch": preset.batch, "perceptual": options.perceptual,
        "losses_apart": apart, "operations_per_second": peaks, "loader": loader, "ways": rows, "profiles": profiles,
    }  # fmt: skip
    write_json(options.json, result)
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="An update of train-pix2pix beside the plain order.")
    parser.add_argument("case", nargs="?", default="demo@64", help="PRESET@RESOLUTION")
    parser.add_argument("--data", type=Path, help="a data set; default: one of random images, made for this")
    parser.add_argument("--seconds", type=float, default=20.0, help="for each way, all rounds together")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--loader-seconds", type=float, default=3.0)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--ngf", type=int)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto", choices=["auto", "fp32", "bf16", "fp16"])
    parser.add_argument("--perceptual", default="auto")
    parser.add_argument("--compiled", action="store_true", help="the compiled step too; minutes at the start")
    parser.add_argument("--profile", action="store_true", help="where the time goes, by part and by operator")
    parser.add_argument("--json", type=Path, help="write the numbers here")
    options = parser.parse_args()
    options.device = resolve_device(options.device)
    options.perceptual = default_perceptual() if options.perceptual == "auto" else options.perceptual
    return options


if __name__ == "__main__":
    sys.exit(main())
