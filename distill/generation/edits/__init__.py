"""Edits in w+: a class each, with its settings in a recipe and what it does to the w+ of a candidate's parents."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from distill.generation.edits.along_direction import AlongDirection
from distill.generation.edits.along_several import AlongSeveral
from distill.generation.edits.morph import Morph
from distill.generation.edits.region_swap import RegionSwap
from distill.generation.edits.second_generator import SecondGenerator
from distill.generation.edits.style_mix import StyleMix

# The table of edits: a recipe names one of them.
AnyEdit = Annotated[
    StyleMix | AlongDirection | AlongSeveral | Morph | SecondGenerator | RegionSwap,
    Field(discriminator="name"),
]
