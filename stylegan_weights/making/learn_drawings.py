r"""Teach a child of `portraits` to draw: of one latent, the parent makes a photograph and the child its drawing.

    python -m stylegan_weights.making.learn_drawings --kimg 24 --sharpen-kimg 8 --out runs/drawings

Samples of the parent are drawn as `draw_photos` draws photographs: each is what the child should make of that latent,
told by the distance of pixels and features. Then the projected critic, which knows these drawings, sharpens the
lines, while the pairs still hold. (A critic of drawings of photographs, alone or with a weaker hold, lets so small a
child forget most kinds of faces within 8,000 images.) The same command goes on where it was stopped. --out gets the
samples, grids and pictures beside what is drawn for them, those of the second part in sharper/, and
drawings.safetensors.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from distill import __version__
from distill.errors import DistillError
from distill.faces.detection import FaceDetector
from distill.files import aside
from distill.networks import losses
from distill.networks.perceptual import load_perceptual
from distill.pixels import to_numpy, to_uint8
from distill.progress import Progress
from distill.stylegan2.facts import Parent
from distill.stylegan2.generator import Generator
from distill.stylegan2.load import load_generator
from distill.stylegan2.networks import GeneratorNetwork
from distill.training.position import RunPosition
from distill.training.settings import changed
from distill.training.stylegan2.export import save_generator
from distill.training.stylegan2.parent import ParentLikeness
from distill.training.stylegan2.settings import PRESETS, StyleGAN2Settings
from distill.training.stylegan2.step import StyleGAN2Step
from distill.training.stylegan2.trainer import settle_start
from stylegan_weights.making.draw_photos import at_side, drawn
from stylegan_weights.making.learner import Learner
from stylegan_weights.making.spelled_run import SpelledRun, add_arguments

PARENT = "portraits"
BATCH, LR = 16, 4e-3
PIXEL_WEIGHT = 5.0
SHARPEN_BATCH, SHARPEN_LR = 32, 1e-3
HOLD = 2.0  # weight of the pairs beside the critic
PERCEPTUAL = "efficientnet_lite0"
CHUNK = 16
Images = NDArray[np.uint8]
Numbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class DrawnSamples:
    """Latents z [M, Z] and drawings [M, H, H, 3] of what the parent makes of them."""

    z: Tensor
    images: Images

    def latents(self, numbers: Numbers, z_dim: int, rng: np.random.Generator) -> Tensor:
        return self.z[torch.from_numpy(numbers)]

    def of_kinds(self, w_dim: int) -> Tensor:
        return torch.zeros(w_dim, dtype=torch.bool)


class PairStep:
    """An update of a child on drawn samples: the distance of pixels and of features is the loss."""

    def __init__(self, generator: GeneratorNetwork, samples: DrawnSamples, preset: StyleGAN2Settings) -> None:
        self.generator, self.samples = generator, samples
        self.learner = Learner(generator, preset)
        self.features = load_perceptual(PERCEPTUAL, device="cpu")

    @property
    def average(self) -> GeneratorNetwork:
        return self.learner.average

    def update(self, batch: tuple[Tensor, Numbers], position: RunPosition) -> Mapping[str, Tensor | float]:
        found = self.distances(self.generator, *batch)
        self.learner.apply(PIXEL_WEIGHT * found["l1"] + found["perceptual"], position)
        return {name: value.detach() for name, value in found.items()}

    def distances(self, generator: GeneratorNetwork, wanted: Tensor, numbers: Numbers) -> dict[str, Tensor]:
        """Compare what a child makes of latents with their drawings [B, 3, H, W]."""
        w = generator.mapping(self.samples.z[torch.from_numpy(numbers)]).detach()
        ws = w[:, None].expand(-1, generator.shape.num_ws, -1).requires_grad_()
        made = generator.synthesis(ws, "none")
        with torch.no_grad():
            seen = self.features(wanted)
        perceptual = losses.perceptual(self.features(made), seen, self.features.weights)
        return {"l1": (made - wanted).abs().mean(), "perceptual": perceptual}

    def state(self) -> dict[str, Any]:
        return self.learner.state()

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.learner.load_state(state)


class HeldChild:
    """A StyleGAN2 update of a child by drawings, and after it one of `pairs`, with HOLD as its weight."""

    def __init__(self, inner: StyleGAN2Step, pairs: PairStep) -> None:
        self.inner, self.pairs = inner, pairs

    def update(self, batch: tuple[Tensor, Numbers], position: RunPosition) -> Mapping[str, Tensor | float]:
        report = dict(self.inner.update(batch[0], position))
        if "loss_g" not in report:
            return report
        half = len(batch[1]) // 2
        found = self.pairs.distances(self.inner.generator, batch[0][:half], batch[1][:half])
        self.inner.g_optimiser.apply(HOLD * (PIXEL_WEIGHT * found["l1"] + found["perceptual"]))
        return report | {name: value.detach() for name, value in found.items()}

    def state(self) -> dict[str, Any]:
        return self.inner.state()

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.inner.load_state(state)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser, kimg=20.0)
    parser.add_argument("--samples", type=int, default=2400, help="of the parent, that are drawn")
    parser.add_argument("--sharpen-kimg", type=float, default=0.0)
    chosen = parser.parse_args()
    try:
        learn(chosen)
    except DistillError as error:
        raise SystemExit(str(error)) from error


def learn(chosen: argparse.Namespace) -> None:
    parent = load_generator(PARENT)
    samples = drawn_samples(parent, chosen.out, chosen.samples, chosen.seed)
    preset = changed(PRESETS["small"], {"batch": BATCH, "lr": LR, "average_kimg": 2.0})
    step = PairStep(copy.deepcopy(parent.network).requires_grad_(True), samples, preset)
    likeness = ParentLikeness(parent.network, seed=0, psi=0.7)
    numbers = np.arange(len(samples.images))
    part = SpelledRun(
        out=chosen.out,
        images=samples.images,
        codes=samples,
        train_on=numbers,
        weights=np.ones(len(numbers)),
        shown=numbers,
        batch=BATCH,
        kimg=chosen.kimg,
        snapshot_kimg=chosen.snapshot_kimg,
        seed=chosen.seed,
        settings={
            "seed": chosen.seed,
            "samples": chosen.samples,
            **Parent(name=PARENT, sha256=parent.sha256).facts(),
        },
        finished=lambda: step.average,
        judge=lambda: likeness.of(step.average),
    )
    part.train(step)
    drawer = step.average
    if chosen.sharpen_kimg:
        sharper = sharpened(step, parent, chosen.seed)
        drawer = sharper.inner.average
        replace(
            part,
            out=chosen.out / "sharper",
            batch=SHARPEN_BATCH,
            kimg=chosen.sharpen_kimg,
            finished=lambda: drawer,
            judge=lambda: likeness.of(drawer),
        ).train(sharper)
    drawer.mapping.load_state_dict(parent.network.mapping.state_dict())  # with the parent's mean of w
    kimg = chosen.kimg + chosen.sharpen_kimg
    facts = {"kimg": kimg, "distill": __version__, **part.settings, **likeness.of(drawer)}
    save_generator(chosen.out / "drawings.safetensors", drawer, facts, half=True, centred=True)


def sharpened(pairs: PairStep, parent: Generator, seed: int) -> HeldChild:
    """Let the projected critic go on from what was learnt."""
    settings = settle_start(
        PRESETS["small"],
        {
            "init": PARENT,
            "child": True,
            "critic": "projected",
            "batch": SHARPEN_BATCH,
            "lr": SHARPEN_LR,
            "average_kimg": 2.0,
            "structure_weight": 0.0,
        },
    )
    inner = StyleGAN2Step(settings, parent.resolution, seed=seed)
    for network in (inner.generator, inner.average):
        network.load_state_dict(pairs.average.state_dict(), strict=True)
    return HeldChild(inner, pairs)


def drawn_samples(parent: Generator, out: Path, count: int, seed: int) -> DrawnSamples:
    """Draw samples of the parent at ψ 1, or read those of an earlier run."""
    path = out / "samples.npz"
    if path.exists():
        stored = np.load(path)
        return DrawnSamples(torch.from_numpy(stored["z"]), stored["images"])
    detector = FaceDetector()
    z = torch.randn(count, parent.z_dim, generator=torch.Generator().manual_seed(seed))
    found = []
    with Progress(count, noun="sample") as progress:
        for part in torch.split(z, CHUNK):
            for picture in to_numpy(to_uint8(parent.synthesize(parent.map(part)))):
                photo = at_side(picture)
                faces = detector(photo)
                drawing = drawn(photo, faces[0].landmarks if faces else None)
                found.append(smaller(Image.fromarray(drawing), parent.resolution))
            progress.advance(len(part))
    samples = DrawnSamples(z, np.stack(found))
    out.mkdir(parents=True, exist_ok=True)
    with aside(path) as file:
        np.savez(file, z=z.numpy(), images=samples.images)
    return samples


def smaller(image: Image.Image, side: int) -> Images:
    return np.asarray(image.resize((side, side), Image.Resampling.BOX))


if __name__ == "__main__":
    main()
