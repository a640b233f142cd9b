"""`distill generate`: the main job."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from distill.cli import help_texts, options
from distill.cli.tasks import task_recipe

if TYPE_CHECKING:
    from distill.devices import Precision
    from distill.generation.request import GenerateRequest


def above_0(most: float) -> click.FloatRange:
    return options.FiniteRange(0, most, min_open=True)


@click.command(help=help_texts.GENERATE, short_help="Make a data set of triplets from a generator.")
@click.option(
    "--task",
    type=options.TEXT,
    required=True,
    help="What kind of data set: a task of the list above.",
)
@click.option("--n", type=int, required=True, metavar="N", help="Accepted triplets or pairs to make.")
@click.option(
    "--out", type=options.PATH, help="Folder of the data set.  [default: data/TASK-GENERATOR-seedSEED]"
)
@click.option(
    "--shards",
    type=options.Span("-"),
    metavar="FIRST-LAST",
    help="Make these shards only; see distill merge.  [default: all]",
)
@click.option(
    "--generator",
    type=options.TEXT,
    default="portraits",
    show_default=True,
    metavar="NAME|FILE|URL",
    help="The teacher; see 'distill weights list'.",
)
@options.seed
@click.option(
    "--crossover",
    type=options.TEXT,
    metavar="half|fine|N|LO-HI",
    help="style-mix: first layer with the style's w.  [default: half]",
)
@click.option(
    "--attribute",
    type=options.TEXT,
    metavar="NAME",
    help="attribute-swap: what to change, such as smile.",
)
@click.option(
    "--direction",
    type=options.TEXT,
    metavar="NAME|FILE",
    help="Where to move w; several: age=FILE,….  [default: the teacher's]",
)
@click.option(
    "--attributes",
    type=options.TEXT,
    metavar="NAME,…",
    help="attributes: which to change, such as gender,age.",
)
@click.option(
    "--min-change",
    type=options.TEXT,
    metavar="NAME=X,…",
    help="attributes: least change to keep.  [default: 0.25, age=6, yaw=8]",
)
@click.option("--strength", type=above_0(100), help="How far the outermost images move.  [default: 3]")
@click.option(
    "--scorer",
    type=options.TEXT,
    metavar="builtin|FILE",
    help="What reads the attribute off a face.  [default: builtin]",
)
@click.option(
    "--min-confidence",
    type=options.FiniteRange(0.5, 1),
    help="Of classes: how sure both ends are.  [default: 0.9]",
)
@click.option(
    "--years",
    type=above_0(120),
    help="ageing, rejuvenation: as --min-gap.  [default: 20]",
)
@click.option(
    "--min-gap",
    type=above_0(1e9),
    help="Of values: least gap.  [default: 20 years, 15° of yaw]",
)
@click.option(
    "--max-identity-distance",
    type=above_0(10),
    help="Drop pairs further apart (dlib; 0.6: one person).",
)
@click.option(
    "--max-outside-change",
    type=above_0(1),
    help="Most change outside the part.  [default: by --part]",
)
@click.option(
    "--part",
    type=options.TEXT,
    metavar="PART",
    help="region-swap: eyes, nose, mouth, face, hair, background, clothes.",
)
@click.option(
    "--regions",
    type=options.TEXT,
    metavar="FILE",
    help="region-swap: file of distill regions.  [default: the teacher's]",
)
@click.option(
    "--shares",
    type=options.TEXT,
    metavar="FILE",
    help="region-swap: file of distill region.  [default: each pair's own]",
)
@click.option(
    "--min-inside-change",
    type=options.FiniteRange(0, 1),
    help="Least change in the part.  [default: by --part]",
)
@click.option(
    "--second-generator",
    type=options.TEXT,
    metavar="NAME|FILE",
    help="What draws the drawings.  [default: drawings]",
)
@click.option(
    "--pairing",
    type=click.Choice(["fresh", "ring", "shared", "embed"]),
    metavar="HOW",
    help="fresh or ring; of drawings shared or embed.  [default: by task]",
)
@click.option("--space", type=click.Choice(["w", "w+"]), help="Latent space of an embedding.  [default: w+]")
@click.option(
    "--steps",
    type=options.WholeRange(1, 10_000),
    help="Search steps.  [default: 1000; region-swap 20]",
)
@click.option(
    "--min-ssim",
    type=options.FiniteRange(-1, 1),
    help="Least SSIM of a pair.  [default: 0.6; shared: -1]",
)
@click.option(
    "--truncation-psi", type=options.FiniteRange(0, 2), help="Pull of w towards its mean.  [default: 0.7]"
)
@click.option(
    "--truncation-cutoff",
    type=options.WholeRange(1, 64),
    help="Pull only the first N layers.  [default: all]",
)
@click.option("--noise", type=click.Choice(["const", "none"]), help="Noise of every layer.  [default: const]")
@click.option(
    "--align",
    type=click.Choice(["gate", "ffhq", "chip", "none"]),
    help="How faces are framed.  [default: gate; without faces none]",
)
@click.option(
    "--resolution", type=options.WholeRange(4, 16384), help="Stored size in px.  [default: the generator's]"
)
@options.codec("raw; jpeg >128 px")
@click.option(
    "--latents",
    type=click.Choice(["float16", "float32"]),
    help="Number format of stored latents.  [default: float32]",
)
@click.option(
    "--shard-size",
    type=options.WholeRange(1, 100_000),
    help="Triplets in a shard.  [default: by task]",
)
@click.option(
    "--batch-size",
    type=options.WholeRange(1, 1024),
    help="Candidates at once.  [default: by device and size]",
)
@click.option(
    "--max-candidates",
    type=options.COUNT,
    help="Most candidates of a shard.  [default: 20 a row]",
)
@options.workers
@click.option(
    "--cluster",
    metavar="WHERE",
    help="none, local, an address, or a batch system: see above.",
)
@options.cluster_options
@options.device
@options.precision
@click.option(
    "--compile/--no-compile",
    "compiled",
    default=None,
    help="Compile the generator: minutes, once.  [default: no]",
)
@options.dry_run
@options.as_json
def generate(task: str, dry_run: bool, as_json: bool, **given: Any) -> None:
    """Prepare the request, then print the plan or make the data set."""
    from distill.cli.report import opening_line, print_plan, print_result
    from distill.cli.signals import stop_on_signals
    from distill.devices import keep_freed_memory
    from distill.generation.job import RunCallbacks, prepare, run_job
    from distill.progress import Progress
    from distill.shards.summary import sample_word
    from distill.timing import StageClock

    keep_freed_memory()  # before any thread begins
    run = prepare(request_of(task, **given))
    if dry_run:
        print_plan(run, as_json=as_json)
        return
    if not as_json:
        click.echo("\n".join(opening_line(run)), err=True)
    clock, noun = StageClock(), sample_word(run.plan.recipe.roles)
    rows = sum(run.plan.rows[index] for index in run.plan.at_end)
    with (
        stop_on_signals() as stop,
        Progress(rows, noun=noun, done=run.plan.rows_done) as progress,
    ):
        reports = run_job(run, stop=stop, callbacks=RunCallbacks.shown(progress, clock))
    print_result(run.plan, reports, progress, clock, as_json=as_json)


def request_of(
    task: str,
    *,
    n: int,
    out: Path | None,
    shards: tuple[int, int] | None,
    generator: str,
    precision: Precision,
    batch_size: int | None,
    compiled: bool | None,
    max_candidates: int | None,
    workers: int | None,
    cluster: str | None,
    tls_ca: Path | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    dashboard: bool,
    device: str,
    **choices: Any,
) -> GenerateRequest:
    """Gather the options of the command; `choices` are about worker jobs, or change the recipe of the task."""
    from distill.generation.batch_queue import JobSettings
    from distill.generation.cluster_settings import tls_files
    from distill.generation.conditions import ChosenConditions
    from distill.generation.request import GenerateRequest, TaskChoices

    of_jobs = {field.name: choices.pop(field.name) for field in fields(JobSettings)}
    return GenerateRequest(
        task=task_recipe(task),
        n=n,
        generator=generator,
        out=out,
        shards=shards,
        choices=TaskChoices(**choices),
        conditions=ChosenConditions(precision=precision, batch_size=batch_size, compiled=compiled),
        max_candidates=max_candidates,
        workers=workers,
        cluster=cluster,
        jobs=JobSettings(**of_jobs),
        tls=tls_files(tls_ca, tls_cert, tls_key, cluster),
        dashboard=dashboard,
        device=device,
    )
