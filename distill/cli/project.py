"""`distill project`: put a person's own photos into the latent space of a generator."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from distill.cli import options

if TYPE_CHECKING:
    from distill.editing.project import ProjectionJob


@click.command("project")
@options.photos
@click.option(
    "--generator",
    default="portraits",
    show_default=True,
    metavar="NAME|FILE|URL",
    help="See 'distill weights list'.",
)
@click.option(
    "--space",
    default="w+",
    show_default=True,
    metavar="w|w+|pti|encoder",
    help="w: one latent, edits best. w+: one a layer, comes nearer. pti: w, and the generator tuned to the photo, "
    "nearest. encoder: w+ by --encoder, in milliseconds. Several: w,w+,pti.",
)
@click.option("--out", required=True, metavar="DIR", type=options.PATH, help="Where the results go.")
@click.option(
    "--lpips",
    metavar="FILE",
    type=options.FILE,
    help="Compare by LPIPS: VGG16 with its weights, as of the package lpips; of a TorchScript archive only tensors "
    "are read. W is then looked for as NVIDIA's projector does.  [default: EfficientNet-Lite0]",
)
@click.option(
    "--encoder",
    metavar="NAME|FILE",
    type=options.ENCODER,
    help="For --space encoder: one of distill weights list, or a file of distill train-encoder.  [default: the one "
    "that comes with distill for the generator]",
)
@click.option(
    "--steps",
    type=options.WholeRange(1, 100_000),
    help="Most steps of looking for a latent.  [default: w and pti 450, w+ 300; with --lpips w 1000]",
)
@click.option(
    "--tuning-steps",
    default=350,
    show_default=True,
    type=options.WholeRange(1, 100_000),
    help="Most steps of tuning the generator (pti).",
)
@click.option(
    "--batch",
    type=options.WholeRange(1, 1024),
    help="Faces at a time.  [default: 4, or as many as there are photos]",
)
@options.mark
@options.device
@options.dry_run
@options.as_json
def project(space: str, dry_run: bool, as_json: bool, **given: Any) -> None:
    """Find the latent of the largest face in each of PHOTOS (files and folders), as DIR/NAME.npz.

    A face is found, turned upright and cut out as by `distill align`. NAME.npz holds w, [1, layers, width]; NAME.json
    says how near it came; NAME.png is drawn from it, DIR/compare/NAME.png beside the photo, and DIR/sheet.png shows
    all. With several spaces they lie in DIR/w, DIR/w+ and DIR/pti. A search ends early where it stalls. The same
    command goes on where one stopped: only what is missing is done.

    \b
    distill project me.jpg you.jpg --out projected
    distill project holiday/ --space encoder --out projected
    distill project me.jpg --generator ffhq-1024 --space w+,pti --out projected
    """
    from distill.devices import keep_freed_memory
    from distill.editing.project import (
        ProjectRequest,
        chosen_spaces,
        open_projection,
        plan_lines,
        project_photos,
        projection_json,
    )
    from distill.editing.project_report import table, warnings
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
