"""`distill merge`: parts of one data set that were made at several places become one."""

from __future__ import annotations

import json
from pathlib import Path

import click

from distill.cli import options
from distill.files import path_text


@click.command("merge", short_help="Join parts of one data set that were made at several places.")
@click.argument("folders", metavar="DIR DIR …", nargs=-1, required=True, type=options.PATH)
@click.option("--out", required=True, metavar="DIR", type=options.PATH, help="Folder of the whole data set.")
@options.dry_run
@options.as_json
def merge(folders: tuple[Path, ...], out: Path, dry_run: bool, as_json: bool) -> None:
    """Join parts that were made by one recipe, each some of the shards (generate --shards), into one data set.

    The result is what one place would have made. The parts are only read; the same command goes on where it was
    stopped.

    \b
    distill generate --task style-mix --n 50000 --shards 0-97 --out a        # at one place
    distill generate --task style-mix --n 50000 --shards 98-195 --out b      # at another
    distill merge a b --out mix
    """
    from distill.cli.signals import stop_on_signals
    from distill.progress import Progress, plural, size_text
    from distill.shards.merge import plan_merge, run_merge

    plan = plan_merge(folders, out)
    size = sum(report.bytes for report in plan.reports)
    facts = {
        "folder": str(out),
        "digest": plan.digest,
        "n": plan.n,
        "shards": len(plan.shards),
        "bytes": size,
    }
    if not dry_run:
        copied = sum(report.rows for _, report in plan.todo)
        with stop_on_signals() as stop, Progress(copied, quiet=as_json, keep=False) as progress:
            run_merge(plan, stop=stop, advance=progress.advance)
    line = f"{path_text(out)}: {plan.n} rows in {plural(len(plan.shards), 'shard')}, {size_text(size)}"
    click.echo(json.dumps(facts, indent=2) if as_json else f"{line}{' would be there' if dry_run else ''}")
