"""Photographs put into a generator: images a second beside the loop of the published projector, in one run.

    python benchmarks/project.py portraits --images 4 --steps 25
    python benchmarks/project.py 256 1024 --images 8 --device cuda --json project.json

- "published loop": the projector of StyleGAN2 (Karras et al. 2020, appendix D) as its PyTorch release goes about it:
  one image after the other, one w, noise maps that are learned and held to be noise, a line of progress every step.
- "published, together": the same search by `project_as_published`, all images at once.
- "w+, together": `distill project` by default, one w for each layer, the noise maps of the checkpoint.

All use the same network in float32 (on a GPU convolutions may use TF32, as in `distill project`; the published code
draws its four largest resolutions in float16), the same perceptual features (EfficientNet-Lite0) and number of steps;
no search ends early. Before anything is timed, the loop and `project_as_published` must find the same w. Networks by
number are config F with random weights. The images are drawn by the network itself. Rates count the steps, not the
10,000 z that are mapped for the mean w.
"""

from __future__ import annotations

import argparse
import functools
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from project_plain_loop import plain_loop
from side_by_side import machine, print_table, race, sentence, write_json
from torch import Tensor
from triplets import build

from distill.devices import keep_freed_memory
from distill.networks.image_distance import FeatureDistance, open_distance
from distill.stylegan2.generator import Generator
from distill.stylegan2.projection import project
from distill.stylegan2.projector import project_as_published
from distill.stylegan2.spread import WSpread, measure_spread

LOOP, PUBLISHED, OURS = "published loop", "published, together", "w+, together"
AGREE_STEPS, AGREE = 3, 1e-2  # largest difference of w after this many steps, each of about 0.1 at most
MAPPED = 1000  # z for the mean w: it is not measured


def main() -> int:
    options = parse()
    device = torch.device(options.device)
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    facts = machine(device)
    print(sentence(facts), end="\n\n", flush=True)
    results = [measure(name, options, device) for name in options.networks]
    write_json(options.json, {"machine": facts, "command": sys.argv, "networks": results})
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Projection, beside the loop of the published projector.")
    parser.add_argument("networks", nargs="*", default=["portraits"], help="portraits, 256, 512, 1024")
    parser.add_argument("--images", type=int, default=4, help="at once")
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--cpu-time", action="store_true", help="this process's processor time")
    parser.add_argument("--json", type=Path, help="write all numbers here")
    options = parser.parse_args()
    if unknown := set(options.networks) - {"portraits", "256", "512", "1024"}:
        parser.error(f"unknown network {sorted(unknown)[0]!r}: take portraits, 256, 512 or 1024")
    if options.cpu_time and options.device != "cpu":
        parser.error("--cpu-time measures nothing that a GPU does")
    return options


def measure(name: str, options: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    """Race the three ways on one network; print the table, return the numbers."""
    generator = Generator(build(name), sha256="", device=device)
    distance = open_distance(None, device)
    assert isinstance(distance, FeatureDistance)
    images, spread = drawn(generator, options.images), measure_spread(generator, MAPPED)
    difference = check_agreement(generator, images[:1], distance, spread)
    run = functools.partial(run_way, generator, images, distance, spread, options.steps)
    times = race(
        {way: functools.partial(run, way) for way in (LOOP, PUBLISHED, OURS)},
        rounds=options.rounds,
        device=device,
        clock=time.process_time if options.cpu_time else time.perf_counter,
    )
    rows = [
        {
            "way": way,
            "images_per_s": options.images / taken.median,
            "s_per_step_and_image": taken.median / options.steps / options.images,
            "faster": taken.times_faster_than(times[LOOP]),
        }
        for way, taken in times.items()
    ]
    peak = torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else None
    print(
        f"{name}: {generator.resolution} px, {options.images} images, {options.steps} steps, {options.rounds} rounds;"
        f" w of loop and batch differ by at most {difference:.1e} after {AGREE_STEPS} steps"
        + (f"; {peak:.1f} GiB" if peak else "")
    )
    print_table(
        ("way", "images/s", "ms a step and image", "faster"),
        [
            [row["way"], f"{row['images_per_s']:.3g}", f"{1000 * row['s_per_step_and_image']:.3g}",
             f"{row['faster']:.2f}x"]
            for row in rows
        ],
    )  # fmt: skip
    return {"network": name, "images": options.images, "steps": options.steps, "peak_gib": peak, "ways": rows}


def drawn(generator: Generator, count: int) -> Tensor:
    """Images [N, 3, H, W] in [-1, 1] that the generator draws."""
    z = torch.randn(count, generator.z_dim, generator=torch.Generator().manual_seed(2))
    return generator.synthesize(generator.map(z, truncation_psi=0.7)).clamp(-1, 1).clone()


def check_agreement(generator: Generator, image: Tensor, distance: FeatureDistance, spread: WSpread) -> float:
    """Return how far the loop and the batched search are apart after a few steps; stop where that is too far."""
    loop, published = (
        run_way(generator, image, distance, spread, AGREE_STEPS, way) for way in (LOOP, PUBLISHED)
    )
    difference = float((loop - published).abs().max())
    if difference > AGREE:
        sys.exit(f"the loop and the batched search do not find the same w: {difference:.3g} apart")
    return difference


def run_way(
    generator: Generator, images: Tensor, distance: FeatureDistance, spread: WSpread, steps: int, way: str
) -> Tensor:
    """Embed the images one way; return what was found, [N, L, D]."""

    def features(pixels: Tensor) -> Tensor:  # of images from 0 to 255
        return flat(distance.features(pixels / 127.5 - 1))

    if way == OURS:
        return project(generator, images, distance=distance, steps=steps, spread=spread).ws
    pixels = (images + 1) * 127.5
    if way == PUBLISHED:
        return project_as_published(generator, pixels, features, steps=steps, spread=spread).ws
    return torch.cat([plain_loop(generator, image[None], features, spread, steps) for image in pixels])


def flat(features: Sequence[Tensor]) -> Tensor:
    """Features of several layers as one vector an image, each layer by its mean square, [N, …]."""
    return torch.cat([x.flatten(1) / x[0].numel() ** 0.5 for x in features], dim=1)


if __name__ == "__main__":
    sys.exit(main())
