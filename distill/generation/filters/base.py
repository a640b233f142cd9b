"""What all filters have."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from distill.generation.batch import Batch
from distill.schema import Frozen

if TYPE_CHECKING:
    from distill.generation.recipe import Recipe


class Filter(Frozen):
    """A rule that keeps or drops candidates: a name, its settings in a recipe, and the rule itself.

    `reasons`: every reason that it gives, "<name>.<what>" -> what to do where it drops too many.
    """

    reasons: ClassVar[Mapping[str, str]]
    least_side: ClassVar[int] = 1  # px of a drawn image
    needs_faces: ClassVar[bool] = False  # of each role; then `batch.faces_in` knows them

    @abstractmethod
    def judge(self, batch: Batch, recipe: Recipe) -> None:
        """Write scores into `batch.scores`, and drop candidates among those that are kept, each for a reason."""

    def prepare(self) -> None:
        """Open what the filter looks with. Raises DistillError where it is not what the recipe names."""
