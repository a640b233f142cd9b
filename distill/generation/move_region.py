"""Move a part of the reference onto the person, a canonical batch at a time.

Shapes: N candidates of a canonical batch, K of them that are kept, S style channels, H = W image side.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from distill.errors import DistillError
from distill.faces.regions.open import open_regions, regions_sha256
from distill.faces.regions.parts import Mask, RegionPictures, RegionSource, has_part
from distill.generation.batch import Batch
from distill.generation.edits.region_swap import PERSON, REFERENCE, RESULT, RegionSwap, SharesOfFile
from distill.generation.embed import features_of_recipe
from distill.networks.image_distance import FeatureDistance
from distill.stylegan2.generator import Generator, Noise
from distill.stylegan2.interpolation.optimise import optimised_shares
from distill.stylegan2.interpolation.pairs import RegionPairs, region_pairs
from distill.stylegan2.interpolation.shares_file import read_shares
from distill.weights.checkpoint import file_sha256

OnStep = Callable[[int], None]  # steps of the batch in hand


@dataclass(frozen=True, kw_only=True, eq=False)
class RegionMover:
    """What moves the part: where it is (`source`), and `given` shares [1, S] or the `distance` to look for them by.

    `on_step` hears of the steps of a batch.
    """

    generator: Generator
    edit: RegionSwap
    source: RegionSource
    given: Tensor | None = None
    distance: FeatureDistance | None = None
    on_step: OnStep = lambda step: None

    def __call__(self, batch: Batch, *, noise: Noise, at_once: int) -> None:
        """Add the result to a batch of persons and references, and the region of each pair as `batch.regions`.

        `at_once` of the kept pairs are moved together. Candidates of which one lacks the part are dropped: their
        result is the person. The faces are known where the part is placed by landmarks. What a pair comes to depends
        on how many are moved together, not on which.
        """
        masks_NHW = [self._masks(batch, role) for role in (PERSON, REFERENCE)]
        for i in batch.kept():
            if self.edit.by_landmarks and not all(batch.faces_in(role, i) for role in (PERSON, REFERENCE)):
                batch.drop(i, "part.no-face")
            elif not all(has_part(masks[i : i + 1])[0] for masks in masks_NHW):
                batch.drop(i, "part.missing")
        drawn_NCHW, kept = batch.drawn[PERSON].clone(), batch.kept()
        for start in range(0, len(kept), at_once):
            some = kept[start : start + at_once]
            people = [batch.latents[role][some] for role in (PERSON, REFERENCE)]
            pairs = region_pairs(self.generator, *people, *(torch.from_numpy(m[some]) for m in masks_NHW))
            drawn_NCHW[some] = pairs.draw(self.generator, self._shares(pairs), noise=noise)
        batch.add(RESULT, drawn_NCHW)
        batch.regions = np.maximum(*masks_NHW)

    def _masks(self, batch: Batch, role: str) -> Mask:
        found = [batch.faces_in(role, i) for i in range(len(batch.ids))]
        pictures = RegionPictures(
            images=batch.host(role),
            faces=[faces[0].landmarks if faces else None for faces in found],
            ws=batch.latents[role],
        )
        return self.source.masks(pictures, [self.edit.part])[self.edit.part]

    def _shares(self, pairs: RegionPairs) -> Tensor:
        search = self.edit.search
        if search is None or self.distance is None:
            assert self.given is not None
            return self.given
        steps = iter(range(1, search.steps + 1))
        found = optimised_shares(
            self.generator,
            pairs,
            search.settings,
            distance=self.distance,
            batch=len(pairs),
            advance=lambda done: self.on_step(next(steps)),
        )
        return found.shares


def open_mover(generator: Generator, edit: RegionSwap, regions: str, shares: str) -> RegionMover:
    """Open what an edit needs: the file of its regions ("" where they come with distill), and that of its shares.

    Raises DistillError where a file or the perceptual features here are not those that the recipe names.
    """
    path = Path(regions) if regions else None
    source = open_regions(generator, path)
    _check("regions", regions_sha256(generator, path), edit.regions_sha256)
    if isinstance(edit.shares, SharesOfFile):
        _check("shares", file_sha256(Path(shares)), edit.shares.sha256)
        given, _ = read_shares(Path(shares), generator)
        return RegionMover(generator=generator, edit=edit, source=source, given=given[None])
    features = features_of_recipe(edit.shares.features, edit.shares.features_sha256, device=generator.device)
    return RegionMover(generator=generator, edit=edit, source=source, distance=FeatureDistance(features))


def _check(what: str, found: str, wanted: str) -> None:
    if found != wanted:
        raise DistillError(
            f"the file of {what} here has sha256 {found[:12]}…, the recipe names {wanted[:12]}…; give every worker"
            " the same file"
        )
