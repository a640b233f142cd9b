"""Keep a pair of two generators where one image is like the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from distill.generation.batch import Batch
from distill.generation.filters.base import Filter
from distill.metrics.ssim import RADIUS, SsimChannels, SsimWindow, ssim
from distill.pixels import area_downsample

if TYPE_CHECKING:
    from distill.generation.recipe import Recipe

MAX_SIDE = 256  # px: SSIM depends on scale, so larger images are compared at this one


class LikenessFilter(Filter):
    """Drop a pair whose SSIM is below `min_ssim`; -1 keeps every pair, and the score is stored.

    Taken of bytes, as scikit-image does it by default: a uniform window of 7 px and the mean over the colours; see
    `metrics.ssim`. Images are averaged down to the smaller of the two, and to 256 px at most.
    """

    name: Literal["likeness"] = "likeness"
    min_ssim: float = Field(default=0.6, ge=-1, le=1)
    window: SsimWindow = "uniform"
    channels: SsimChannels = "colour"
    data_range: Literal[255] = 255

    least_side: ClassVar = 2 * RADIUS + 1
    reasons: ClassVar = {
        "likeness.too-low": "take a smaller --min-ssim (-1 keeps all: distill refilter --where"
        " 'ssim >= quantile(ssim, 0.6)' then finds the best 40 %), or a second generator whose images are more like"
        " the first's"
    }

    def judge(self, batch: Batch, recipe: Recipe) -> None:
        pair = [batch.images[role].permute(0, 3, 1, 2).float() for role in recipe.roles]
        size = min(MAX_SIDE, *(images.shape[-1] for images in pair))
        similarity_N = ssim(
            *(area_downsample(images, size) for images in pair),
            data_range=float(self.data_range),
            window=self.window,
            channels=self.channels,
        )
        scores_N = similarity_N.cpu().numpy().astype(np.float32)
        batch.scores["ssim"] = scores_N
        for i in batch.kept():
            if scores_N[i] < self.min_ssim:
                batch.drop(i, "likeness.too-low")
