"""Keep-or-drop rules: a class each, with its settings. Each stores its scores, and names the reason of every drop."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from distill.generation.filters.face import FaceFilter
from distill.generation.filters.identity import IdentityFilter
from distill.generation.filters.likeness import LikenessFilter
from distill.generation.filters.outside import OutsideFilter
from distill.generation.filters.region import RegionFilter
from distill.generation.filters.ssim import SsimFilter

# The table of filters: a recipe names some of them, in the order in which they are asked.
AnyFilter = Annotated[
    SsimFilter | FaceFilter | OutsideFilter | IdentityFilter | LikenessFilter | RegionFilter,
    Field(discriminator="name"),
]
