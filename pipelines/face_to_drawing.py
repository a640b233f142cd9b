"""A face and its drawing by a second generator.

Any second generator will do: each face is embedded into it, and pairs that came out alike are kept (SSIM 0.6: the
report this project grew from, 1,600 pairs). From a child of the first generator, or a blend with one, the same w is
drawn instead, which costs next to nothing: 26,000 pairs are what pix2pixHD needs.
"""

from __future__ import annotations

from distill.generation.edits.second_generator import Embedded, SecondGenerator
from distill.generation.faces import FaceSearch
from distill.generation.filters.face import FaceFilter
from distill.generation.filters.likeness import LikenessFilter
from distill.generation.recipe import TaskRecipe

SECOND = "drawings"  # by default, the child of portraits; of both tasks

RECIPE = TaskRecipe(
    task="face-to-drawing",
    inputs=("source",),
    target="target",
    edit=SecondGenerator(
        second_generator=SECOND, second_draws="target", pairing=Embedded(space="w+", steps=1000)
    ),
    truncation_psi=0.7,
    noise="const",
    faces=FaceSearch(min_confidence=0.5, detect_size=144),
    filters=(FaceFilter(max_framing_error=0.15), LikenessFilter(min_ssim=0.6)),
    align="gate",
    shard_size=8,
)
