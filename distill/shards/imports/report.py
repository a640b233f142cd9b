"""Say what an import would do and what it did, as text and as plain values."""

from __future__ import annotations

from collections import Counter
from typing import Any

from distill.progress import command_text, plural, size_text
from distill.shards.imports.plan import ImportPlan
from distill.shards.imports.run import ImportResult
from distill.shards.summary import dropped_by_reason, sample_word
from distill.timing import clock

SHOWN = 10  # rows left out that are listed


def plan_facts(plan: ImportPlan, size: int, seconds: float) -> dict[str, Any]:
    """Return a dry run's findings as plain values."""
    reasons = Counter(fault.reason for fault in plan.faults.values())
    return {**_common(plan), "skipped": dict(reasons.most_common()), "bytes": size, "seconds": seconds}


def plan_lines(plan: ImportPlan, size: int, seconds: float) -> list[str]:
    """Return a dry run's findings for a person."""
    rows = len(plan.rows) - len(plan.faults)
    skips = {
        plan.rows[number].name: f"{fault.reason} ({fault.detail})" for number, fault in plan.faults.items()
    }
    return [
        f"{_title(plan, rows)} → {plan.request.out}: about {size_text(size)} ({plan.recipe['codec']}),"
        f" {clock(seconds)} with {plural(plan.workers, 'worker')}",
        *_notes(plan),
        *_skip_lines(skips, len(skips)),
    ]


def result_facts(plan: ImportPlan, result: ImportResult) -> dict[str, Any]:
    """Return what was done as plain values."""
    return {
        **_common(plan),
        "written": result.rows,
        "shards": len(result.reports),
        "bytes": result.bytes,
        "digest": result.digest,
        "skipped": dropped_by_reason(result.reports),
        "skips": [
            {"name": name, "reason": fault.reason, "detail": fault.detail}
            for name, fault in result.skips.items()
        ],
        "seconds": result.seconds,
    }


def result_lines(plan: ImportPlan, result: ImportResult) -> list[str]:
    """Return what was done for a person, and what comes next."""
    skips = {name: f"{fault.reason} ({fault.detail})" for name, fault in result.skips.items()}
    skipped = sum(dropped_by_reason(result.reports).values())
    return [
        f"{_title(plan, result.rows)} → {plan.request.out}"
        f" ({plural(len(result.reports), 'shard')}, {size_text(result.bytes)}, digest {result.digest})",
        *_notes(plan),
        *_skip_lines(skips, skipped),
        f"next: {command_text('distill', 'train-pix2pix', '--data', plan.request.out, '--out', 'runs/student')}",
    ]


def _common(plan: ImportPlan) -> dict[str, Any]:
    *inputs, target = plan.roles
    return {
        "out": str(plan.request.out),
        "layout": plan.request.layout,
        "inputs": inputs,
        "target": target,
        "rows": len(plan.rows),
        "other_files": plan.other_files,
        "resolution": plan.resolution,
        "codec": plan.recipe["codec"],
        "workers": plan.workers,
        "notes": list(plan.notes),
    }


def _title(plan: ImportPlan, rows: int) -> str:
    *inputs, target = plan.roles
    side = plan.resolution
    how = "cut to" if plan.request.resolution else "of"
    noun = plural(rows, sample_word(plan.roles))
    return f"{noun} {how} {side}×{side} px, {' + '.join(inputs)} → {target}"


def _notes(plan: ImportPlan) -> list[str]:
    others = (
        [f"files passed over, since they are not pictures: {plan.other_files}"] if plan.other_files else []
    )
    return [*plan.notes, *others]


def _skip_lines(skips: dict[str, str], count: int) -> list[str]:
    if not count:
        return []
    listed = [f"  {name}: {why}" for name, why in list(skips.items())[:SHOWN]]
    more = [f"  … and {count - len(listed)} more (--json lists them)"] if count > len(listed) else []
    return [f"left out: {count}", *listed, *more]
