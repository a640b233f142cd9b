"""Rules for what an edit along directions drew: each chooses a pair, or drops the candidate."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from distill.generation.selections.measured import MeasuredChanges
from distill.generation.selections.pair import Apart, Opposite

# The table of selections: a recipe with an edit along directions names one of them.
AnySelection = Annotated[Opposite | Apart | MeasuredChanges, Field(discriminator="name")]
