"""Say what a decision keeps and what was written, as text and as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distill.progress import command_text, plural, size_text
from distill.shards.folder import ShardReport
from distill.shards.refilter.plan import Refilter


def plan_lines(plan: Refilter) -> list[str]:
    """Return a decision for a person, and the space that it needs."""
    shards, needed, free = len(plan.shards), size_text(plan.bytes_needed), size_text(plan.bytes_free)
    return [
        *table_lines(plan),
        "",
        f"{plan.out} would take {plural(shards, 'shard')}, about {needed}; {free} are free",
    ]


def result_lines(plan: Refilter, reports: Sequence[ShardReport]) -> list[str]:
    """Return a decision and what is on disk now for a person."""
    size = size_text(sum(report.bytes for report in reports))
    shards = plural(len(reports), "shard")
    return [
        *table_lines(plan),
        "",
        f"{plan.out}: {plural(plan.kept, 'row')} in {shards}, {size} (digest {plan.digest})",
        f"look at them: {command_text('distill', 'inspect', plan.out)}",
    ]


def facts(plan: Refilter, reports: Sequence[ShardReport] | None = None) -> dict[str, Any]:
    """Return a decision and, where it was carried out, what is on disk now, as plain values."""
    return {
        "source": str(plan.source),
        "from": plan.recipe["refiltered"][-1]["from"],
        "where": plan.where,
        "quantiles": {
            found.text: {"value": found.value, "rows": found.rows, "missing": found.missing}
            for found in plan.quantiles
        },
        "out": str(plan.out),
        "digest": plan.digest,
        "rows": plan.rows,
        "kept": plan.kept,
        "dropped": plan.rows - plan.kept,
        "dropped_by_term": {term: plan.rows - kept for term, kept in plan.kept_by.items()},
        "ranges": {
            found.shown: {"low": found.low, "high": found.high, "missing": found.missing}
            for found in plan.ranges
        },
        "shards": len(plan.shards),
        "bytes_needed": plan.bytes_needed,
        "bytes_free": plan.bytes_free,
        "bytes": sum(report.bytes for report in reports) if reports is not None else None,
        "written": reports is not None,
    }


def table_lines(plan: Refilter) -> list[str]:
    """Return the acceptance table: rows kept and dropped, what each term drops, the range of each number."""
    task, digest = plan.recipe.get("task", "unknown task"), plan.recipe["refiltered"][-1]["from"]
    shares = [("kept", plan.kept), ("dropped", plan.rows - plan.kept)]
    if len(plan.kept_by) > 1:
        shares += [(f"  not {term}", plan.rows - kept) for term, kept in plan.kept_by.items()]
    width = max(len(name) for name, _ in shares)
    return [
        f"{plan.source} ({task}, digest {digest}): {plan.rows} rows in {plural(len(plan.reports), 'shard')}",
        f"where {plan.where}",
        *map(str, plan.quantiles),
        "",
        *(f"{name:{width}}  {count:8d}  {count / plan.rows:6.1%}" for name, count in shares),
        "",
        *map(str, plan.ranges),
    ]
