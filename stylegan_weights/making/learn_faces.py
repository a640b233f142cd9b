"""Teach a generator photographs by what they look like, then let a critic sharpen it. For the teacher `portraits`.

    python -m stylegan_weights.making.learn_faces data/faces64.npz --out runs/faces --kimg 80 --sharpen-kimg 60

Each photograph has a latent that spells its strongest components (`face_codes`). First the distance of the pixels is
the loss, which gives the generator as many kinds of people as the photographs show. Then the projected critic judges
latents drawn at random, while the photographs stay at their latents (`anchored_step`), so that none of the kinds is
lost. The same command goes on where it was stopped; --out gets the first part, --out/sharper the second.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distill import __version__
from distill.cli.signals import stop_on_signals
from distill.errors import DistillError
from distill.pixels import to_uint8
from distill.progress import Progress
from distill.stylegan2.networks import GeneratorNetwork
from distill.training.loop import Event, Run, Step, train
from distill.training.pictures import grid, save_png
from distill.training.position import RunPosition
from distill.training.resume import open_run
from distill.training.sampler import Sampler
from distill.training.settings import changed
from distill.training.stylegan2.export import as_images, pictures, save_generator, set_centre
from distill.training.stylegan2.settings import PRESETS, StyleGAN2Settings, with_projected_critic
from distill.training.stylegan2.step import StyleGAN2Step
from stylegan_weights.making.anchored_step import AnchoredStep
from stylegan_weights.making.face_codes import face_codes
from stylegan_weights.making.spelled_step import Images, SpelledStep, as_reals, scale_of
from stylegan_weights.making.taught_mapping import begin_mapping

GRID = 8
LATENT = 256
SHIFT = 4.0  # keeps w above 0, where a mapping network is made of straight lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--components", type=int, default=160)
    parser.add_argument("--kimg", type=float, default=80.0)
    parser.add_argument("--sharpen-kimg", type=float, default=0.0)
    parser.add_argument("--anchor", type=float, default=1.0, help="weight of the distance of the pixels")
    parser.add_argument("--snapshot-kimg", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    try:
        learn(chosen)
    except DistillError as error:
        raise SystemExit(str(error)) from error


def learn(chosen: argparse.Namespace) -> None:
    stored = np.load(chosen.photographs)
    images: Images = stored["images"]
    meta = stored["meta"][stored["row"]]
    splits, weights = meta[:, 2], balance(meta[:, 1], meta[:, 3])
    codes, shares = face_codes(images, stored["marks"], chosen.components, splits == "train")
    print(f"{len(images)} photographs; {chosen.components} components tell {shares.sum():.1%} of them")
    train_on, val = (np.flatnonzero(splits == split) for split in ("train", "val"))
    preset = changed(PRESETS["small"], {"latent": LATENT, "batch": 16, "average_kimg": 3.0})
    scale = scale_of(images[train_on], codes.scores[train_on], preset.latent)
    step = SpelledStep(preset, images.shape[1], codes, scale=scale, seed=chosen.seed)
    places = [(at, at) for at in range(LATENT)]
    begin_mapping(step.generator.mapping, places, [], [], SHIFT)
    step.begin()

    @torch.no_grad()
    def beside(network: GeneratorNetwork) -> Images:
        z = codes.latents(train_on[:32], LATENT, np.random.default_rng(0))
        ws = network.mapping(z)[:, None].expand(-1, network.shape.num_ws, -1)
        drawn = to_uint8(network.synthesis(ws, "none"))
        return np.stack([images[train_on[:32]], drawn.numpy()], axis=1).reshape(64, *images.shape[1:])

    parts = Parts(chosen, images, train_on, weights, beside)
    parts.run(step, step.finished, chosen.out, preset, chosen.kimg, lambda: step.judge(images, val[:256]))
    if chosen.sharpen_kimg:
        preset = changed(
            with_projected_critic(preset), {"batch": 32, "average_kimg": 5.0, "head_start_kimg": 1.0}
        )
        inner = StyleGAN2Step(preset, images.shape[1], seed=chosen.seed)
        for network in (inner.generator, inner.average):
            network.load_state_dict(step.finished().state_dict())
        anchored = AnchoredStep(inner, codes, weight=chosen.anchor, seed=chosen.seed)
        parts.run(
            anchored, lambda: inner.average, chosen.out / "sharper", preset, chosen.sharpen_kimg, lambda: {}
        )


class Parts:
    """What both parts of the training share: the photographs, and what is shown on the way."""

    def __init__(
        self,
        chosen: argparse.Namespace,
        images: Images,
        train_on: NDArray[np.int64],
        weights: NDArray[np.float64],
        beside: Callable[[GeneratorNetwork], Images],
    ) -> None:
        self.chosen, self.images, self.train_on, self.beside = chosen, images, train_on, beside
        self.sampler = Sampler(weights[train_on], chosen.seed)

    def run(
        self,
        step: Step[tuple[Tensor, NDArray[np.int64]]],
        finished: Callable[[], GeneratorNetwork],
        out: Path,
        preset: StyleGAN2Settings,
        kimg: float,
        judge: Callable[[], Mapping[str, float]],
    ) -> None:
        def draw(position: RunPosition) -> tuple[Tensor, NDArray[np.int64]]:
            numbers = self.train_on[self.sampler.draw(position.samples, preset.batch)[0]]
            return as_reals(self.images[numbers]), numbers

        def show(position: RunPosition) -> Mapping[str, float]:
            average = finished()
            set_centre(average)
            name = f"{position.samples // 1000:06d}"
            for psi in (0.7, 1.0):
                drawn = as_images(pictures(average, GRID * GRID, seed=0, psi=psi))
                save_png(out / f"fakes{name}-psi{psi:g}.png", grid(drawn, GRID))
            save_png(out / f"beside{name}.png", grid(self.beside(average), GRID))
            facts: dict[str, Any] = {"kimg": position.samples / 1000, "distill": __version__}
            save_generator(out / f"generator{name}.safetensors", average, facts, half=True)
            return judge()

        snapshot = round(1000 * self.chosen.snapshot_kimg)
        run = Run(
            folder=out,
            step=step,
            draw=draw,
            batch=preset.batch,
            samples=math.ceil(1000 * kimg),
            settings={"seed": self.chosen.seed, "anchor": self.chosen.anchor, **preset.shared()},
            seed=self.chosen.seed,
            tick=1000,
            save=min(snapshot, 4000),
            events=[Event(every=snapshot, act=show)],
        )
        position, _ = open_run(run, resume=True)
        with stop_on_signals() as stop, Progress(run.samples, noun="image", done=position.samples) as bar:
            train(run, position, stop=stop, progress=bar)


def balance(sources: NDArray[np.str_], genders: NDArray[np.str_]) -> NDArray[np.float64]:
    """Weights [N] that draw each gender equally, and of each the sources by the root of their number."""
    groups = np.array([f"{source} {gender}" for source, gender in zip(sources, genders, strict=True)])
    weights = np.ones(len(groups))
    for gender in np.unique(genders):
        for source in np.unique(sources):
            here = (genders == gender) & (sources == source)
            if here.any():
                weights[here] = here.sum() ** 0.5 / here.sum()
        weights[genders == gender] /= weights[genders == gender].sum()
    return weights / weights.mean()


if __name__ == "__main__":
    main()
