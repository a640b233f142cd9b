"""Style mixing: the content's shape with the style's colours and texture.

Viazovetskyi et al. 2020: two latents; the first drives the first half of the synthesis network, the second
the rest. The student gets both faces (6 channels) and learns to draw the mix.
"""

from __future__ import annotations

from distill.generation.edits.style_mix import StyleMix
from distill.generation.faces import FaceSearch
from distill.generation.filters.face import FaceFilter
from distill.generation.filters.ssim import SsimFilter
from distill.generation.recipe import TaskRecipe

RECIPE = TaskRecipe(
    task="style-mix",
    inputs=("content", "style"),
    target="mixed",
    edit=StyleMix(crossover="half"),
    truncation_psi=0.7,
    noise="const",
    faces=FaceSearch(min_confidence=0.5, detect_size=144),
    filters=(
        SsimFilter(min_ssim=0.3, max_ssim=0.97),
        FaceFilter(max_framing_error=0.15),
    ),
    align="gate",
)
