"""Measure an update of each baseline beside its public loop, in one run.

    python benchmarks/train_baselines.py cyclegan stargan vaegan stylegan2 --seconds 10 --json baselines.json

The public loops (`plain_loops.py`) have PyTorch's defaults and our networks; they run in float32 and in the precision
of a run. Both begin with the same weights, see the same batch of random pictures and must give the same first losses
in float32, or nothing is measured. The ways take turns, `--rounds` times; the table has medians. Augmentation and the
average of the weights are left out, but for StyleGAN2's average: the public loops have none in the update. An update
of StarGAN is the mean over a period of critic and generator, one of StyleGAN2 that over 16, of which one has R1.

× plain: against the public loop in float32; × same: in the same precision; by time on a GPU, by CPU s on a CPU. CPU
s: seconds of this process's processors. Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from plain_loops import PlainCycleGAN, PlainStarGAN, PlainStyleGAN2, PlainVAEGAN
from side_by_side import machine, print_table, sentence, write_json
from torch import Tensor
from update_profile import print_profile
from updates import SEED, Way, check_agreement, plain_of, race

from distill.devices import DTYPES, Format, keep_freed_memory, resolve_device, resolve_training_precision
from distill.training.cyclegan.settings import PRESETS as CYCLEGAN
from distill.training.cyclegan.step import CycleGANStep
from distill.training.settings import changed
from distill.training.stargan.settings import PRESETS as STARGAN
from distill.training.stargan.step import StarGANStep
from distill.training.stylegan2.settings import PRESETS as STYLEGAN2
from distill.training.stylegan2.step import StyleGAN2Step
from distill.training.vaegan.settings import PRESETS as VAEGAN
from distill.training.vaegan.step import VAEGANStep

ATTRIBUTES = ("gender=female", "glasses=yes")
Build = Callable[[Format], Any]


def pictures(count: int, height: int, width: int, number: int = 0) -> Tensor:
    random = torch.Generator().manual_seed(number)
    return torch.rand(count, 3, height, width, generator=random) * 2 - 1


def cyclegan(preset: str, side: int, device: str) -> tuple[Build, Build, Any, int, int]:
    """Return the plain loop and ours by precision, a batch, its samples, and the updates of a period."""
    settings = changed(CYCLEGAN[preset], {"augment": (), "average_kimg": 0.0})
    schedule = settings.schedule(1 << 30)
    return (
        lambda precision: PlainCycleGAN(settings, side, device=device, half=DTYPES[precision]),
        lambda precision: CycleGANStep(
            settings, settings.architecture(side), schedule,
            sides=(side, side), seed=SEED, device=device, half=DTYPES[precision],
        ),
        tuple(pictures(settings.batch, side, side, number) for number in range(2)), settings.batch, 1,
    )  # fmt: skip


def stargan(preset: str, side: int, device: str) -> tuple[Build, Build, Any, int, int]:
    settings = changed(STARGAN[preset], {"attributes": ATTRIBUTES, "average_kimg": 0.0})
    random = torch.Generator().manual_seed(SEED)
    labels = torch.randint(2, (settings.batch, len(ATTRIBUTES)), generator=random).float()
    return (
        lambda precision: PlainStarGAN(settings, side, device=device, half=DTYPES[precision]),
        lambda precision: StarGANStep(
            settings, settings.architecture(), settings.critic(side, side),
            seed=SEED, device=device, half=DTYPES[precision],
        ),
        (pictures(settings.batch, side, side), labels), settings.batch, settings.n_critic,
    )  # fmt: skip


def vaegan(preset: str, side: int, device: str) -> tuple[Build, Build, Any, int, int]:
    settings = changed(VAEGAN[preset], {"average_kimg": 0.0, "height": side, "width": side})
    return (
        lambda precision: PlainVAEGAN(settings, device=device),
        lambda precision: VAEGANStep(settings, seed=SEED, device=device),
        pictures(settings.batch, side, side), settings.batch, 1,
    )  # fmt: skip


def stylegan2(preset: str, side: int, device: str) -> tuple[Build, Build, Any, int, int]:
    """The preset `demo` is that of its own trainer for a CPU: `small`. No augmentation, no path length."""
    changes = {"ada_target": None, "ada_p": 0.0, "path_weight": 0.0}
    settings = changed(STYLEGAN2["small" if preset == "demo" else preset], changes)
    return (
        lambda precision: PlainStyleGAN2(settings, side, device=device, half=DTYPES[precision]),
        lambda precision: StyleGAN2Step(settings, side, seed=SEED, device=device, half=DTYPES[precision]),
        pictures(settings.batch, side, side), settings.batch, settings.r1_every,
    )  # fmt: skip


MODELS = {"cyclegan": cyclegan, "stargan": stargan, "vaegan": vaegan, "stylegan2": stylegan2}
FP32_ALONE = ("vaegan",)
PARTS = {
    "cyclegan": ("generators", "discriminators"),
    "stargan": ("generator", "critic"),
    "vaegan": ("autoencoder", "discriminator"),
    "stylegan2": ("generator",),
}


def ways_of(model: str, options: argparse.Namespace) -> list[Way]:
    """The public loop and ours, in float32 and where it can be in the precision of a run."""
    plain, ours, batch, samples, period = MODELS[model](options.preset, options.side, options.device)
    half = resolve_training_precision(options.precision, options.device)
    formats: list[Format] = ["fp32", *([half] if half == "bf16" and model not in FP32_ALONE else [])]
    device = torch.device(options.device)

    def way(name: str, build: Build, precision: Format, is_plain: bool) -> Way:
        return Way(
            f"{name}, {precision}", lambda: build(precision), batch, samples, device, precision,
            plain=is_plain, period=period,
        )  # fmt: skip

    return [
        way(name, build, precision, build is plain)
        for precision in formats
        for name, build in (("public loop", plain), ("distill", ours))
    ]


def measure(model: str, options: argparse.Namespace) -> dict[str, Any]:
    ways = ways_of(model, options)
    race(ways, seconds=options.seconds, rounds=options.rounds)
    apart = check_agreement(ways[0], ways[1])
    rows = []
    for way in ways:
        same = plain_of(way, ways) or way
        rows.append(
            {
                "way": way.name,
                "images_per_second": way.rate * way.samples,
                "against_public_loop": way.times_faster_than(ways[0]),
                "against_same_precision": way.times_faster_than(same),
                "processor_seconds": statistics.median(way.efforts),
                "operations": way.operations,
            }
        )
    print(
        f"{model} {options.preset}@{options.side}, batch {ways[0].samples}; first losses apart by {apart:.1g}"
    )
    print_table(
        ("", "images/s", "× plain", "× same", "CPU s", "TFLOP"),
        [
            (
                row["way"], f"{row['images_per_second']:.2f}", f"{row['against_public_loop']:.2f}",
                f"{row['against_same_precision']:.2f}", f"{row['processor_seconds']:.3f}",
                f"{row['operations'] / 1e12:.4f}",
            )
            for row in rows
        ],
    )  # fmt: skip
    profiles = print_profile(ways[-1:], PARTS[model]) if options.profile else {}
    return {"model": model, "losses_apart": apart, "ways": rows, "profiles": profiles}


def main() -> int:
    options = parse()
    keep_freed_memory()
    facts = machine(torch.device(options.device))
    print(sentence(facts), end="\n\n", flush=True)
    results = [measure(model, options) for model in options.models]
    write_json(options.json, {"machine": facts, "command": sys.argv, "models": results})
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="An update of each baseline beside its public loop.")
    parser.add_argument("models", nargs="*", default=list(MODELS), help=", ".join(MODELS))
    parser.add_argument("--preset", default="demo")
    parser.add_argument("--side", type=int, default=64, help="of the pictures, px")
    parser.add_argument("--seconds", type=float, default=10.0, help="for each way, all rounds together")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto", choices=["auto", "fp32", "bf16"])
    parser.add_argument("--profile", action="store_true", help="where our time goes, by part and by operator")
    parser.add_argument("--json", type=Path, help="write the numbers here")
    options = parser.parse_args()
    unknown = [model for model in options.models if model not in MODELS]
    if unknown:
        parser.error(f"{unknown[0]!r} is not one of {', '.join(MODELS)}")
    options.device = resolve_device(options.device)
    return options


if __name__ == "__main__":
    sys.exit(main())
