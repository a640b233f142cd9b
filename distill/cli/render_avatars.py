"""`distill render-avatars`: a data set of drawn faces, with what is drawn as labels."""

from __future__ import annotations

import json
from typing import Any

import click

from distill.cli import options


@click.command("render-avatars")
@click.option(
    "--style", default="toon-head", show_default=True, help="A DiceBear style; a wrong name lists all."
)
@click.option("--n", required=True, type=options.WholeRange(1, 10_000_000), help="How many avatars.")
@click.option("--out", required=True, metavar="FOLDER", type=options.PATH, help="The data set to make.")
@click.option(
    "--resolution", default=64, show_default=True, help="Side in pixels, a power of two from 4 to 1024."
)
@click.option(
    "--seed",
    default=0,
    show_default=True,
    type=options.WholeRange(min=0),
    help="Another seed, other avatars.",
)
@options.picture_workers
@options.codec("raw", value="raw")
@options.dry_run
@options.as_json
def render_avatars(dry_run: bool, as_json: bool, **given: Any) -> None:
    """Draw N avatars and store them as shards, with their attributes as labels; the same seed gives the same.

    Nothing is fetched. Needs distill[avatars]. Each style has its own licence; it is printed, and recorded in the
    data set. The same command resumes.

    \b
    distill render-avatars --n 10000 --out data/avatars
    distill render-avatars --style avataaars --n 2000 --resolution 128 --out data/avataaars
    """
    from distill.cli.signals import stop_on_signals
    from distill.progress import Progress
    from distill.shards.images.avatar_set import RenderAvatarsRequest, estimate, plan_avatars, render

    plan = plan_avatars(RenderAvatarsRequest(**given))
    if dry_run:
        seconds = estimate(plan)
        facts = {**plan.facts(), "bytes": plan.bytes, "seconds": seconds}
        lines = [*plan.lines(seconds), "dry run: nothing was written"]
    else:
        with stop_on_signals() as stop, Progress(plan.request.n, noun="picture", keep=False) as progress:
            written = render(plan, stop=stop, progress=progress.advance, skip=progress.skip)
        seconds = round(progress.seconds, 1)
        facts = {**plan.facts(), "bytes": written.bytes, "seconds": seconds, "digest": written.digest}
        lines = plan.result_lines(written, seconds)
    click.echo(json.dumps(facts, indent=2, ensure_ascii=False) if as_json else "\n".join(lines))
