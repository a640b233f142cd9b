"""`distill generate`: the main job."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from distill.generation.open_choices import count_or_auto

if TYPE_CHECKING:
    from distill.generation.job import Run
    from distill.generation.placement import Placement
    from distill.generation.plan import Plan
    from distill.generation.request import Means
    from distill.progress import Progress

ABOVE_0 = click.FloatRange(min=0, min_open=True)


@click.command(short_help="Make a data set of triplets from a generator.")
@click.option(
    "--task", required=True, help="style-mix, gender-swap, ageing, rejuvenation or morph: kind of data set."
)
@click.option("--n", type=int, required=True, help="Accepted triplets (pairs) to make.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder  [default: data/TASK-GENERATOR-seedSEED]"
)
@click.option(
    "--generator", "source", default="portraits", show_default=True, help="Registry name, file, or https URL."
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--crossover", help="style-mix: half, fine, an index, or LO-HI drawn per candidate.  [default: half]"
)
@click.option(
    "--direction", metavar="NAME|FILE", help="Where to move w.  [default: the generator's own for the task]"
)
@click.option(
    "--strength", "delta", type=ABOVE_0, help="How far along it the outermost images lie.  [default: 3]"
)
@click.option("--scorer", metavar="builtin|FILE", help="Who scores the images.  [default: builtin]")
@click.option(
    "--min-confidence",
    type=click.FloatRange(0.5, 1),
    help="gender-swap: of both ends of a pair.  [default: 0.9]",
)
@click.option("--years", type=ABOVE_0, help="ageing, rejuvenation: between the ends.  [default: 20]")
@click.option(
    "--max-identity-distance", type=ABOVE_0, help="Of the dlib descriptors of a pair (0.6: one person)."
)
@click.option("--max-outside-change", type=ABOVE_0, help="Grey levels, on the mean outside the face.")
@click.option("--truncation-psi", type=float, help="Pull of w towards its mean.  [default: 0.7]")
@click.option("--truncation-cutoff", type=int, help="Layers that are pulled.  [default: all]")
@click.option("--noise", help="const or none.  [default: const]")
@click.option("--align", help="gate, ffhq, chip or none.  [default: gate; none where no faces are drawn]")
@click.option("--resolution", type=int, help="Stored size in px.  [default: the generator's]")
@click.option("--codec", help="raw, jpeg or webp.  [default: raw up to 128 px, else jpeg]")
@click.option("--latents", help="float16 or float32, as stored.  [default: float32]")
@click.option("--shard-size", type=int, help="Triplets per shard.  [default: 256]")
@click.option(
    "--batch-size",
    metavar="INTEGER|auto",
    callback=count_or_auto,
    help="Candidates drawn at once. auto measures.  [default: auto for 500 triplets or more of"
    " 256 px or more, or on a GPU; else 16]",
)
@click.option(
    "--max-candidates", type=click.IntRange(min=1), help="Give a shard up after so many.  [default: 20 a row]"
)
@click.option(
    "--workers", type=click.IntRange(min=1), help="Worker processes.  [default: one per GPU, else per core]"
)
@click.option("--cluster", help="none, local, tcp://HOST:PORT or SCHEDULER.json.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@click.option(
    "--precision",
    default="auto",
    show_default=True,
    help="auto, fp32, bf16 or fp16; auto is the fastest here.",
)
@click.option(
    "--compile/--no-compile",
    "compiled",
    default=None,
    help="Compile the generator: minutes at first, kept on disk.  [default: on a CPU, for"
    " 500 triplets or more in fp32, 5000 in bf16, of 256 px or more]",
)
@click.option("--dry-run", is_flag=True, help="Print the plan; make and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print plan or result as JSON.")
def generate(**options: Any) -> None:
    """Make a data set of accepted triplets from a StyleGAN2 generator, as a folder of HDF5 shards.

    The same command resumes an interrupted run; a larger --n adds to it. The result does not depend on the number
    of workers.

    \b
    distill generate --task style-mix --n 256
    distill generate --task style-mix --n 25000 --generator ffhq-1024 --resolution 256 --out data/mix
    distill generate --task gender-swap --n 2000 --max-identity-distance 0.6
    """
    from distill.cli.report import print_plan, print_result
    from distill.cli.signals import stop_on_signals
    from distill.devices import keep_freed_memory
    from distill.generation.job import Watch, run_job
    from distill.generation.open_choices import measures_batch, with_measured_batch
    from distill.generation.plan import plan_job
    from distill.generation.request import recipe_of
    from distill.timing import StageClock

    keep_freed_memory()  # before any thread begins
    recipe, means = recipe_of(options)
    folder, quiet = options["out"] or default_folder(options), options["as_json"]
    plan = plan_job(recipe, options["n"], folder)
    placement = placement_of(plan, options)
    measures = measures_batch(plan, placement, options)
    run, clock = run_of(plan, placement, means, options), StageClock()
    if options["dry_run"]:
        print_plan(plan, placement, run, batch_open=measures, as_json=quiet)
        return
    if not quiet:
        click.echo(opening_line(plan, placement), err=True)
    with stop_on_signals() as stop:
        if measures:
            run = with_measured_batch(plan, run, stop=stop, quiet=quiet)
        if run.compiled and not quiet:
            click.echo(
                "compiling the generator first: minutes, or seconds where it was done before", err=True
            )
        with progress_of(plan) as progress:
            watch = Watch(count=counted(progress), spent=clock.add, note=progress.note)
            reports = run_job(plan, run, stop=stop, watch=watch)
    print_result(plan, reports, progress, clock, as_json=quiet)


def run_of(plan: Plan, placement: Placement, means: Means, options: dict[str, Any]) -> Run:
    from distill.devices import resolve_precision
    from distill.generation.job import Run
    from distill.generation.open_choices import AUTO, BATCH_SIZE, compiles

    precision = resolve_precision(options["precision"], options["device"])
    size = options["batch_size"]
    return Run(
        source=options["source"],
        device=placement.device,
        direction=means.direction,
        scorer=means.scorer,
        cluster=placement.cluster,
        workers=placement.workers,
        devices=placement.devices,
        precision=precision,
        batch_size=BATCH_SIZE if size in (None, AUTO) else size,
        compiled=compiles(plan, precision, options),
        max_candidates=options["max_candidates"],
        threads=placement.threads,
    )


def placement_of(plan: Plan, options: dict[str, Any]) -> Placement:
    from dataclasses import replace

    from distill.devices import resolve_device, visible_devices
    from distill.generation.placement import place

    device = options["device"]
    visible = visible_devices() if device in ("auto", "cuda") else []
    placement = place(
        cluster=options["cluster"],
        workers=options["workers"],
        device=device,
        visible=visible,
        tasks=len(plan.todo),
    )
    if placement.cluster in ("none", "local"):
        return replace(placement, device=resolve_device(placement.device))
    return placement


def progress_of(plan: Plan) -> Progress:
    from distill.progress import Progress
    from distill.shards.summary import sample_word

    return Progress(plan.n, noun=sample_word(plan.recipe.roles), done=plan.rows_done)


def counted(progress: Progress) -> Callable[[int, int], None]:
    """Give what shows accepted rows, and the share of the tried candidates that they are."""
    tried = 0

    def count(accepted_now: int, tried_now: int) -> None:
        nonlocal tried
        tried += tried_now
        share = (progress.count + accepted_now) / max(tried, 1)
        progress.beside(f"{share:.0%} of candidates accepted")
        progress.advance(accepted_now)

    return count


def default_folder(options: dict[str, Any]) -> Path:
    """data/style-mix-portraits-seed0 and the like."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(options["source"]).stem).strip("-.") or "generator"
    return Path("data") / f"{options['task']}-{name}-seed{options['seed']}"


def opening_line(plan: Plan, placement: Placement) -> str:
    from distill.progress import plural
    from distill.shards.summary import sample_word

    recipe = plan.recipe
    there = f", {plan.rows_done} there already" if plan.rows_done else ""
    return (
        f"{recipe.task}: {plural(plan.n, sample_word(recipe.roles))} of {recipe.resolution} px from"
        f" {recipe.generator.name} into {plan.folder} ({plural(len(plan.rows), 'shard')}{there}),"
        f" by {placement.describe()}"
    )
