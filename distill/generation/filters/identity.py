"""Drop an edit that made another person of its source."""

from __future__ import annotations

import numpy as np

from distill.errors import DistillError
from distill.faces.identity import describe, descriptor_distances, descriptor_sha256
from distill.generation.filters import Batch
from distill.generation.filters.settings import IdentityFilter
from distill.generation.recipe import Recipe


class IdentityGate:
    """The distance of dlib's face descriptors of the first input and the target; after the face filter."""

    reasons = ("identity.another",)

    def __init__(self, settings: IdentityFilter, recipe: Recipe) -> None:
        self.settings = settings
        self.before, self.after = recipe.inputs[0], recipe.target
        found = descriptor_sha256()
        if found != settings.descriptor_sha256:
            raise DistillError(
                f"the face descriptor model here has sha256 {found[:12]}…, the recipe names"
                f" {settings.descriptor_sha256[:12]}…"
            )

    def __call__(self, batch: Batch) -> None:
        distance_N = np.full(len(batch.reasons), np.nan, dtype=np.float32)
        for i in batch.kept():
            before, after = (
                describe(batch.host(role)[i], batch.faces[i][role].landmarks)
                for role in (self.before, self.after)
            )
            distance_N[i] = descriptor_distances(before[None], after[None])[0, 0]
            if distance_N[i] > self.settings.max_distance:
                batch.drop(i, "identity.another")
        batch.scores["identity"] = distance_N
