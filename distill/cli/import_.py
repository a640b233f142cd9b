"""`distill import`: people's own pairs and triplets as a data set."""

from __future__ import annotations

import json
from typing import Any

import click

from distill.cli import options


@click.command("import", short_help="Make a data set of pairs or triplets that are there already.")
@click.argument("folder", metavar="DIR", type=options.PATH)
@click.option(
    "--from",
    "layout",
    required=True,
    metavar="LAYOUT",
    help="How pictures lie in DIR: pix2pixhd, folders or pix2pix.",
)
@click.option("--out", required=True, metavar="FOLDER", type=options.PATH, help="The data set to make.")
@click.option("--inputs", metavar="A[,B]", help="Names of the inputs; of folders, which they are.")
@click.option("--target", metavar="NAME", help="Name of the target; of folders, which it is.")
@click.option("--phase", help="pix2pixhd: prefix of folders; pix2pix: the folder.  [default: train]")
@click.option(
    "--input-side",
    type=click.Choice(["left", "right"]),
    help="pix2pix: the half that goes in.  [default: left]",
)
@click.option(
    "--resolution",
    metavar="R",
    type=options.WholeRange(1, 16384),
    help="Bring the middle square to R px.  [default: none]",
)
@options.codec("raw", value="raw")
@options.max_skips("0", "Rows")
@options.picture_workers
@options.dry_run
@options.as_json
def import_command(dry_run: bool, as_json: bool, inputs: str | None, **given: Any) -> None:
    """Make a data set of your own pairs or triplets, for train-pix2pix; partners have the same file name.

    \b
    pix2pixhd  DIR/train_A = first input, DIR/train_B = target, DIR/train_C = second input, if there
    folders    DIR/<role>/…, by --inputs photo --target drawing; known where distill export wrote DIR
    pix2pix    input and target side by side in one picture, in DIR/train or DIR

    Pictures must be square unless --resolution is given. A row without a partner, unreadable or of another size stops
    the import; --max-skips leaves so many rows, or such a share, out. What is left out is named. The same command
    resumes.

    \b
    distill import facades/ --from pix2pix --out data/facades
    distill import pairs/ --from folders --inputs photo --target drawing --out data/drawn
    """
    from distill.cli.signals import stop_on_signals
    from distill.progress import Progress
    from distill.shards.imports import report
    from distill.shards.imports.plan import ImportPairsRequest, find_source, plan_import
    from distill.shards.imports.run import run_import, sample

    names = tuple(name.strip() for name in inputs.split(",")) if inputs else ()
    request = ImportPairsRequest(inputs=names, **given)
    found = find_source(request)
    with stop_on_signals() as stop:
        with Progress(len(found.rows), noun="row", keep=False) as progress:
            progress.beside("reading headers")
            plan = plan_import(request, found, stop=stop, advance=progress.advance)
        if dry_run:
            size, seconds = sample(plan)
            facts = report.plan_facts(plan, size, seconds)
            lines = [*report.plan_lines(plan, size, seconds), "dry run: nothing was written"]
        else:
            with Progress(len(plan.rows), noun="row", keep=False) as progress:
                result = run_import(plan, stop=stop, advance=progress.advance, skip=progress.skip)
            facts, lines = report.result_facts(plan, result), report.result_lines(plan, result)
    click.echo(json.dumps(facts, indent=2) if as_json else "\n".join(lines))
