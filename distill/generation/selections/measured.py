"""Measure what an edit along several directions changed: every attribute, before and after.

N candidates, K attributes.
"""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from distill.attributes.protocol import AttributeScorer, Kind
from distill.generation.batch import Batch
from distill.generation.selections.base import LESS, NO_FACE, Selection, score_pictures
from distill.shards.changes import asked_column

LITTLE, AGAINST = "too-little", "against"


class MeasuredChanges(Selection):
    """Keep a pair whose asked attributes all change as asked, by `min_changes` at least.

    `attributes`, `kinds` and `min_changes` go together, one an attribute; a change is in units of the score (a
    probability, years, degrees). The scores of all attributes are stored, source and target: what was not asked for
    may change too, and a student is told.
    """

    name: Literal["measured"] = "measured"
    attributes: tuple[str, ...] = ()
    kinds: tuple[Kind, ...] = ()
    min_changes: tuple[float, ...] = ()

    @model_validator(mode="after")
    def _one_each(self) -> Self:
        if not len(self.attributes) == len(self.kinds) == len(self.min_changes):
            raise ValueError("attributes, kinds and min_changes go together, one an attribute")
        if any(not change > 0 for change in self.min_changes):
            raise ValueError("min_changes are above 0")
        return self

    @property
    def scored(self) -> tuple[str, ...]:
        return self.attributes

    @property
    def reasons(self) -> dict[str, str]:
        found = {NO_FACE: LESS}
        for name in self.attributes:
            found[f"{name}.{LITTLE}"] = f"take --min-change {name}=… smaller, or a larger --strength"
            found[f"{name}.{AGAINST}"] = f"take another --direction of {name}, or a smaller --strength"
        return found

    def judge(self, batch: Batch, scorer: AttributeScorer) -> None:
        batch.scores |= score_pictures(batch, scorer)
        order = list(batch.images)
        before, after = order.index("source"), order.index("target")
        scores_NK2 = np.stack([batch.scores[name][:, [before, after]] for name in self.attributes], axis=1)
        asked_NK = np.stack([batch.params[asked_column(name)] for name in self.attributes], axis=1)
        changes_NK = scores_NK2[:, :, 1] - scores_NK2[:, :, 0]
        for i in batch.kept():
            if fault := self.fault(changes_NK[i], asked_NK[i]):
                batch.drop(i, fault)

    def fault(self, changes_K: NDArray[Any], asked_K: NDArray[Any]) -> str | None:
        """Name the fault of a pair: `changes_K` were measured, NaN without a face, `asked_K` are strengths."""
        if not np.isfinite(changes_K).all():
            return NO_FACE
        for name, change, asked, least in zip(
            self.attributes, changes_K, asked_K, self.min_changes, strict=True
        ):
            if asked and abs(change) < least:
                return f"{name}.{LITTLE}"
            if asked and (change > 0) != (asked > 0):
                return f"{name}.{AGAINST}"
        return None
