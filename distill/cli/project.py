"""`distill project`: put a person's own photos into the latent space of a generator."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from distill.cli import help_texts, options

if TYPE_CHECKING:
    from distill.editing.project import ProjectionJob


@click.command("project", help=help_texts.PROJECT)
@options.photos
@click.option(
    "--generator",
    default="portraits",
    show_default=True,
    metavar="NAME|FILE|URL",
    help="The teacher; see 'distill weights list'.",
)
@click.option(
    "--space",
    default="w+",
    show_default=True,
    metavar="w|w+|pti|encoder",
    help="Latent spaces: one or several of those above.",
)
@click.option("--out", required=True, metavar="DIR", type=options.PATH, help="Folder of the results.")
@click.option(
    "--lpips",
    metavar="FILE",
    type=options.FILE,
    help="VGG16 with LPIPS, to compare by.  [default: EfficientNet-Lite0]",
)
@click.option(
    "--encoder",
    metavar="NAME|FILE",
    type=options.ENCODER,
    help="Of --space encoder.  [default: the generator's]",
)
@click.option(
    "--steps",
    type=options.WholeRange(1, 100_000),
    help="Steps of a search, at most.  [default: by space]",
)
@click.option(
    "--tuning-steps",
    default=350,
    show_default=True,
    type=options.WholeRange(1, 100_000),
    help="Steps of tuning, at most (pti).",
)
@click.option(
    "--batch",
    type=options.WholeRange(1, 1024),
    help="Faces at a time.  [default: up to 4]",
)
@options.mark
@options.device
@options.dry_run
@options.as_json
def project(space: str, dry_run: bool, as_json: bool, **given: Any) -> None:
    """Open the generator, then print the plan or put photos into its latent space."""
    from distill.devices import keep_freed_memory
    from distill.editing.project import (
        ProjectRequest,
        chosen_spaces,
        open_projection,
        plan_lines,
        project_photos,
    )
    from distill.editing.project_report import projection_json, table, warnings
    from distill.progress import Progress

    keep_freed_memory()  # before any thread begins
    job = open_projection(ProjectRequest(spaces=chosen_spaces(space), **given))
    if dry_run:
        click.echo("\n".join([*plan_lines(job), "dry run: nothing was written"]))
        return
    steps = job.steps_of_a_face * len(job.found.files)
    with Progress(steps, noun="step", keep=False) as progress:
        found = project_photos(job, advance=progress.advance, passed=progress.skip)
    if as_json:
        click.echo(json.dumps(projection_json(job, found), indent=2))
    else:
        for line in table(found.done, job.embedder.distance.name) if found.done else []:
            click.echo(line)
        if found.done:
            click.echo(f"{found.summary('projected')}{_where(job)}")
        for line in found.lines(all_faces=False):
            click.echo(line)
    options.tell(warnings(found.done, job.embedder.spread.drawn))
    found.check()


def _where(job: ProjectionJob) -> str:
    from distill.files import path_text

    generator = job.embedder.generator
    how = f"{generator.resolution}×{generator.resolution}, {generator.device.type}, {', '.join(job.spaces)}"
    out, sheet = path_text(job.request.out), path_text(job.request.out / "sheet.png")
    return f" ({how}) into {out}; all on one sheet: {sheet}"
