"""What to say when a filter lets too few candidates through."""

from __future__ import annotations

from distill.generation.shard_builder import Collector

ADVICE = {
    "change.nothing": "take an earlier --crossover",
    "change.everything": "take a later --crossover, or a smaller --truncation-psi",
    "face.none": "take a smaller --truncation-psi, or --align none for a teacher that draws no faces",
    "face.several": "take a smaller --truncation-psi",
    "face.framing": "use a teacher trained on FFHQ-aligned faces, or --align none",
    "identity.another": "take a larger --max-identity-distance, or a smaller --strength",
    "outside.changed": "take a larger --max-outside-change, or a smaller --strength",
}
PAIR_ADVICE = {  # by what follows the attribute
    "same": "take a larger --strength",
    "uncertain": "take a smaller --min-confidence, or a larger --strength",
    "too-close": "take fewer --years, or a larger --strength",
}
MOVED = "take a smaller --strength, or a smaller --truncation-psi"  # a direction that leads out of the faces


def too_strict(collector: Collector, cap: int) -> str:
    """Say which filter starves the shard, how much it lets through, and what to loosen."""
    reason, count = max(collector.dropped.items(), key=lambda item: item[1])
    rate = collector.accepted / collector.tried
    return (
        f"shard {collector.index}: {collector.accepted} of {collector.tried} candidates accepted ({rate:.1%}),"
        f" {collector.rows} needed within {cap}; the filter {reason.split('.')[0]!r} dropped most"
        f" ({reason}: {count}): {loosen(reason, task_moves=collector.recipe.edit.name == 'direction')},"
        " or raise --max-candidates"
    )


def loosen(reason: str, *, task_moves: bool = False) -> str:
    """What to change when a reason drops too much; `task_moves`: the task goes along a direction."""
    what, fault = reason.split(".", 1)
    if task_moves and what == "face":
        return MOVED
    return ADVICE.get(reason) or PAIR_ADVICE.get(fault, "loosen that filter")
