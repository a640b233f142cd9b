"""What `distill generate` prints: the plan before, the result after."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

import click

from distill.files import size_text
from distill.generation.edit_settings import DirectionSettings, MorphSettings, StyleMixSettings
from distill.generation.job import Run
from distill.generation.placement import Placement
from distill.generation.plan import SAFETY, Plan
from distill.generation.recipe import Recipe
from distill.progress import Progress, plural
from distill.shards.folder import ShardReport
from distill.shards.summary import edit_text, sample_word
from distill.timing import StageClock, clock


def print_plan(plan: Plan, placement: Placement, run: Run, *, batch_open: bool, as_json: bool) -> None:
    """Print what a run would make, and whether it fits on the disk.

    `batch_open`: the run would first measure its batch size.
    """
    fits = plan.bytes_needed * SAFETY <= plan.bytes_free
    facts = {
        "folder": str(plan.folder),
        "digest": plan.recipe.digest,
        "n": plan.n,
        "shards": len(plan.rows),
        "shards_done": len(plan.done),
        "rows_done": plan.rows_done,
        "bytes_needed": plan.bytes_needed,
        "bytes_free": plan.bytes_free,
        "fits": fits,
        "cluster": placement.cluster,
        "workers": placement.workers,
        "device": placement.device,
        "precision": run.precision,
        "batch_size": None if batch_open else run.batch_size,
        "compiled": run.compiled,
        "recipe": plan.recipe.model_dump(mode="json"),
    }
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return
    verdict = "fits" if fits else "DOES NOT FIT"
    drawn = "a measured number" if batch_open else run.batch_size
    word = sample_word(plan.recipe.roles)
    lines = [
        f"folder      {plan.folder}  (digest {plan.recipe.digest})",
        f"generator   {plan.recipe.generator.name}, {plan.recipe.generator.resolution} px,"
        f" sha256 {plan.recipe.generator.sha256[:12]}…",
        f"{word + 's':<11} {plan.n} of {plan.recipe.resolution} px as {plan.recipe.codec}",
        f"edit        {edit_line(plan.recipe)}",
        f"shards      {len(plan.rows)} of up to {plan.recipe.shard_size};"
        f" {len(plan.done)} with {plan.rows_done} {word}s are there already",
        f"disk        about {size_text(plan.bytes_needed)} needed, {size_text(plan.bytes_free)} free: {verdict}",
        f"workers     {placement.describe()}",
        f"drawn       {drawn} at once in {run.precision}{', compiled' if run.compiled else ''}",
    ]
    click.echo("\n".join(lines))


def edit_line(recipe: Recipe) -> str:
    """Say in a few words what is done to the latents."""
    match recipe.edit:
        case StyleMixSettings(crossover=crossover):
            return f"style mix, crossover {crossover.lo}-{crossover.hi} of {recipe.generator.num_ws}"
        case MorphSettings():
            return "morph: the mean of two w"
        case DirectionSettings(sha256=sha256):
            return f"{edit_text(recipe.model_dump(mode='json'))} (sha256 {sha256[:12]}…)"


def print_result(
    plan: Plan,
    reports: Sequence[ShardReport],
    progress: Progress,
    stages: StageClock,
    *,
    as_json: bool,
) -> None:
    """Print what is on disk now: rows, acceptance, size, rate, where the time went, and what to do next."""
    tried = sum(report.tried for report in reports)
    dropped = Counter[str]()
    for report in reports:
        dropped.update(report.dropped)
    size = sum(report.bytes for report in reports)
    if as_json:
        facts = {
            "folder": str(plan.folder),
            "n": plan.n,
            "shards": len(reports),
            "tried": tried,
            "dropped": dict(sorted(dropped.items())),
            "bytes": size,
            "made_now": round(progress.count),
            "rows_per_second": progress.rate,
            "seconds": {name: round(value, 3) for name, value in stages.seconds.items()},
        }
        click.echo(json.dumps(facts, indent=2))
        return
    word = sample_word(plan.recipe.roles)
    click.echo(
        f"{plan.folder}: {plural(plan.n, word)} in {plural(len(reports), 'shard')}, {size_text(size)};"
        f" {plan.n / tried:.1%} of {tried} candidates accepted"
    )
    for reason, count in dropped.most_common():
        click.echo(f"  dropped {count:6d}  {count / tried:6.1%}  {reason}")
    if progress.count:
        seconds = progress.seconds
        click.echo(f"  made {progress.count:.0f} in {clock(seconds)}: {progress.rate:.1f} {word}s/s")
    if line := stages.line():
        click.echo(f"  {line}")
    click.echo(f"look at them: distill inspect {plan.folder}")
