"""`distill prepare-images`: a folder of pictures becomes a data set for the unpaired trainers."""

from __future__ import annotations

import json
from typing import Any

import click

from distill.cli import options


@click.command("prepare-images")
@click.argument("folder", metavar="DIR", type=options.PATH)
@click.option("--out", required=True, metavar="FOLDER", type=options.PATH, help="The data set to make.")
@click.option("--resolution", type=int, help="Side in pixels, a power of two from 4 to 1024.")
@click.option(
    "--size",
    type=options.SIZE,
    metavar="WxH",
    help="Width and height in pixels instead, such as 128x256.",
)
@click.option(
    "--align",
    default="none",
    show_default=True,
    type=click.Choice(["none", "ffhq"]),
    help="Cut out the largest face; none: the middle.",
)
@click.option(
    "--labels",
    metavar="FILE.csv",
    type=options.PATH,
    help="Labels: a CSV with a column file, and one for each label.",
)
@click.option(
    "--balance",
    metavar="FILE.csv:COLUMN",
    help="Labels, and weights that make the classes of COLUMN even.",
)
@click.option("--drop-grey", is_flag=True, help="Leave out pictures without colour.")
@options.codec("raw", value="raw")
@options.max_skips("10%", "Pictures")
@options.picture_workers
@options.dry_run
@options.as_json
def prepare_images(
    resolution: int | None, size: tuple[int, int] | None, dry_run: bool, as_json: bool, **given: Any
) -> None:
    """Cut all pictures below DIR to one size and store them as shards, in the order of their names.

    Pictures that are unreadable, animated or without a face are skipped and counted; more than --max-skips stop it.
    --align ffhq cuts a face out as FFHQ does. --size is for trainers that take oblong pictures. The same command
    resumes.

    Weights of --balance make the classes of COLUMN equally likely. They are relative to all pictures of DIR, skipped
    ones too; those without a class keep weight 1: their share of the draws stays, the rest is divided equally.

    \b
    distill prepare-images photos/ --resolution 256 --align ffhq --out data/faces
    distill prepare-images photos/ --resolution 64 --balance labels.csv:gender --out data/balanced
    distill prepare-images clothes/ --size 128x256 --out data/clothes
    """
    from distill.cli.signals import stop_on_signals
    from distill.progress import Progress
    from distill.shards.images import prepare_report as report
    from distill.shards.images.prepare import prepare, sample
    from distill.shards.images.prepare_plan import PrepareImagesRequest, find_source, plan_preparation

    height, width = options.sides(resolution, size)
    request = PrepareImagesRequest(resolution=height, width=width, **given)
    found = find_source(request)
    with stop_on_signals() as stop:
        with Progress(len(found.pictures), noun="picture", keep=False) as progress:
            progress.beside("hashing")
            plan = plan_preparation(request, found, stop=stop, advance=progress.advance)
        if dry_run:
            sampled = sample(plan)
            facts = report.plan_facts(plan, sampled)
            lines = [*report.plan_lines(plan, sampled), "dry run: nothing was written"]
        else:
            with Progress(len(plan.pictures), noun="picture", keep=False) as progress:
                result = prepare(plan, stop=stop, progress=progress.advance, skip=progress.skip)
            facts, lines = report.result_facts(plan, result), report.result_lines(plan, result)
    click.echo(json.dumps(facts, indent=2) if as_json else "\n".join(lines))
