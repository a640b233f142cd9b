"""Measure an update of `distill train-pix2pix` beside the plain order of the public implementation, in one run.

    python benchmarks/train_pix2pix.py demo@64 --seconds 20 --json pix2pix.json
    python benchmarks/train_pix2pix.py seed@256 --data runs/triplets --device cuda --compile

The plain order: the generator, three passes of the discriminator (fake, cut off from the generator; real; fake), the
losses, a backward pass and an Adam step for the generator, then for the discriminator; float32, PyTorch's defaults.
Both begin with the same weights, see the same batch and must give the same losses, or nothing is measured. The
ways take turns, `--rounds` times; the table has the median round. Augmentation is left out where ways are
compared: the plain order has none on the device.

CPU s: the seconds of this process's processors an update takes, which other work on the machine changes little.
TFLOP: the operations of an update's matrix products and convolutions. Beside it the loader alone: triplets/s that
are decoded, and that are drawn from memory, from --data or from a data set made for it. Those images are random,
so no loss says anything about learning. Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pix2pix_loader import make_data, measure_loader
from pix2pix_plain_order import PlainOrder
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from distill.devices import DTYPES, resolve_device, resolve_training_precision
from distill.networks.perceptual import default_perceptual, load_perceptual
from distill.shards.dataset import TripletDataset
from distill.training.pix2pix.data import TripletBatch, TripletReader
from distill.training.pix2pix.settings import PRESETS, Pix2PixSettings
from distill.training.pix2pix.step import Pix2PixHDStep
from distill.training.position import RunPosition
from distill.training.schedule import Schedule
from distill.training.settings import changed

SEED = 0
AGREE = 1e-3  # of the first losses, relative
PEAK_SIDES, PEAK_SECONDS = {"cpu": 2048, "cuda": 8192}, 2.0


class Operations(TorchDispatchMode):
    """Counts those of matrix products and convolutions, two for a multiplication with its addition."""

    total = 0.0

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = function(*args, **(kwargs or {}))
        if (count := flop_registry.get(function._overloadpacket)) is not None:
            self.total += count(*args, **(kwargs or {}), out_val=out)
        return out


@dataclass
class Way:
    """A way to update, and what was measured of it."""

    name: str
    build: Callable[[], Any]
    batch: Tensor
    device: str
    compiled: bool = False  # then its operations are not seen one by one
    step: Any = None
    updates: int = 0
    first: dict[str, float] = field(default_factory=dict)
    rates: list[float] = field(default_factory=list)  # updates a second, a round each
    efforts: list[float] = field(default_factory=list)  # seconds of this process's processors an update
    operations: float = 0.0  # of matrix products and convolutions, an update
    memory: int = 0  # bytes, the most at once, on a GPU

    def begin(self) -> None:
        """Build, make the first update, and count the operations of the second."""
        self.step = self.build()
        self.first = {name: float(value) for name, value in self.update().items()}
        if not self.compiled:
            with Operations() as counter:
                self.update()
            self.operations = counter.total

    def update(self) -> dict[str, Tensor]:
        place = RunPosition(seed=SEED, updates=self.updates, samples=self.updates * len(self.batch))
        self.updates += 1
        found: dict[str, Tensor] = self.step.update(TripletBatch(images=self.batch), place)
        return found

    def round(self, seconds: float) -> None:
        """Update for so long, three times at least, without a stop in between."""
        if self.device != "cpu":
            torch.cuda.reset_peak_memory_stats()
        self.update()
        wait(self.device)
        since, worked, count, took = time.perf_counter(), time.process_time(), 0, 0.0
        while count < 3 or took < seconds:
            self.update()
            if self.device == "cpu" or count % 8 == 7:
                wait(self.device)
            count, took = count + 1, time.perf_counter() - since
        wait(self.device)
        self.rates.append(count / (time.perf_counter() - since))
        self.efforts.append((time.process_time() - worked) / count)
        if self.device != "cpu":
            self.memory = max(self.memory, torch.cuda.max_memory_allocated())

    @property
    def rate(self) -> float:
        return statistics.median(self.rates)


def wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()


def ways_of(preset: Pix2PixSettings, inputs: int, batch: Tensor, options: argparse.Namespace) -> list[Way]:
    """The plain order, ours in float32, ours in the precision of a run; compiled and with augmentation if asked."""
    device, features = options.device, load_perceptual(options.perceptual, device=options.device)
    architecture, plain = preset.architecture(inputs), changed(preset, {"augment": ()})
    schedule = Schedule(lr=preset.lr, constant=1 << 40, decay=0)

    def ours(settings: Pix2PixSettings, precision: str) -> Callable[[], Pix2PixHDStep]:
        return lambda: Pix2PixHDStep(
            settings, architecture, features, schedule, seed=SEED, device=device, half=DTYPES[precision]
        )

    half = resolve_training_precision(options.precision, device)
    made: list[tuple[str, Callable[[], Any]]] = [
        ("plain order, fp32", lambda: PlainOrder(plain, architecture, features, device=device, seed=SEED)),
        ("distill, fp32", ours(plain, "fp32")),
    ]
    if half != "fp32":
        made.append((f"distill, {half}", ours(plain, half)))
    if options.compile:
        made.append((f"distill, {half}, compiled", ours(changed(plain, {"compiled": True}), half)))
    made.append((f"distill, {half}, augmented", ours(preset, half)))
    return [Way(name, build, batch, device, compiled="compiled" in name) for name, build in made]


def check_agreement(ways: list[Way]) -> float:
    """Return how far the first losses in float32 are apart, relative; end where that is more than rounding."""
    plain, ours = ways[0].first, ways[1].first
    apart = max(abs(ours[name] - value) / abs(value) for name, value in plain.items())
    if not apart < AGREE:
        raise SystemExit(f"the first losses differ by {apart:.2g}: {plain} and {ours}; nothing was measured")
    return apart


# ---- the report


def peak(device: str, dtype: torch.dtype) -> float:
    """Operations a second of a large matrix product in this format: the best of a few."""
    side = PEAK_SIDES[torch.device(device).type]
    a = torch.randn(side, side, device=device).to(dtype)
    best, began = 0.0, time.perf_counter()
    while time.perf_counter() - began < PEAK_SECONDS:
        wait(device)
        since = time.perf_counter()
        a @ a
        wait(device)
        best = max(best, 2 * side**3 / (time.perf_counter() - since))
    return best


def facts_of(
    way: Way, plain: Way, peaks: dict[str, float], loader: dict[str, float]
) -> dict[str, float | str | None]:
    """What the table says of a way."""
    half = next((name for name in ("bf16", "fp16") if name in way.name), "fp32")
    images = way.rate * len(way.batch)
    return {
        "way": way.name,
        "updates_per_second": way.rate,
        "triplets_per_second": images,
        "against_plain_order": way.rate / plain.rate,
        "processor_seconds": statistics.median(way.efforts),
        "operations": way.operations,
        "share_of_peak": way.rate * way.operations / peaks[half],
        "loader_decoded_against_step": loader["decoded"] / images,
        "memory": way.memory or None,
    }


def table(rows: list[dict[str, Any]], loader: dict[str, float]) -> str:
    head = ("", "updates/s", "triplets/s", "× plain", "CPU s", "TFLOP", "of peak", "loader / step", "GiB")
    lines = [head]
    for row in rows:
        memory = f"{row['memory'] / 2**30:.1f}" if row["memory"] else "-"
        lines.append((
            row["way"], f"{row['updates_per_second']:.3f}", f"{row['triplets_per_second']:.2f}",
            f"{row['against_plain_order']:.2f}", f"{row['processor_seconds']:.3f}",
            f"{row['operations'] / 1e12:.3f}", f"{row['share_of_peak']:.0%}",
            f"{row['loader_decoded_against_step']:.1f}", memory,
        ))  # fmt: skip
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = [
        "  ".join(cell.rjust(width) if n else cell.ljust(width) for n, (cell, width) in enumerate(pairs))
        for pairs in (zip(line, widths, strict=True) for line in lines)
    ]
    drawn = ", ".join(f"{name} {rate:.0f}" for name, rate in loader.items())
    return "\n".join([*text, f"loader alone, triplets/s: {drawn}"])


def read_data(options: argparse.Namespace, preset: Pix2PixSettings) -> tuple[Tensor, dict[str, float]]:
    """Return a batch [B, R, 3, H, W] and the loader's triplets/s, of --data or of a data set made for it."""
    with tempfile.TemporaryDirectory(prefix="pix2pix-benchmark-") as made:
        folder = options.data or Path(made)
        if options.data is None:
            make_data(folder, preset.max_resolution)
        dataset = TripletDataset(folder, resolution=preset.max_resolution)
        reader = TripletReader(dataset)
        batch = reader.read(np.arange(preset.batch) % len(dataset))
        reader.close()
        loader = measure_loader(dataset, preset.batch, options.loader_seconds)
        dataset.close()
    return batch, loader


def main() -> int:
    options = parse()
    name, _, side = options.case.partition("@")
    if name not in PRESETS or not side.isdecimal():
        raise SystemExit(f"case {options.case!r}: write PRESET@RESOLUTION with one of {', '.join(PRESETS)}")
    asked = {key: getattr(options, key) for key in ("batch", "ngf") if getattr(options, key)}
    preset = changed(PRESETS[name], {"max_resolution": int(side), **asked})
    batch, loader = read_data(options, preset)
    ways = ways_of(preset, batch.shape[1] - 1, batch, options)
    for way in ways:
        way.begin()
        way.operations = way.operations or ways[1].operations
    apart = check_agreement(ways)
    for way in ways * options.rounds:
        way.round(options.seconds / options.rounds)
    formats = {
        key: peak(options.device, DTYPES[key])
        for key in {"fp32", resolve_training_precision(options.precision, options.device)}
    }
    facts = {
        "case": options.case,
        "batch": preset.batch,
        "machine": torch.cuda.get_device_name() if options.device != "cpu" else platform.machine(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "perceptual": options.perceptual,
        "losses_apart": apart,
        "operations_per_second": formats,
        "loader": loader,
        "ways": [facts_of(way, ways[0], formats, loader) for way in ways],
    }
    print(
        ", ".join(f"{key} {facts[key]}" for key in list(facts)[:6]),
        f"first losses apart by {apart:.1g}",
        sep="; ",
    )
    print(table(facts["ways"], loader))
    if options.json:
        options.json.write_text(json.dumps(facts, indent=2) + "\n")
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
    parser.add_argument(
        "--compile", action="store_true", help="measure the compiled step too; minutes at the start"
    )
    parser.add_argument("--json", type=Path, help="write the numbers here")
    options = parser.parse_args()
    options.device = resolve_device(options.device)
    options.perceptual = default_perceptual() if options.perceptual == "auto" else options.perceptual
    return options


if __name__ == "__main__":
    sys.exit(main())
