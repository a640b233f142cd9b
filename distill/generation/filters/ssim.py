"""Drop an edit that changed nothing, or everything."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from distill.generation.batch import Batch
from distill.generation.filters.base import Filter
from distill.metrics.ssim import RADIUS, ssim
from distill.pixels import area_downsample

if TYPE_CHECKING:
    from distill.generation.recipe import Recipe

MAX_SIDE = 256  # px: SSIM depends on scale, so larger images are compared at this one


class SsimFilter(Filter):
    """Drop a mix that changed nothing (SSIM with its content above `max_ssim`) or everything (below `min_ssim`).

    SSIM is taken on copies of at most 256 px, so that one window serves every resolution.
    """

    name: Literal["ssim"] = "ssim"
    min_ssim: float = Field(ge=-1, le=1)
    max_ssim: float = Field(ge=-1, le=1)

    least_side: ClassVar = 2 * RADIUS + 1
    reasons: ClassVar = {
        "ssim.nothing-changed": "take an earlier --crossover",
        "ssim.all-changed": "take a later --crossover, or a smaller --truncation-psi",
    }

    def judge(self, batch: Batch, recipe: Recipe) -> None:
        pair = [batch.images[role].permute(0, 3, 1, 2).float() for role in (recipe.inputs[0], recipe.target)]
        size = min(MAX_SIDE, pair[0].shape[-1])
        similarity_N = ssim(*(area_downsample(images, size) for images in pair), data_range=255.0)
        scores_N = similarity_N.cpu().numpy().astype(np.float32)
        batch.scores["ssim"] = scores_N
        for i in batch.kept():
            if scores_N[i] > self.max_ssim:
                batch.drop(i, "ssim.nothing-changed")
            elif scores_N[i] < self.min_ssim:
                batch.drop(i, "ssim.all-changed")
