"""Teach a generator rendered people, number by number. The teacher `people` was made so.

    python -m stylegan_weights.making.people_pictures PEOPLE data/people64.npz --side 64
    python -m stylegan_weights.making.learn_people PEOPLE data/people64.npz --side 32 --kimg 100 --out runs/32
    python -m stylegan_weights.making.learn_people PEOPLE data/people64.npz --grow-from runs/32 --out runs/people

First the mapping is taught what z spells (`people_codes`), then each picture is drawn from a latent that spells its
person, and the distance of the pixels and of their edges is the loss. The same command goes on where it was stopped.
--out gets `generator.safetensors`, grids, and the errors on the pictures of the split `val` in stats.jsonl.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from distill.errors import DistillError
from distill.progress import Progress
from distill.stylegan2.networks import MappingNetwork
from distill.training.settings import changed
from distill.training.stylegan2.settings import PRESETS
from stylegan_weights.making.people_codes import SHIFT, PeopleCodes, read_people, spelled
from stylegan_weights.making.spelled_run import SpelledRun, add_arguments
from stylegan_weights.making.spelled_step import Images, SpelledStep, reduced, turn_of
from stylegan_weights.making.taught_mapping import begin_mapping, teach_mapping

BATCH = 8
# most of what there is to learn is small, and thin upper layers learn three times as fast
WIDTHS = {4: 256, 8: 192, 16: 64, 32: 32, 64: 24, 128: 16}
JUDGED = 256  # pictures of `val`


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("people", type=Path)
    parser.add_argument("pictures", type=Path)
    add_arguments(parser, kimg=300.0)
    parser.add_argument("--lr", type=float, default=1e-2)
    parser.add_argument("--mapping-steps", type=int, default=4000)
    chosen = parser.parse_args()
    try:
        learn(chosen)
    except DistillError as error:
        raise SystemExit(str(error)) from error


def learn(chosen: argparse.Namespace) -> None:
    stored = np.load(chosen.pictures)
    images: Images = reduced(stored["images"], chosen.side or stored["images"].shape[1])
    codes, splits = read_people(chosen.people, stored)
    train_on, val = (np.flatnonzero(np.array(splits) == split) for split in ("train", "val"))
    preset = changed(
        PRESETS["small"],
        {"widths": WIDTHS, "latent": 512, "batch": BATCH, "average_kimg": 3.0, "lr": chosen.lr},
    )
    turn = turn_of(images[train_on], spelled(codes.columns)[train_on], preset.latent)
    step = SpelledStep(preset, images.shape[1], codes, turn=turn, seed=chosen.seed)
    chosen.out.mkdir(parents=True, exist_ok=True)
    give_mapping(step.generator.mapping, codes, chosen)
    step.begin()
    if chosen.grow_from is not None:
        step.grow_from(chosen.grow_from)
    side = int(images.shape[1])
    SpelledRun(
        out=chosen.out,
        images=images,
        codes=codes,
        train_on=train_on,
        weights=np.ones(len(train_on)),
        shown=val,
        batch=BATCH,
        kimg=chosen.kimg,
        snapshot_kimg=chosen.snapshot_kimg,
        seed=chosen.seed,
        settings={"lr": chosen.lr, "seed": chosen.seed, "side": side},
        finished=step.finished,
        judge=lambda: step.judge(images, val[:JUDGED]),
    ).train(step)


def give_mapping(mapping: MappingNetwork, codes: PeopleCodes, chosen: argparse.Namespace) -> None:
    """Teach the mapping what z spells, or read what was taught before."""
    taught = (chosen.grow_from or chosen.out) / "mapping.pt"
    if not taught.exists():
        places = [
            (codes.place(column.name)[0], at) for at, column in enumerate(codes.columns) if column.plain
        ]
        begin_mapping(mapping, places, codes.steps(), codes.bends(), SHIFT)
        with Progress(chosen.mapping_steps, noun="step") as progress:
            error = teach_mapping(
                mapping, codes.w_of, steps=chosen.mapping_steps, seed=chosen.seed, progress=progress
            )
        print(f"mapping: mean square error {error:.4f}")
        torch.save(mapping.state_dict(), taught)
    mapping.load_state_dict(torch.load(taught, weights_only=True))


if __name__ == "__main__":
    main()
