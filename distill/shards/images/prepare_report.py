"""Say what `prepare-images` would do and what it did, as text and as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distill.progress import plural
from distill.shards.images.prepare import GREY, PreparationSample, PreparedImages
from distill.shards.images.prepare_plan import PreparationPlan
from distill.timing import clock


def plan_facts(plan: PreparationPlan, sample: PreparationSample) -> dict[str, Any]:
    """Return a dry run's findings as plain values."""
    return {
        **plan.facts(),
        "sampled": sample.count,
        "sampled_skips": list(sample.skips),
        "seconds": sample.seconds,
        "bytes": _most_bytes(plan),
        "out": str(plan.out),
    }


def plan_lines(plan: PreparationPlan, sample: PreparationSample) -> list[str]:
    """Return a dry run's findings for a person."""
    megabytes = _most_bytes(plan) / 1e6
    return [
        f"{plural(len(plan.pictures), 'picture')} → at most {megabytes:.1f} MB of {_side(plan)} in {plan.out}",
        f"labels for {plan.labelled}, other files {plan.other_files}, align {plan.settings.align}",
        f"about {clock(sample.seconds)} with {plural(plan.workers, 'worker')}, estimated from"
        f" {plural(sample.count, 'picture')}",
        *(f"  would skip {line}" for line in sample.skips),
    ]


def result_facts(plan: PreparationPlan, result: PreparedImages) -> dict[str, Any]:
    """Return what was done as plain values."""
    written, tally = result.written, result.tally
    return {
        **plan.facts(),
        "out": str(written.folder),
        "bytes": written.bytes,
        "shards": len(written.reports),
        "digest": written.digest,
        **result.to_json(),
        "skips": [{"name": skip.name, "reason": skip.reason, "detail": skip.detail} for skip in tally.skips],
        "balance": plan.balance,
        "weights": {name: round(share.weight, 4) for name, share in plan.shares.items()},
        "counts": {name: share.count for name, share in plan.shares.items()},
        "seconds": result.seconds,
    }


def result_lines(plan: PreparationPlan, result: PreparedImages) -> list[str]:
    """Return what was done for a person; notes only on what occurred."""
    written, tally, settings = result.written, result.tally, plan.settings
    dropped = dict(result.dropped)
    grey_dropped, before = dropped.pop(GREY, 0), written.rows - tally.kept
    rate = tally.done / max(result.seconds, 0.1)
    small = f"their crop is smaller than {_side(plan)} pixels"
    notes = [
        (before, f"{before} of them were done before: the next lines count only the others"),
        (tally.grey, f"grey {tally.grey}, dropped {grey_dropped}"),
        (tally.enlarged, f"enlarged {tally.enlarged}: {small}"),
        (tally.several_faces, f"several faces in {tally.several_faces}: the largest was taken"),
        (plan.labelled, f"labels for {plan.labelled} of {tally.found}"),
        (plan.other_files, f"other files passed over: {plan.other_files}"),
        (plan.shares, _balance(plan)),
        (dropped, f"skipped {sum(dropped.values())}: {_pairs(dropped)}"),
    ]
    return [
        f"{written.rows} of {tally.found} pictures, {_side(plan)}, align {settings.align} → {written.folder} "
        f"({plural(len(written.reports), 'shard')}, {written.bytes / 1e6:.1f} MB, {rate:.1f} pictures/s)",
        f"digest {written.digest}",
        *(note for occurred, note in notes if occurred),
        *(f"  {skip.reason}: {skip.name} ({skip.detail})" for skip in tally.skips),
    ]


def _most_bytes(plan: PreparationPlan) -> int:
    height, width = plan.settings.sides
    return len(plan.pictures) * 3 * height * width


def _side(plan: PreparationPlan) -> str:
    height, width = plan.settings.sides
    return f"{width}×{height}"


def _balance(plan: PreparationPlan) -> str:
    """Show the weight of each class, and how many pictures have it ("" has none)."""
    classes = [
        f"{name or 'none'} {round(share.weight, 4)} × {share.count}" for name, share in plan.shares.items()
    ]
    return f"sampling weights by {plan.balance}: {', '.join(classes)}"


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
