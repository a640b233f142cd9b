"""`distill inspect`: a page and a picture to look at."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from distill.cli import options


@click.command("inspect", short_help="Make a page and a contact sheet of a data set.")
@click.argument("folder", metavar="DIR", type=options.PATH)
@click.option(
    "--rows", type=options.WholeRange(1, 1000), help="Samples to show.  [default: 24, of plain images 96]"
)
@click.option("--out", type=options.FILE, help="The page.  [default: DIR/inspect.html]")
@click.option("--sheet", type=options.FILE, help="The picture.  [default: DIR/contact_sheet.png]")
@options.overwrite
@options.as_json
def inspect_command(
    folder: Path, rows: int | None, out: Path | None, sheet: Path | None, overwrite: bool, as_json: bool
) -> None:
    """Make a self-contained HTML page of a data set and a contact sheet of its samples.

    The page shows samples with numbers and labels, the acceptance table and histograms. A data set that is
    not complete yet can be looked at too.

    \b
    distill inspect data/mix
    distill inspect data/mix --rows 100 --out mix.html --sheet mix.png
    """
    from distill.files import check_file
    from distill.shards.change_counts import change_lines
    from distill.shards.inspect.look import PAGE_NAME, SHEET_NAME, write_look
    from distill.shards.inspect.page import page_title
    from distill.shards.summary import dropped_by_reason

    page_path, sheet_path = out or folder / PAGE_NAME, sheet or folder / SHEET_NAME
    check_file(page_path, overwrite=overwrite or out is None)
    check_file(sheet_path, overwrite=overwrite or sheet is None)
    found = write_look(folder, rows=rows, page=page_path, sheet=sheet_path)
    for problem in found.problems:
        click.echo(problem, err=True)
    if as_json:
        facts = {
            "digest": found.digest,
            "complete": found.complete,
            "shards": len(found.reports),
            "rows": found.rows,
            "tried": sum(report.tried for report in found.reports),
            "dropped": dropped_by_reason(found.reports),
            "changes": [asdict(item) for item in found.changes],
            "problems": found.problems,
            "page": str(page_path),
            "sheet": str(sheet_path),
        }
        click.echo(json.dumps(facts, indent=2))
        return
    click.echo(f"{page_title(found)}{'' if found.complete else ' (not complete)'}")
    if found.changes:
        click.echo("measured changes of the pairs that were asked for them:")
        click.echo("\n".join(change_lines(found.changes)))
    click.echo(f"page           {page_path}\ncontact sheet  {sheet_path}")


inspect = inspect_command  # the name in the table of commands
