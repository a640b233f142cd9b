"""A run on pictures that latents spell: what is drawn, what is shown on the way, where it is kept.

N pictures, K of them trained on, B a batch.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distill import __version__
from distill.cli.signals import stop_on_signals
from distill.pixels import to_uint8
from distill.progress import Progress
from distill.stylegan2.networks import GeneratorNetwork
from distill.training.loop import Event, Run, Step, train
from distill.training.pictures import grid, save_png
from distill.training.position import RunPosition
from distill.training.resume import open_run
from distill.training.sampler import Sampler
from distill.training.stylegan2.export import as_images, pictures, save_generator, set_centre
from stylegan_weights.making.spelled_step import Codes, Images, as_reals

GRID, PAIRS = 8, 32
PSIS = (0.7, 1.0)
Numbers = NDArray[np.int64]


def add_arguments(parser: argparse.ArgumentParser, *, kimg: float) -> None:
    """Add what every such run is told."""
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--side", type=int, help="px; those of the pictures if left out")
    parser.add_argument("--grow-from", type=Path, metavar="RUN", help="a run of fewer pixels")
    parser.add_argument("--kimg", type=float, default=kimg)
    parser.add_argument("--snapshot-kimg", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)


@dataclass(frozen=True, kw_only=True, eq=False)
class SpelledRun:
    """Pictures [N, H, H, 3], the numbers [K] that are trained on with their weights, and those that are `shown`.

    `settings` are plain values that a resumed run must share. `finished` gives the generator as it is written,
    `judge` its scores.
    """

    out: Path
    images: Images
    codes: Codes
    train_on: Numbers
    weights: NDArray[np.float64]
    shown: Numbers
    batch: int
    kimg: float
    snapshot_kimg: float
    seed: int
    settings: Mapping[str, Any]
    finished: Callable[[], GeneratorNetwork]
    judge: Callable[[], Mapping[str, float]]

    def train(self, step: Step[tuple[Tensor, Numbers]]) -> None:
        """Train, or go on from the checkpoint in `out`. Raises Interrupted after saving."""
        snapshot = round(1000 * self.snapshot_kimg)
        sampler = Sampler(self.weights, self.seed)

        def draw(position: RunPosition) -> tuple[Tensor, Numbers]:
            numbers = self.train_on[sampler.draw(position.samples, self.batch)[0]]
            return as_reals(self.images[numbers]), numbers

        run = Run(
            folder=self.out,
            step=step,
            draw=draw,
            batch=self.batch,
            samples=math.ceil(1000 * self.kimg),
            settings=self.settings,
            seed=self.seed,
            tick=1000,
            save=snapshot,
            events=[Event(every=snapshot, act=self.show)],
        )
        position, _ = open_run(run, resume=True)
        with stop_on_signals() as stop, Progress(run.samples, noun="image", done=position.samples) as bar:
            train(run, position, stop=stop, progress=bar)

    def show(self, position: RunPosition) -> Mapping[str, float]:
        """Write grids, pictures beside what is drawn for them, and the generator; return its scores."""
        network, name = self.finished(), f"{position.samples // 1000:06d}"
        set_centre(network)
        for psi in PSIS:
            drawn = as_images(pictures(network, GRID * GRID, seed=0, psi=psi))
            save_png(self.out / f"fakes{name}-psi{psi:g}.png", grid(drawn, GRID))
        save_png(self.out / f"beside{name}.png", grid(self.beside(network), GRID))
        facts = {"kimg": position.samples / 1000, "distill": __version__, **self.settings}
        save_generator(self.out / "generator.safetensors", network, facts, half=True)
        return self.judge()

    @torch.no_grad()
    def beside(self, network: GeneratorNetwork) -> Images:
        """Return the first PAIRS of `shown`, each followed by what is drawn for it."""
        numbers = self.shown[:PAIRS]
        z = self.codes.latents(numbers, network.shape.z_dim, np.random.default_rng(0))
        drawn = to_uint8(
            network.synthesis(network.mapping(z)[:, None].expand(-1, network.shape.num_ws, -1), "none")
        )
        pairs = np.stack([self.images[numbers], drawn.numpy()], axis=1)
        return pairs.reshape(-1, *self.images.shape[1:])
