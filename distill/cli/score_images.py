"""`distill score-images`: a table of what the faces in photographs show."""

from __future__ import annotations

import json
from typing import Any

import click

from distill.cli import options


@click.command("score-images")
@options.photos
@click.option("--out", required=True, metavar="FILE.csv", type=options.FILE, help="The table to write.")
@click.option(
    "--scorer",
    default="builtin",
    show_default=True,
    metavar="FILE",
    help="face-api, or a file: see above.",
)
@click.option("--attributes", help="What builtin scores: gender, age, smile, yaw.  [default: gender,age]")
@click.option(
    "--min-confidence",
    default=0.9,
    show_default=True,
    type=options.FiniteRange(0.5, 1.0),
    help="Leave a label empty below this confidence.",
)
@click.option(
    "--labels",
    metavar="FILE.csv",
    type=options.PATH,
    help="Known labels, which replace the scores and judge them.",
)
@options.device
@options.picture_workers
@options.overwrite
@click.option("--dry-run", is_flag=True, help="Check everything, score a few pictures, write nothing.")
@options.as_json
def score_images(attributes: str | None, dry_run: bool, as_json: bool, **given: Any) -> None:
    """Read apparent gender and age, smile or yaw off the largest face in each of PHOTOS, into FILE.csv.

    PHOTOS are files and folders. Every picture gets a row; one without a face has a reason. prepare-images --balance
    FILE.csv:gender reads the table. The same command goes on where it stopped; FILE.csv.part keeps what was scored.

    Other scores come by --scorer: face-api, a TOML that names a network, a file of train-classifier, or a CSV made
    elsewhere. Each score gets a column, and NAME_label where it is a probability; so do smile and yaw. --labels has
    the columns file and gender (female, male) or age; of another scorer, those of its table.

    \b
    distill score-images photos/ --out labels.csv
    distill score-images photos/ --attributes gender,age,smile --min-confidence 0.8 --out labels.csv
    distill score-images photos/ --scorer glasses.safetensors --out glasses.csv
    """
    from distill.attributes.score_images import ScoreRequest, plan_scoring, report_lines
    from distill.attributes.score_images import score_images as score
    from distill.cli.signals import stop_on_signals
    from distill.progress import Progress

    named = (
        None if attributes is None else tuple(part.strip() for part in attributes.split(",") if part.strip())
    )
    job = plan_scoring(ScoreRequest(attributes=named, **given))
    if dry_run:
        click.echo("\n".join([*job.plan_lines(), "dry run: nothing was written"]))
        return
    with stop_on_signals() as stop, Progress(len(job.photos), noun="picture", keep=False) as progress:
        report = score(job, stop=stop, advance=progress.advance)
    click.echo(json.dumps(report, indent=2) if as_json else "\n".join(report_lines(report, job.table)))
