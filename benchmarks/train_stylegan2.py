"""Measure what an update of `distill train-stylegan2` costs, part by part, and how near it is to the device's peak.

    python benchmarks/train_stylegan2.py small@64 --seconds 60 --json train.json

First the fastest matrix product of this device in the precision of the run and in float32. Then for each case
whole periods of updates (R1 and path length come every 16 and 4) on random images, without a stop in between:
images/s. Then the same with the clock read between the parts, and one update with the operations of its matrix
products and convolutions counted. Prints a table; the share is operations / time / peak. R1 and path length
compute in float32 and are held against that peak, an update as a whole against the peak of its precision.
Reading images is not measured. Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from side_by_side import wait_for
from updates import Operations, peak

from distill.devices import DTYPES, resolve_device, resolve_training_precision
from distill.errors import DistillError
from distill.training.position import RunPosition
from distill.training.settings import changed
from distill.training.stylegan2.settings import PRESETS, StyleGAN2Settings
from distill.training.stylegan2.step import StyleGAN2Step

PARTS = {  # method of the step: what the table calls it
    "_update_discriminator": "discriminator",
    "_penalise_gradient": "R1",
    "_update_generator": "generator",
    "_penalise_path": "path length",
    "_augment": "augmentation",  # forward; its way back is in the generator's and in R1's time
    "_update_average": "average",
}
REST = "rest"
FLOAT32_PARTS = ("R1", "path length")
SEED = 0


class Parts:
    """Charges what a meter reads to the part that is at work; a part within another one counts for itself."""

    def __init__(self, reading: Callable[[], float]) -> None:
        self.reading, self.stack, self.mark = reading, [REST], reading()
        self.total: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)

    def charge(self) -> None:
        now = self.reading()
        self.total[self.stack[-1]] += now - self.mark
        self.mark = now

    @contextmanager
    def within(self, part: str) -> Iterator[None]:
        self.charge()
        self.stack.append(part)
        self.calls[part] += 1
        try:
            yield
        finally:
            self.charge()
            self.stack.pop()

    @contextmanager
    def watching(self, step: StyleGAN2Step) -> Iterator[None]:
        """Put this meter around the methods of a step."""
        for method, part in PARTS.items():
            setattr(step, method, self._around(getattr(step, method), part))
        try:
            yield
        finally:
            self.charge()
            for method in PARTS:
                delattr(step, method)

    def _around(self, method: Callable[..., Any], part: str) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            with self.within(part):
                return method(*args, **named)

        return call


class Case:
    """A preset at a resolution, ready to update."""

    def __init__(self, name: str, preset: StyleGAN2Settings, side: int, device: str, precision: str) -> None:
        self.name, self.preset, self.device = name, preset, device
        self.step = StyleGAN2Step(preset, side, seed=SEED, device=device, half=DTYPES[precision])
        random = torch.Generator().manual_seed(SEED)
        self.reals = (torch.rand(preset.batch, 3, side, side, generator=random) * 2 - 1).to(device)
        self.period = math.lcm(preset.r1_every, preset.path_every if preset.path_weight else 1)
        self.updates = 0

    def update(self, count: int) -> None:
        for _ in range(count):
            place = RunPosition(seed=SEED, updates=self.updates, samples=self.updates * self.preset.batch)
            self.step.update(self.reals, place)
            self.updates += 1

    def periods(self, seconds: float) -> tuple[float, int]:
        """Run whole periods for this long, one at least; return seconds and updates."""
        wait_for(torch.device(self.device))
        since, count, took = time.perf_counter(), 0, 0.0
        while not count or took < seconds:
            self.update(self.period)
            wait_for(torch.device(self.device))
            count, took = count + self.period, time.perf_counter() - since
        return took, count


def preset_of(name: str, options: argparse.Namespace, precision: str) -> tuple[StyleGAN2Settings, int]:
    """Read PRESET@RESOLUTION. Augmentation keeps the probability that was asked for, since its cost depends on it."""
    preset, _, resolution = name.partition("@")
    if preset not in PRESETS or not resolution.isdecimal():
        raise SystemExit(f"case {name!r}: write PRESET@RESOLUTION with one of {', '.join(PRESETS)}")
    chosen = changed(PRESETS[preset], {"ada_target": None, "ada_p": options.p})
    if options.batch:
        chosen = changed(chosen, {"batch": options.batch})
    if precision == "fp16":
        chosen = changed(chosen, {"conv_clamp": 256.0})
    if chosen.batch % chosen.group:
        raise SystemExit(f"batch {chosen.batch} is no multiple of {chosen.group}, the group of the deviation")
    chosen.channels(int(resolution))
    return chosen, int(resolution)


def main() -> int:
    options = parse()
    if options.threads:
        torch.set_num_threads(options.threads)
    try:
        device = resolve_device(options.device)
        precision = resolve_training_precision(options.precision, device)
        wanted = [(name, *preset_of(name, options, precision)) for name in options.cases]
        facts = {"device": named(device), "torch": torch.__version__, "precision": precision, "p": options.p}
        peaks = {name: peak(torch.device(device), name) for name in dict.fromkeys([precision, "fp32"])}
        print(f"{facts['device']}, torch {torch.__version__}")
        print("matrix products: " + ", ".join(f"{peak / 1e12:.2f} TFLOP/s {n}" for n, peak in peaks.items()))
        results = []
        for case in wanted:
            results.append(measure(Case(*case, device, precision), options.seconds, peaks, precision))
            print_table(results[-1], precision)
    except DistillError as error:
        raise SystemExit(str(error)) from error
    if options.json:
        content = {**facts, "matmul_tflops": {n: peak / 1e12 for n, peak in peaks.items()}, "cases": results}
        options.json.write_text(json.dumps(content, indent=1) + "\n")
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the update of train-stylegan2, part by part.")
    parser.add_argument("cases", nargs="*", default=["small@64"], metavar="PRESET@RESOLUTION")
    parser.add_argument("--seconds", type=float, default=30, help="of each of the two timed runs of a case")
    parser.add_argument("--batch", type=int, help="default: the preset's")
    parser.add_argument("--p", type=float, default=0.5, help="probability of augmentation")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto", choices=["auto", "fp32", "bf16", "fp16"])
    parser.add_argument("--threads", type=int, help="of the processor; default: torch's choice")
    parser.add_argument("--json", type=Path, help="file to write the numbers to")
    return parser.parse_args()


def named(device: str) -> str:
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    table = Path("/proc/cpuinfo")
    lines = table.read_text().splitlines() if table.is_file() else []
    models = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return f"{(models or [platform.machine()])[0]}, threads: {torch.get_num_threads()}"


def measure(case: Case, seconds: float, peaks: dict[str, float], precision: str) -> dict[str, Any]:
    """Time a case as a whole and in parts, count its operations; all numbers are per update."""
    flops = count_operations(case)
    case.update(1)
    took, updates = case.periods(seconds)
    clock = Parts(lambda: (wait_for(torch.device(case.device)), time.perf_counter())[1])
    with clock.watching(case.step):
        _, watched = case.periods(seconds)
    whole, batch = took / updates, case.preset.batch
    parts = []
    for part, total in sorted(clock.total.items(), key=lambda item: -item[1]):
        peak = peaks["fp32" if part in FLOAT32_PARTS else precision]
        parts.append(row(part, total / watched, flops.get(part, 0.0), batch, peak))
    update = row("update", whole, sum(flops.values()), batch, peaks[precision])
    return {
        "case": case.name,
        "batch": batch,
        "updates": updates,
        "images_per_s": batch / whole,
        "share_of_peak": update["share_of_peak"],
        "parts": [*parts, update],
    }


def count_operations(case: Case) -> dict[str, float]:
    """Count the operations of each part in an update that has them all; return the mean over a period."""
    case.updates = 0
    counter = Operations()
    parts = Parts(lambda: counter.total)
    with parts.watching(case.step), counter:
        case.update(1)
    every = {"R1": case.preset.r1_every, "path length": case.preset.path_every}
    return {part: total / every.get(part, 1) for part, total in parts.total.items()}


def row(part: str, seconds: float, flops: float, batch: int, peak: float) -> dict[str, Any]:
    return {
        "part": part,
        "ms": 1e3 * seconds,
        "gflop_per_image": flops / batch / 1e9,
        "tflops": flops / seconds / 1e12,
        "share_of_peak": flops / seconds / peak,
    }


def print_table(result: dict[str, Any], precision: str) -> None:
    print(f"\n{result['case']}, batch {result['batch']}, {precision}: {result['images_per_s']:.2f} images/s")
    print(f"{'part':14} {'ms/update':>10} {'of time':>8} {'GFLOP/image':>12} {'TFLOP/s':>9} {'of peak':>8}")
    total = sum(part["ms"] for part in result["parts"][:-1])
    for part in result["parts"]:
        of_time = 1 if part["part"] == "update" else part["ms"] / total
        print(
            f"{part['part']:14} {part['ms']:10.1f} {of_time:8.1%} {part['gflop_per_image']:12.3f}"
            f" {part['tflops']:9.3f} {part['share_of_peak']:8.1%}"
        )


if __name__ == "__main__":
    sys.exit(main())
