"""Drop an edit that made another person of its source."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from distill.errors import DistillError
from distill.faces.identity import describe, descriptor_distances, descriptor_sha256
from distill.generation.batch import Batch
from distill.generation.filters.base import Filter

if TYPE_CHECKING:
    from distill.generation.recipe import Recipe


class IdentityFilter(Filter):
    """Drop a pair whose dlib face descriptors lie further apart than `max_distance` (0.6 parts two people)."""

    name: Literal["identity"] = "identity"
    max_distance: float = Field(gt=0, le=10)
    descriptor_sha256: str = ""

    reasons: ClassVar = {
        "identity.another": "take a larger --max-identity-distance, or a smaller --strength",
    }
    needs_faces: ClassVar = True

    def prepare(self) -> None:
        found = descriptor_sha256()
        if found != self.descriptor_sha256:
            raise DistillError(
                f"the face descriptor model here has sha256 {found[:12]}…, the recipe names"
                f" {self.descriptor_sha256[:12]}…"
            )

    def judge(self, batch: Batch, recipe: Recipe) -> None:
        distance_N = np.full(len(batch.ids), np.nan, dtype=np.float32)
        for i in batch.kept():
            before, after = (
                describe(batch.host(role)[i], batch.landmarks(role, i))
                for role in (recipe.inputs[0], recipe.target)
            )
            distance_N[i] = descriptor_distances(before[None], after[None])[0, 0]
            if distance_N[i] > self.max_distance:
                batch.drop(i, "identity.another")
        batch.scores["identity"] = distance_N
