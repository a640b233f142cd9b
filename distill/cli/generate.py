"""`distill generate`: the main job."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from distill.cli import options
from distill.cli.tasks import task_recipe

if TYPE_CHECKING:
    from distill.devices import Precision
    from distill.generation.request import GenerateRequest


def above_0(most: float) -> click.FloatRange:
    return options.FiniteRange(0, most, min_open=True)


@click.command(short_help="Make a data set of triplets from a generator.")
@click.option(
    "--task",
    type=options.TEXT,
    required=True,
    help="style-mix, gender-swap, ageing, rejuvenation, attribute-swap, attributes, morph, region-swap,"
    " face-to-drawing, drawing-to-face.",
)
@click.option(
    "--n", type=int, required=True, metavar="N", help="Triplets or pairs to make: accepted ones count."
)
@click.option(
    "--out", type=options.PATH, help="Folder of the data set.  [default: data/TASK-GENERATOR-seedSEED]"
)
@click.option(
    "--shards",
    type=options.Span("-"),
    metavar="FIRST-LAST",
    help="Make these shards alone; distill merge joins all later.  [default: all]",
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
    help="style-mix: first layer of the style: half, fine, N, or LO-HI.  [default: half]",
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
    help="Where to move w; of several, age=FILE,….  [default: the generator's own]",
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
    help="attributes: the least change that counts.  [default: 0.25, age=6, yaw=8]",
)
@click.option("--strength", type=above_0(100), help="How far the outermost images are moved.  [default: 3]")
@click.option(
    "--scorer",
    type=options.TEXT,
    metavar="builtin|FILE",
    help="What reads the attribute off images.  [default: builtin]",
)
@click.option(
    "--min-confidence",
    type=options.FiniteRange(0.5, 1),
    help="gender-swap, attribute-swap: how sure both ends are.  [default: 0.9]",
)
@click.option(
    "--years",
    type=above_0(120),
    help="ageing, rejuvenation: years between the ends, as --min-gap.  [default: 20]",
)
@click.option(
    "--min-gap",
    type=above_0(1e9),
    help="Of values: least distance of the ends.  [default: 20 years, yaw 15 degrees]",
)
@click.option(
    "--max-identity-distance",
    type=above_0(10),
    help="Drop pairs further apart by dlib's descriptors; 0.6: one person.",
)
@click.option(
    "--max-outside-change",
    type=above_0(255),
    help="Mean change outside the face or part, grey levels.  [default: by --part]",
)
@click.option(
    "--part",
    type=options.TEXT,
    metavar="PART",
    help="region-swap: eyes, nose, mouth, face, hair, background or clothes.",
)
@click.option(
    "--regions",
    type=options.TEXT,
    metavar="FILE",
    help="region-swap: as of distill region.  [default: the generator's own]",
)
@click.option(
    "--shares",
    type=options.TEXT,
    metavar="FILE",
    help="region-swap: shares of distill region, for all pairs.  [default: each pair's]",
)
@click.option(
    "--min-inside-change",
    type=options.FiniteRange(0, 255),
    help="region-swap: least mean change in the part.  [default: by --part]",
)
@click.option(
    "--second-generator",
    type=options.TEXT,
    metavar="NAME|FILE|URL",
    help="Of faces and drawings: what draws the drawing.  [default: drawings]",
)
@click.option(
    "--pairing",
    type=click.Choice(["fresh", "ring", "shared", "embed"]),
    help="Of two faces: fresh or ring; of two generators: shared or embed.  [default: fresh; by the two]",
)
@click.option("--space", type=click.Choice(["w", "w+"]), help="Latent space of an embedding.  [default: w+]")
@click.option(
    "--steps",
    type=options.WholeRange(1, 10_000),
    help="Steps of an embedding; of region-swap.  [default: 1000; 20]",
)
@click.option(
    "--min-ssim",
    type=options.FiniteRange(-1, 1),
    help="Least SSIM of face and drawing.  [default: 0.6; of a shared w -1: all]",
)
@click.option(
    "--truncation-psi", type=options.FiniteRange(0, 2), help="Pull of w towards its mean.  [default: 0.7]"
)
@click.option(
    "--truncation-cutoff",
    type=options.WholeRange(1, 64),
    help="Layers that are pulled, from the first on.  [default: all]",
)
@click.option("--noise", type=click.Choice(["const", "none"]), help="Noise of every layer.  [default: const]")
@click.option(
    "--align",
    type=click.Choice(["gate", "ffhq", "chip", "none"]),
    help="How faces are framed.  [default: gate; none where no faces are drawn]",
)
@click.option(
    "--resolution", type=options.WholeRange(4, 16384), help="Stored size in px.  [default: the generator's]"
)
@options.codec("raw up to 128 px, else jpeg")
@click.option(
    "--latents",
    type=click.Choice(["float16", "float32"]),
    help="Number format of stored latents.  [default: float32]",
)
@click.option(
    "--shard-size",
    type=options.WholeRange(1, 100_000),
    help="Triplets per shard.  [default: 256; embeddings 8, region-swap 32]",
)
@click.option(
    "--batch-size",
    type=options.WholeRange(1, 1024),
    help="Candidates drawn at once.  [default: by device and size]",
)
@click.option(
    "--max-candidates",
    type=options.COUNT,
    help="Candidates after which a shard is given up.  [default: 20 a row]",
)
@options.workers
@click.option(
    "--cluster",
    metavar="WHERE",
    help="none, local, tcp://HOST:PORT, tls://…, SCHEDULER.json, slurm, pbs, lsf, sge, htcondor.",
)
@options.cluster_options
@options.device
@options.precision
@click.option(
    "--compile/--no-compile",
    "compiled",
    default=None,
    help="Compile the generator: minutes at first, kept on disk.  [default: no]",
)
@options.dry_run
@options.as_json
def generate(task: str, dry_run: bool, as_json: bool, **given: Any) -> None:
    """Make a data set of accepted triplets from a StyleGAN2 generator, as a folder of HDF5 shards.

    The same command resumes an interrupted run; a larger --n adds to it. The result does not depend on the number
    of workers.

    \b
    distill generate --task style-mix --n 256
    distill generate --task style-mix --n 25000 --generator ffhq-1024 --resolution 256 --out data/mix
    distill generate --task gender-swap --n 2000 --max-identity-distance 0.6
    distill generate --task attributes --attributes gender,age --n 5000
    distill generate --task attribute-swap --attribute smile --n 2000
    distill generate --task face-to-drawing --n 26000
    distill generate --task region-swap --part hair --n 1000
    """
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
