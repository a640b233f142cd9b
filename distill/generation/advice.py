"""What to say when a selection or a filter lets too few candidates through."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from distill.generation.recipe import Recipe
from distill.generation.shard_builder import ShardBuilder


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Candidates that were tried, those of them that were accepted, and those that were dropped by reason."""

    accepted: int = 0
    tried: int = 0
    dropped: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, builder: ShardBuilder) -> Tally:
        return cls(accepted=builder.accepted, tried=builder.tried, dropped=Counter(builder.dropped))

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            accepted=self.accepted + other.accepted,
            tried=self.tried + other.tried,
            dropped=self.dropped + other.dropped,
        )

    def __sub__(self, other: Tally) -> Tally:
        return Tally(
            accepted=self.accepted - other.accepted,
            tried=self.tried - other.tried,
            dropped=self.dropped - other.dropped,
        )

    def text(self) -> str:
        """Say what share was accepted; where none was, how many were tried and why they were dropped."""
        if self.accepted:
            return f"{self.accepted / self.tried:.0%} of candidates accepted"
        reasons = ", ".join(f"{reason}: {count}" for reason, count in self.dropped.most_common())
        return f"0 of {self.tried} candidates accepted ({reasons})"


def too_strict(builder: ShardBuilder, cap: int) -> str:
    """Say which filter drops too many candidates, how many pass, and what to change."""
    rate = builder.accepted / builder.tried
    text = (
        f"shard {builder.index}: {builder.accepted} of {builder.tried} candidates accepted ({rate:.1%}),"
        f" {builder.rows} are needed, and at most {cap} may be tried"
    )
    if not builder.dropped:
        return f"{text}: raise --max-candidates"
    remedy = f"{_strictest(builder.dropped, builder.recipe)}, or raise --max-candidates"
    return f"{text}; {remedy}{_kept(builder.recipe)}"


def few_accepted(tally: Tally, index: int, recipe: Recipe) -> str:
    """Say what a shard that is stopped has dropped most of all, and what to change."""
    text = f"shard {index}: {tally.accepted} of {tally.tried} candidates accepted so far"
    return f"{text}; {_strictest(tally.dropped, recipe)}{_kept(recipe)}"


def _strictest(dropped: Mapping[str, int], recipe: Recipe) -> str:
    reason, count = max(dropped.items(), key=lambda item: item[1])
    return f"the filter {reason.split('.')[0]!r} dropped most ({reason}: {count}): {recipe.reasons[reason]}"


def _kept(recipe: Recipe) -> str:
    return (
        "; faces that were embedded are kept for another try in the same folder"
        if recipe.edit.embedding
        else ""
    )
