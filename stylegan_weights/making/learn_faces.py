r"""Teach a generator photographs by what they look like, then let a critic sharpen it. For the teacher `portraits`.

    python -m stylegan_weights.making.face_pictures FACES data/faces64.npz --side 64
    python -m stylegan_weights.making.learn_faces data/faces64.npz --side 32 --kimg 24 --out runs/32
    python -m stylegan_weights.making.learn_faces data/faces64.npz --grow-from runs/32 --kimg 40 --sharpen-kimg 17.5 \
        --out runs/faces

Each photograph has a latent that spells its strongest components (`face_codes`). First the distance of the pixels is
the loss, which gives the generator as many kinds of people as the photographs show. Then the projected critic judges
latents drawn at random, while the photographs stay at their latents (`anchored_step`), so that none of the kinds is
lost. The same command goes on where it was stopped; --out gets the first part, --out/sharper the second.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from distill.errors import DistillError
from distill.training.settings import changed
from distill.training.stylegan2.settings import PRESETS, StyleGAN2Settings, with_projected_critic
from distill.training.stylegan2.step import StyleGAN2Step
from stylegan_weights.making.anchored_step import AnchoredStep
from stylegan_weights.making.face_codes import face_codes
from stylegan_weights.making.spelled_run import SpelledRun, add_arguments
from stylegan_weights.making.spelled_step import Images, SpelledStep, reduced, turn_of
from stylegan_weights.making.taught_mapping import begin_mapping

JUDGED = 256  # photographs of `val`
LATENT = 256
BATCH, LR, SHARPEN_LR = 8, 1e-2, 5e-4
WIDTHS = {4: 256, 8: 192, 16: 96, 32: 64, 64: 32, 128: 16}
SHIFT = 4.0  # keeps w above 0, where a mapping network is made of straight lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photographs", type=Path)
    add_arguments(parser, kimg=40.0)
    parser.add_argument("--components", type=int, default=160)
    parser.add_argument("--sharpen-kimg", type=float, default=0.0)
    parser.add_argument(
        "--anchor", type=float, default=60.0, help="weight of the distance to the photographs"
    )
    chosen = parser.parse_args()
    try:
        learn(chosen)
    except DistillError as error:
        raise SystemExit(str(error)) from error


def learn(chosen: argparse.Namespace) -> None:
    stored = np.load(chosen.photographs)
    images: Images = reduced(stored["images"], chosen.side or stored["images"].shape[1])
    meta = stored["meta"][stored["row"]]
    splits, weights = meta[:, 2], balance(meta[:, 1], meta[:, 3])
    codes, shares = face_codes(stored["images"], stored["marks"], chosen.components, splits == "train")
    print(f"{len(images)} photographs; {chosen.components} components tell {shares.sum():.1%} of them")
    train_on, val = (np.flatnonzero(splits == split) for split in ("train", "val"))
    preset = changed(
        PRESETS["small"],
        {"widths": WIDTHS, "latent": LATENT, "batch": BATCH, "average_kimg": 3.0, "lr": LR},
    )
    turn = turn_of(images[train_on], codes.scores[train_on], preset.latent)
    step = SpelledStep(preset, images.shape[1], codes, turn=turn, seed=chosen.seed)
    places = [(at, at) for at in range(LATENT)]
    begin_mapping(step.generator.mapping, places, [], [], SHIFT)
    step.begin()
    if chosen.grow_from is not None:
        step.grow_from(chosen.grow_from)
    part = SpelledRun(
        out=chosen.out,
        images=images,
        codes=codes,
        train_on=train_on,
        weights=weights[train_on],
        shown=train_on,
        batch=preset.batch,
        kimg=chosen.kimg,
        snapshot_kimg=chosen.snapshot_kimg,
        seed=chosen.seed,
        settings={"seed": chosen.seed, **preset.shared()},
        finished=step.finished,
        judge=lambda: step.judge(images, val[:JUDGED]),
    )
    part.train(step)
    if chosen.sharpen_kimg:
        sharpen(chosen, part, step, preset)


def sharpen(
    chosen: argparse.Namespace, part: SpelledRun, learned: SpelledStep, preset: StyleGAN2Settings
) -> None:
    """Let the projected critic go on from what was learned, the photographs held at their latents."""
    preset = changed(
        with_projected_critic(preset),
        {"batch": 32, "average_kimg": 5.0, "head_start_kimg": 1.0, "lr": SHARPEN_LR},
    )
    inner = StyleGAN2Step(preset, part.images.shape[1], seed=chosen.seed)
    anchored = AnchoredStep(inner, learned, weight=chosen.anchor)
    replace(
        part,
        out=part.out / "sharper",
        batch=preset.batch,
        kimg=chosen.sharpen_kimg,
        settings={"seed": chosen.seed, "anchor": chosen.anchor, **preset.shared()},
        finished=anchored.finished,
        judge=lambda: {},
    ).train(anchored)


def balance(sources: NDArray[np.str_], genders: NDArray[np.str_]) -> NDArray[np.float64]:
    """Weights [N] that draw each gender equally, and of each the sources by the root of their number."""
    weights = np.ones(len(sources))
    for gender in np.unique(genders):
        for source in np.unique(sources):
            here = (genders == gender) & (sources == source)
            if here.any():
                weights[here] = here.sum() ** 0.5 / here.sum()
        weights[genders == gender] /= weights[genders == gender].sum()
    return weights / weights.mean()


if __name__ == "__main__":
    main()
