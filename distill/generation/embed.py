"""Look for faces in the latent space of a second generator, a canonical batch at a time.

It takes minutes a batch, so what was found is kept on disk until its shard is done: a run that is killed loses the
batch in hand.

Shapes: N candidates of a canonical batch, L w+ layers and D latent width of the second generator, H = W image side.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from distill.errors import DistillError
from distill.files import atomic_write, read_regular
from distill.generation.edits.second_generator import Embedded
from distill.generation.recipe import Recipe
from distill.networks.image_distance import FeatureDistance
from distill.networks.perceptual import PerceptualFeatures, load_perceptual, perceptual_sha256
from distill.pixels import area_downsample
from distill.schema import canonical_json
from distill.shards.digest import decisive
from distill.shards.folder import EMBEDDED_PREFIX
from distill.stylegan2.generator import Generator
from distill.stylegan2.projection import project
from distill.stylegan2.spread import WSpread, measure_spread
from distill.weights.npy import read_npz

OnStep = Callable[[int], None]  # steps of the batch in hand
MAX_BYTES = 1 << 30  # of a kept batch


@dataclass(frozen=True, kw_only=True, eq=False)
class FoundBatch:
    """What was found of a batch: w+ [N, L, D] on the second generator's device, and the steps of each face [N]."""

    ws: Tensor
    steps: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class KeptBatches:
    """What was found so far of one shard, a file a batch in the folder of the data set.

    `key` names everything that what is found depends on.
    """

    folder: Path
    index: int
    key: str

    def path(self, first: int) -> Path:
        """The file of the batch that begins with this candidate."""
        return self.folder / f"{self._prefix}{first:09d}-{self.key}.npz"

    def find(self, first: int, device: torch.device) -> FoundBatch | None:
        """Return what was found of a batch before; None where it was not kept whole."""
        try:
            data = read_regular(self.path(first), most=MAX_BYTES)
            arrays = read_npz(memoryview(data), most=MAX_BYTES)
            ws, steps = torch.from_numpy(arrays["ws"].copy()), arrays["steps"].astype(np.int64)
        except (OSError, DistillError, KeyError):
            return None
        return FoundBatch(ws=ws.to(device), steps=steps)

    def keep(self, first: int, found: FoundBatch) -> None:
        buffer = io.BytesIO()
        np.savez(buffer, ws=found.ws.cpu().numpy(), steps=found.steps)
        atomic_write(self.path(first), buffer.getvalue())

    def clear(self) -> None:
        """Remove all of this shard, which is done."""
        for path in self.folder.glob(f"{self._prefix}*"):
            path.unlink(missing_ok=True)

    @property
    def _prefix(self) -> str:
        return f"{EMBEDDED_PREFIX}{self.index:05d}-"


@dataclass(frozen=True, kw_only=True, eq=False)
class LatentSpace:
    """A second generator that can be looked through, and how two images are compared."""

    generator: Generator
    pairing: Embedded
    distance: FeatureDistance
    spread: WSpread

    def find(self, images_NCHW: Tensor, on_step: OnStep) -> FoundBatch:
        """Find what comes nearest to images in [-1, 1] of any power-of-two side.

        A face depends on the number N, never on the others.
        """
        found = project(
            self.generator,
            fitted(images_NCHW.clone(), self.generator.resolution),  # out of inference mode
            distance=self.distance,
            space=self.pairing.space,
            steps=self.pairing.steps,
            stalled=self.pairing.stalled,
            spread=self.spread,
            advance=on_step,
        )
        return FoundBatch(ws=found.ws, steps=np.asarray(found.steps, dtype=np.int64))


@dataclass(frozen=True, kw_only=True, eq=False)
class LatentSearch:
    """The search of one shard: each batch out of what was `kept`, else found now and kept, where anything is."""

    space: LatentSpace
    kept: KeptBatches | None = None
    on_step: OnStep = lambda step: None

    def __call__(self, ids: Sequence[int], images_NCHW: Tensor) -> FoundBatch:
        before = self.kept.find(ids[0], self.space.generator.device) if self.kept else None
        if before is not None and len(before.ws) == len(ids):
            return before
        found = self.space.find(images_NCHW, self.on_step)
        if self.kept:
            self.kept.keep(ids[0], found)
        return found


def sweep_kept(folder: Path, done: Collection[int] | None = None) -> None:
    """Remove what was kept for shards that are `done`, by default for all."""
    for path in folder.glob(f"{EMBEDDED_PREFIX}*"):
        index = path.name.removeprefix(EMBEDDED_PREFIX).partition("-")[0]
        if done is None or (index.isdecimal() and int(index) in done):
            path.unlink(missing_ok=True)


def open_space(second: Generator, pairing: Embedded) -> LatentSpace:
    """Open the features and measure where the w of the second generator lie.

    Raises DistillError where the features here are not those that the recipe names.
    """
    features = features_of_recipe(pairing.features, pairing.features_sha256, device=second.device)
    return LatentSpace(
        generator=second, pairing=pairing, distance=FeatureDistance(features), spread=measure_spread(second)
    )


def features_of_recipe(name: str, sha256: str, *, device: torch.device) -> PerceptualFeatures:
    """Open perceptual features. Raises DistillError where those here are not the ones that the recipe names."""
    if (found := perceptual_sha256(name)) != sha256:
        raise DistillError(
            f"the features {name} here have sha256 {found[:12]}…, the recipe names {sha256[:12]}…; give every worker"
            " the same file"
        )
    return load_perceptual(name, device=device)


def fitted(images_NCHW: Tensor, side: int) -> Tensor:
    """Bring images to `side` px: averaged down, or enlarged bilinearly; within [-1, 1]."""
    images = images_NCHW.clamp(-1, 1)
    if images.shape[-1] >= side:
        return area_downsample(images, side)
    return F.interpolate(images, size=(side, side), mode="bilinear", align_corners=False)


def search_key(recipe: Recipe, *drawn: object) -> str:
    """Name everything that what is found depends on: the recipe without its filters, and how it is `drawn`.

    So a run with another bound begins with what an earlier one had found in the same folder.
    """
    fields = decisive(recipe.model_dump(mode="json"))
    names = ("generator", "edit", "truncation_psi", "truncation_cutoff", "noise", "seed")
    text = canonical_json([*(fields[name] for name in names), *drawn])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
