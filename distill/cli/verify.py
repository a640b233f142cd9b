"""`distill verify`: is this data set what was written?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from distill.cli import options

if TYPE_CHECKING:
    from distill.shards.verify import VerifyReport


UNSIGNED = "unsigned, so accidents are ruled out, not forgery"


@click.command()
@click.argument("folder", metavar="DIR", type=options.PATH)
@click.option("--full", is_flag=True, help="Also compare every sha256, read every column and image.")
@options.as_json
def verify(folder: Path, full: bool, as_json: bool) -> None:
    """Check every shard of the data set in DIR.

    Without --full: names, sidecars, manifest, sizes and the structure of every file. Prints a line for each
    problem and ends with exit code 2 when there is any.

    \b
    distill verify data/mix
    distill verify data/mix --full --json
    """
    from tqdm import tqdm

    from distill.errors import DistillError
    from distill.progress import plural
    from distill.shards.verify import verify_folder

    with tqdm(unit="B", unit_scale=True, desc="verify", leave=False, disable=None) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        report = verify_folder(folder, full=full, progress=progress)
    if as_json:
        click.echo(json.dumps(report.to_dict(), indent=2))
    else:
        for line in [*map(str, report.problems), *(f"note: {note}" for note in report.notes)]:
            click.echo(line)
    if report.problems:
        raise DistillError(f"{folder}: {plural(len(report.problems), 'problem')}; {advice(report)}")
    if not as_json:
        depth = (
            "checksums, columns and images"
            if full
            else "sizes, structure and recipes; --full reads everything"
        )
        found = f"{plural(report.rows, 'row')} in {plural(report.shards, 'shard')}"
        click.echo(f"{folder}: {found}, all fine (recipe {report.digest}, {depth}); {UNSIGNED}")


def advice(report: VerifyReport) -> str:
    """Say what makes a data set whole again: the file that nothing can be made without comes first."""
    from distill.shards.folder import CONDITIONS_FILE, MANIFEST_FILE, RECIPE_FILE

    again = "run the command that made it again"
    broken = dict.fromkeys(problem.shard for problem in report.problems)
    if RECIPE_FILE in broken:
        return f"put {RECIPE_FILE} back first: the attribute 'recipe' of every shard holds it as it was"
    if CONDITIONS_FILE in broken:
        return f"remove {CONDITIONS_FILE} and {again}: it is restored from the shards"
    if [*broken] == [MANIFEST_FILE]:
        return again
    return f"remove the broken files and {again}"
