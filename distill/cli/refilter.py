"""`distill refilter`: choose again among the rows of a data set, by the numbers stored beside them."""

from __future__ import annotations

import json
from typing import Any

import click

from distill.cli import options


@click.command("refilter", short_help="Keep the rows of a data set whose scores fit, as a new one.")
@click.argument("folder", metavar="DIR", type=options.PATH)
@click.option("--where", required=True, metavar="EXPRESSION", help="What a row must fulfil to stay.")
@click.option(
    "--out",
    required=True,
    metavar="DIR2",
    type=options.PATH,
    help="Folder of the new data set.",
)
@options.dry_run
@options.as_json
def refilter(dry_run: bool, as_json: bool, **given: Any) -> None:
    """Write the rows of DIR that EXPRESSION keeps as a data set of their own; nothing is generated again.

    EXPRESSION compares scores, params and numeric labels by name (distill inspect shows them) with < <= > >= == !=,
    joined by and, or, not and brackets. Of a score with several numbers a row take one, as gender[0], or their min,
    max or span; abs takes the size of a number. quantile(ssim, 0.6) is the value that 60 % of all rows of DIR lie
    below; the recipe holds the number it came to. What is not a number compares as false. DIR is only read; the same
    command goes on where it was stopped.

    \b
    distill refilter data/swap --where 'identity < 0.5' --out data/swap-same-person
    distill refilter data/ageing --where 'span(age) > 25 and not 0.4 < gender[0] < 0.6'
        --out data/ageing-25
    distill refilter data/pairs --where 'ssim >= quantile(ssim, 0.6)' --out data/pairs-best-40
    """
    from distill.cli.signals import stop_on_signals
    from distill.progress import Progress
    from distill.shards.refilter import report
    from distill.shards.refilter.plan import RefilterRequest, decide, shards_of
    from distill.shards.refilter.run import check_out, run_refilter

    request = RefilterRequest(**given)
    with Progress(shards_of(request), noun="shard", quiet=as_json, keep=False) as progress:
        plan = decide(request, progress=progress.advance)
    check_out(plan)
    if dry_run:
        facts, lines = report.facts(plan), report.plan_lines(plan)
    else:
        with stop_on_signals() as stop, Progress(plan.kept, quiet=as_json, keep=False) as progress:
            reports = run_refilter(plan, stop=stop, advance=progress.advance)
        facts, lines = report.facts(plan, reports), report.result_lines(plan, reports)
    click.echo(json.dumps(facts, indent=2) if as_json else "\n".join(lines))
