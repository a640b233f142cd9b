"""Drop an edit that changed nothing, or everything."""

from __future__ import annotations

import numpy as np

from distill.generation.filters import Batch
from distill.generation.filters.settings import ChangeFilter
from distill.generation.recipe import Recipe
from distill.metrics.ssim import ssim
from distill.pixels import area_downsample

MAX_SIDE = 256  # px: SSIM depends on scale, so larger images are compared at this one


class ChangeGate:
    """SSIM between the first input and the target, inside a window."""

    reasons = ("change.nothing", "change.everything")

    def __init__(self, settings: ChangeFilter, recipe: Recipe) -> None:
        self.settings = settings
        self.before, self.after = recipe.inputs[0], recipe.target

    def __call__(self, batch: Batch) -> None:
        pair = [batch.images[role].permute(0, 3, 1, 2).float() for role in (self.before, self.after)]
        size = min(MAX_SIDE, pair[0].shape[-1])
        similarity_N = ssim(*(area_downsample(images, size) for images in pair), data_range=255.0)
        scores_N = similarity_N.cpu().numpy().astype(np.float32)
        batch.scores["change"] = scores_N
        low, high = self.settings.min_ssim, self.settings.max_ssim
        for i in batch.kept():
            if scores_N[i] > high:
                batch.drop(i, "change.nothing")
            elif scores_N[i] < low:
                batch.drop(i, "change.everything")
