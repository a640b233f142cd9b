"""`distill refilter`: choose again among the rows of a data set, by the numbers stored beside them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from distill.files import size_text
from distill.progress import plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from distill.shards.folder import ShardReport
    from distill.shards.refilter.plan import Refilter


@click.command("refilter", short_help="Keep the rows of a data set whose scores fit, as a new one.")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--where", required=True, metavar="EXPRESSION", help="What a row must fulfil to stay.")
@click.option(
    "--out",
    required=True,
    metavar="DIR2",
    type=click.Path(path_type=Path),
    help="Folder of the new data set.",
)
@click.option("--dry-run", is_flag=True, help="Print what would be kept; write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print plan or result as JSON.")
def refilter(folder: Path, where: str, out: Path, dry_run: bool, as_json: bool) -> None:
    """Write the rows of DIR that EXPRESSION keeps as a data set of their own; nothing is generated again.

    EXPRESSION compares scores and params by name (distill inspect shows them) with < <= > >= == !=, joined by and,
    or, not and brackets. Of a score with several numbers a row take one, as gender[0], or their min, max or span;
    abs takes the size of a number. What is not a number compares as false. DIR is only read; the same command goes
    on where it was stopped.

    \b
    distill refilter data/swap --where 'identity < 0.5' --out data/swap-same-person
    distill refilter data/ageing --where 'span(age) > 25 and not 0.4 < gender[0] < 0.6' --out data/ageing-25
    """
    from distill.cli.signals import stop_on_signals
    from distill.progress import Progress
    from distill.shards.folder import read_manifest
    from distill.shards.refilter.plan import decide
    from distill.shards.refilter.run import check_out, run_refilter

    shards = len(read_manifest(folder)["shards"])
    with Progress(shards, noun="shard", quiet=as_json, keep=False) as progress:
        plan = decide(folder, where, out, progress=progress.advance)
    check_out(plan)
    if dry_run:
        show(plan, None, as_json=as_json)
        return
    with stop_on_signals() as stop, Progress(plan.kept, quiet=as_json, keep=False) as progress:
        reports = run_refilter(plan, stop=stop, advance=progress.advance)
    show(plan, reports, as_json=as_json)


def show(plan: Refilter, reports: Sequence[ShardReport] | None, *, as_json: bool) -> None:
    """Print the decision and, where it was carried out, what is on disk now."""
    if as_json:
        click.echo(json.dumps(facts_of(plan, reports), indent=2))
        return
    click.echo("\n".join(lines_of(plan)))
    if reports is None:
        needed, free = size_text(plan.bytes_needed), size_text(plan.bytes_free)
        click.echo(
            f"\n{plan.out} would take {plural(len(plan.shards), 'shard')}, about {needed}; {free} are free"
        )
        return
    size = size_text(sum(report.bytes for report in reports))
    click.echo(
        f"\n{plan.out}: {plan.kept} rows in {plural(len(reports), 'shard')}, {size} (digest {plan.digest})"
    )
    click.echo(f"look at them: distill inspect {plan.out}")


def lines_of(plan: Refilter) -> list[str]:
    """The acceptance table: rows kept and dropped, what each term drops, the range of each number."""
    task, digest = plan.recipe.get("task", "unknown task"), plan.recipe["refiltered"][-1]["from"]
    shares = [("kept", plan.kept), ("dropped", plan.rows - plan.kept)]
    if len(plan.kept_by) > 1:
        shares += [(f"  not {term}", plan.rows - kept) for term, kept in plan.kept_by.items()]
    width = max(len(name) for name, _ in shares)
    return [
        f"{plan.source} ({task}, digest {digest}): {plan.rows} rows in {plural(len(plan.reports), 'shard')}",
        f"where {plan.where}",
        "",
        *(f"{name:{width}}  {count:8d}  {count / plan.rows:6.1%}" for name, count in shares),
        "",
        *map(str, plan.ranges),
    ]


def facts_of(plan: Refilter, reports: Sequence[ShardReport] | None) -> dict[str, Any]:
    """The same as plain values."""
    return {
        "source": str(plan.source),
        "from": plan.recipe["refiltered"][-1]["from"],
        "where": plan.where,
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
