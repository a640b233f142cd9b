"""Learn a labelled image set by heart: how `avatars` was made, for any pictures that labels decide.

distill render-avatars --style toon-head --n 20000 --out avatars.h5
python -m stylegan_weights.making.learn_by_labels --data avatars.h5 --out runs/by-heart --kimg 120
distill train-stylegan2 --data avatars.h5 --init runs/by-heart/generator.safetensors --out runs/sharper  # if need be

The same command goes on where it was stopped. --out gets what `distill train-stylegan2` writes.
"""

from __future__ import annotations

import argparse
import math
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np

from distill.devices import resolve_device
from distill.progress import Progress
from distill.training.images import open_images
from distill.training.loop import Event, Run, open_run, train
from distill.training.pictures import Pictures, grid, save_png
from distill.training.position import RunPosition
from distill.training.sampler import Sampler
from distill.training.stylegan2.export import as_images, pictures, save_generator, set_centre
from distill.training.stylegan2.presets import PRESETS
from stylegan_weights.making.label_codes import codes_of
from stylegan_weights.making.label_step import LabelStep

GRID, GRID_PSI = 8, 0.7
AVERAGE_KIMG = 2.0  # at most: the pictures stand still, so a short memory is enough
BATCH = 8  # many small updates


def learn(data: Path, out: Path, *, preset_name: str, kimg: float, seed: int, device: str) -> Path:
    """Train until `kimg` thousand pictures were seen; return the generator file."""
    images = open_images(data, resolution=None, skipped=print)
    base = PRESETS[preset_name]
    preset = replace(base, batch=BATCH, average_kimg=min(base.average_kimg, AVERAGE_KIMG), ada_target=None)
    codes = codes_of(images.labels, preset.latent, str(data))
    step = LabelStep(preset, images.resolution, codes, seed=seed, device=device)
    numbers = np.arange(len(images))
    reader = Pictures(images, numbers, Sampler(images.weights, seed, False), preset.batch, 0, 1)
    generator = out / "generator.safetensors"

    def show(place: RunPosition) -> None:
        set_centre(step.average)
        drawn = as_images(pictures(step.average, GRID * GRID, seed=seed, psi=GRID_PSI))
        save_png(out / f"fakes{place.samples // 1000:06d}.png", grid(drawn, GRID))
        facts = {"kimg": place.samples / 1000, "data": data.name, "labels": ", ".join(codes.names)}
        save_generator(generator, step.average, facts, half=False)

    settings = {**preset.settings(), "labels": list(codes.names), "data_digest": images.digest, "seed": seed}
    run = Run(
        folder=out,
        step=step,
        draw=reader.draw_numbered,
        batch=preset.batch,
        samples=math.ceil(1000 * kimg),
        settings=settings,
        seed=seed,
        tick=1000,
        save=10_000,
        events=[Event(every=10_000, act=show)],
    )
    place, _ = open_run(run, resume=True)
    with Progress(run.samples, noun="image", done=place.samples) as progress:
        train(run, place, stop=threading.Event(), progress=progress)
    return generator


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="image set with labels")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--preset", choices=PRESETS, default="small")
    parser.add_argument("--kimg", type=float, default=120.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    asked = parser.parse_args()
    device = resolve_device(asked.device)
    print(
        learn(
            asked.data, asked.out, preset_name=asked.preset, kimg=asked.kimg, seed=asked.seed, device=device
        )
    )


if __name__ == "__main__":
    main()
