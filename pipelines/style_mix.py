"""Style mixing: the content's shape with the style's colours and texture.

Viazovetskyi et al. 2020: two latents; the first drives the first half of the synthesis network, the second
the rest. The student gets both faces (6 channels) and learns to draw the mix.
"""

from __future__ import annotations

from distill.generation.edit_settings import StyleMixChoice
from distill.generation.filters.settings import ChangeFilter, FaceFilter
from distill.generation.recipe import TaskRecipe

RECIPE = TaskRecipe(
    task="style-mix",
    inputs=("content", "style"),
    target="mixed",
    edit=StyleMixChoice(crossover="half"),
    truncation_psi=0.7,
    noise="const",
    filters=(
        ChangeFilter(min_ssim=0.3, max_ssim=0.97),
        FaceFilter(min_confidence=0.5, max_framing_error=0.15, detect_size=144),
    ),
    align="gate",
)
