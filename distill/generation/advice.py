"""What to say when a selection or a filter lets too few candidates through."""

from __future__ import annotations

from distill.generation.shard_builder import ShardBuilder


def too_strict(builder: ShardBuilder, cap: int) -> str:
    """Say what starves the shard, how much it lets through, and what to change."""
    rate = builder.accepted / builder.tried
    text = (
        f"shard {builder.index}: {builder.accepted} of {builder.tried} candidates accepted ({rate:.1%}),"
        f" {builder.rows} are needed, and it is given up once {cap} were tried"
    )
    if not builder.dropped:
        return f"{text}: raise --max-candidates"
    reason, count = max(builder.dropped.items(), key=lambda item: item[1])
    kept = "; faces that were embedded are kept for another try in the same folder"
    return (
        f"{text}; the filter {reason.split('.')[0]!r} dropped most ({reason}: {count}):"
        f" {builder.recipe.reasons[reason]}, or raise --max-candidates{kept if builder.recipe.edit.embedding else ''}"
    )
