"""Keep a pair whose part changed, and little beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from distill.errors import DistillError
from distill.faces.alignment import Pixels
from distill.faces.regions.parts import Mask
from distill.generation.batch import Batch
from distill.generation.filters.base import Filter

if TYPE_CHECKING:
    from distill.generation.recipe import Recipe


class RegionFilter(Filter):
    """Drop a result that changed less than `min_inside` in the region, or more than `max_outside` beside it.

    Both are means of absolute differences of pixels from 0 to 1, weighted by the soft mask and by the rest, as
    `distill region` tells them (`stylegan2.interpolation.change`). `to_reference`, which is stored too, is how far
    the result is from the reference in the region.
    """

    name: Literal["region"] = "region"
    min_inside: float = Field(default=0.0, ge=0, le=1)
    max_outside: float = Field(default=1.0, gt=0, le=1)

    reasons: ClassVar = {
        "region.unchanged": "take a smaller --min-inside-change",
        "region.outside-changed": "take a larger --max-outside-change, or no --shares, which fit one pair best",
    }

    def judge(self, batch: Batch, recipe: Recipe) -> None:
        if batch.regions is None:
            raise DistillError("the filter 'region' judges the edit region-swap alone")
        person, reference, result = (batch.host(role) for role in (*recipe.inputs, recipe.target))
        scores = {
            name: np.full(len(batch.ids), np.nan, dtype=np.float32)
            for name in ("inside", "outside", "to_reference")
        }
        for i in batch.kept():
            mask_HW = batch.regions[i]
            scores["inside"][i] = mean_change(person[i], result[i], mask_HW)
            scores["outside"][i] = mean_change(person[i], result[i], 1 - mask_HW)
            scores["to_reference"][i] = mean_change(reference[i], result[i], mask_HW)
            if scores["inside"][i] < self.min_inside:
                batch.drop(i, "region.unchanged")
            elif scores["outside"][i] > self.max_outside:
                batch.drop(i, "region.outside-changed")
        batch.scores |= scores


def mean_change(before: Pixels, after: Pixels, weight_HW: Mask) -> float:
    """Return the mean absolute difference of two images [H, W, 3], weighted, 0 to 1; 0 where nothing weighs anything.

    In numpy: sums by torch hang on the number of threads, and so would the bytes of a shard.
    """
    apart_HW: NDArray[np.float64] = np.abs(before.astype(np.int16) - after).mean(axis=2) / 255
    total = float(weight_HW.sum(dtype=np.float64))
    return float((apart_HW * weight_HW).sum()) / total if total else 0.0
