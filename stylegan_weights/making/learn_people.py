"""Teach a generator rendered people, number by number. The teacher `people` was made so.

    python -m stylegan_weights.making.people_pictures PEOPLE data/people64.npz --side 64
    python -m stylegan_weights.making.learn_people PEOPLE data/people64.npz --out runs/people

First the mapping is taught what z spells (`people_codes`), then each picture is drawn from a latent that spells its
person, and the distance of the pixels and of their edges is the loss. The same command goes on where it was stopped.
--out gets `generator.safetensors`, grids, and the errors on the pictures of the split `val` in stats.jsonl.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distill import __version__
from distill.cli.signals import stop_on_signals
from distill.errors import DistillError
from distill.pixels import to_uint8
from distill.progress import Progress
from distill.training.loop import Event, Run, train
from distill.training.pictures import grid, save_png
from distill.training.position import RunPosition
from distill.training.resume import open_run
from distill.training.sampler import Sampler
from distill.training.settings import changed
from distill.training.stylegan2.export import as_images, pictures, save_generator
from distill.training.stylegan2.settings import PRESETS
from stylegan_weights.making.people_codes import SHIFT, read_people, spelled
from stylegan_weights.making.spelled_step import SpelledStep, as_reals, scale_of
from stylegan_weights.making.taught_mapping import begin_mapping, teach_mapping

Images = NDArray[np.uint8]
GRID, GRID_PSI = 8, 0.7
BATCH = 16
L2_WEIGHT, EDGE_WEIGHT = 4.0, 1.0
LEAST_PSI = 0.6  # kinds are drawn pulled towards the centre of w too, as truncation will want them
JUDGED = 256  # pictures of `val`


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("people", type=Path)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--preset", choices=PRESETS, default="small")
    parser.add_argument("--kimg", type=float, default=300.0)
    parser.add_argument("--lr", type=float, default=2.5e-3)
    parser.add_argument("--mapping-steps", type=int, default=4000)
    parser.add_argument("--snapshot-kimg", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    try:
        learn(chosen)
    except DistillError as error:
        raise SystemExit(str(error)) from error


def learn(chosen: argparse.Namespace) -> None:
    stored = np.load(chosen.pictures)
    images: Images = stored["images"]
    codes, splits = read_people(chosen.people, stored)
    train_on, val = (np.flatnonzero(np.array(splits) == split) for split in ("train", "val"))
    preset = changed(
        PRESETS[chosen.preset], {"latent": 512, "batch": BATCH, "average_kimg": 3.0, "lr": chosen.lr}
    )
    scale = scale_of(images[train_on], spelled(codes.columns)[train_on], preset.latent)
    step = SpelledStep(preset, images.shape[1], codes, scale=scale, seed=chosen.seed)
    chosen.out.mkdir(parents=True, exist_ok=True)
    taught = chosen.out / "mapping.pt"
    if not taught.exists():
        places = [
            (codes.place(column.name)[0], at) for at, column in enumerate(codes.columns) if column.plain
        ]
        begin_mapping(step.generator.mapping, places, codes.steps(), codes.bends(), SHIFT)
        with Progress(chosen.mapping_steps, noun="step") as progress:
            error = teach_mapping(
                step.generator.mapping,
                codes.w_of,
                steps=chosen.mapping_steps,
                seed=chosen.seed,
                progress=progress,
            )
        print(f"mapping: mean square error {error:.4f}")
        torch.save(step.generator.mapping.state_dict(), taught)
    step.generator.mapping.load_state_dict(torch.load(taught, weights_only=True))
    step.begin()
    sampler = Sampler(np.ones(len(train_on)), chosen.seed)

    def draw(position: RunPosition) -> tuple[Tensor, NDArray[np.int64]]:
        people = train_on[sampler.draw(position.samples, BATCH)[0]]
        return as_reals(images[people]), people

    def show(position: RunPosition) -> Mapping[str, float]:
        network = step.finished()
        kimg = position.samples // 1000
        for psi in (GRID_PSI, 1.0):
            drawn = as_images(pictures(network, GRID * GRID, seed=0, psi=psi))
            save_png(chosen.out / f"fakes{kimg:06d}-psi{psi:g}.png", grid(drawn, GRID))
        beside = to_uint8(
            step.draw(step.average, val[:32], RunPosition(seed=0, updates=0, samples=0)).detach()
        )
        pairs = np.stack([images[val[:32]], beside.numpy()], axis=1).reshape(64, *images.shape[1:])
        save_png(chosen.out / f"val{kimg:06d}.png", grid(pairs, GRID))
        facts = {"kimg": position.samples / 1000, "critic": "labels", "distill": __version__, "lr": chosen.lr}
        save_generator(chosen.out / "generator.safetensors", network, facts, half=True)
        return step.judge(images, val[:JUDGED])

    snapshot = round(1000 * chosen.snapshot_kimg)
    run = Run(
        folder=chosen.out,
        step=step,
        draw=draw,
        batch=BATCH,
        samples=math.ceil(1000 * chosen.kimg),
        settings={
            "lr": chosen.lr,
            "seed": chosen.seed,
            "side": int(images.shape[1]),
            "preset": chosen.preset,
        },
        seed=chosen.seed,
        tick=1000,
        save=snapshot,
        events=[Event(every=snapshot, act=show)],
    )
    position, _ = open_run(run, resume=True)
    with stop_on_signals() as stop, Progress(run.samples, noun="image", done=position.samples) as progress:
        train(run, position, stop=stop, progress=progress)


if __name__ == "__main__":
    main()
