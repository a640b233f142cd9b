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
@click.option("--n", type=int, required=True, help="Accepted triplets (pairs) to make.")
@click.option("--out", type=options.PATH, help="Folder  [default: data/TASK-GENERATOR-seedSEED]")
@click.option(
    "--shards",
    type=options.Span("-"),
    metavar="FIRST-LAST",
    help="Make these alone; others are made elsewhere, and distill merge joins them.  [all]",
)
@click.option(
    "--generator",
    type=options.TEXT,
    default="portraits",
    show_default=True,
    help="Registry name, file, or https URL.",
)
@options.seed
@click.option(
    "--crossover",
    type=options.TEXT,
    help="style-mix: half, fine, an index, or LO-HI drawn per candidate.  [default: half]",
)
@click.option(
    "--attribute",
    type=options.TEXT,
    metavar="NAME",
    help="attribute-swap: what to change, such as smile: the generator has a direction of it, or --direction, and the"
    " scorer gives it.",
)
@click.option(
    "--direction",
    type=options.TEXT,
    metavar="NAME|FILE",
    help="Where to move w; of attributes AGE=FILE,….  [default: the generator's own for the task]",
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
    help="attributes: the least that counts.  [default: a probability 0.25, age=6, yaw=8]",
)
@click.option(
    "--strength", type=above_0(100), help="How far along it the outermost images lie.  [default: 3]"
)
@click.option(
    "--scorer", type=options.TEXT, metavar="builtin|FILE", help="Who scores the images.  [default: builtin]"
)
@click.option(
    "--min-confidence",
    type=options.FiniteRange(0.5, 1),
    help="gender-swap, attribute-swap of a probability: of both ends of a pair.  [default: 0.9]",
)
@click.option("--years", type=above_0(120), help="Of ages, as --min-gap.  [default: 20]")
@click.option(
    "--min-gap",
    type=above_0(1e9),
    help="ageing, rejuvenation, attribute-swap of a value: between the ends, in its unit.  [default: age 20, yaw 15]",
)
@click.option(
    "--max-identity-distance", type=above_0(10), help="Of the dlib descriptors of a pair (0.6: one person)."
)
@click.option(
    "--max-outside-change",
    type=above_0(255),
    help="Grey levels, on the mean outside the face, or the --part.  [default: of region-swap by part]",
)
@click.option(
    "--part",
    type=options.TEXT,
    metavar="PART",
    help="region-swap: what moves: eyes, nose, mouth, face, hair, background or clothes.",
)
@click.option(
    "--regions",
    type=options.TEXT,
    metavar="FILE",
    help="region-swap: where the part is, as for distill region.  [default: the generator's own]",
)
@click.option(
    "--shares",
    type=options.TEXT,
    metavar="FILE",
    help="region-swap: that distill region wrote, for all pairs: fast.  [default: looked for pair by pair]",
)
@click.option(
    "--min-inside-change",
    type=options.FiniteRange(0, 255),
    help="region-swap: grey levels, on the mean in the part.  [default: by part]",
)
@click.option(
    "--second-generator",
    type=options.TEXT,
    help="face-to-drawing, drawing-to-face: what draws the drawing, as --generator.  [default: drawings]",
)
@click.option(
    "--pairing",
    type=click.Choice(["fresh", "ring", "shared", "embed"]),
    help="Tasks of two faces: fresh ones for each triplet, or a ring of 16 that 16 triplets share, 1.5 times as fast."
    " Of two generators: the same w in both, or each face embedded into the second.  [default: fresh; shared where"
    " both map z to w alike, as a child does]",
)
@click.option("--space", type=click.Choice(["w", "w+"]), help="Of an embedding.  [default: w+]")
@click.option(
    "--steps",
    type=click.IntRange(1, 10_000),
    help="Of an embedding, at most; of the shares of region-swap.  [default: 1000; 20]",
)
@click.option(
    "--min-ssim",
    type=options.FiniteRange(-1, 1),
    help="Of face and drawing; -1 keeps all.  [default: 0.6; of a shared w -1]",
)
@click.option(
    "--truncation-psi", type=options.FiniteRange(0, 2), help="Pull of w towards its mean.  [default: 0.7]"
)
@click.option(
    "--truncation-cutoff", type=click.IntRange(1, 64), help="Layers that are pulled.  [default: all]"
)
@click.option("--noise", type=click.Choice(["const", "none"]), help="Of every layer.  [default: const]")
@click.option(
    "--align",
    type=click.Choice(["gate", "ffhq", "chip", "none"]),
    help="Of faces.  [default: gate; none where no faces are drawn]",
)
@click.option(
    "--resolution", type=click.IntRange(4, 16384), help="Stored size in px.  [default: the generator's]"
)
@options.codec("raw up to 128 px, else jpeg")
@click.option("--latents", type=click.Choice(["float16", "float32"]), help="As stored.  [default: float32]")
@click.option(
    "--shard-size",
    type=click.IntRange(1, 100_000),
    help="Triplets per shard.  [default: 256, of embeddings 8, of region-swap 32]",
)
@click.option(
    "--batch-size",
    type=click.IntRange(1, 1024),
    help="Candidates drawn at once; kept with the data set.  [default: by device and size]",
)
@click.option(
    "--max-candidates", type=options.COUNT, help="Give a shard up after so many.  [default: 20 a row]"
)
@options.workers
@click.option(
    "--cluster",
    help="none, local, tcp:// or tls://HOST:PORT, SCHEDULER.json; slurm, pbs, lsf, sge, htcondor submit worker jobs.",
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
