"""The person with a part of the reference: their hair, eyes or mouth (`--part hair`).

Lewis et al. 2021, "VOGUE": every style channel goes a share of its own from person to reference, so that the part
comes and the rest stays. The shares are looked for pair by pair. The student gets both faces (6 channels).
"""

from __future__ import annotations

from distill.generation.edits.region_swap import RegionSwap
from distill.generation.faces import FaceSearch
from distill.generation.filters.face import FaceFilter
from distill.generation.filters.region import RegionFilter
from distill.generation.recipe import TaskRecipe

RECIPE = TaskRecipe(
    task="region-swap",
    inputs=("person", "reference"),
    target="result",
    edit=RegionSwap(),  # --part names the part
    truncation_psi=0.7,
    noise="const",
    faces=FaceSearch(min_confidence=0.5, detect_size=144),
    filters=(RegionFilter(), FaceFilter(max_framing_error=0.15)),
    align="gate",
    shard_size=32,
)
