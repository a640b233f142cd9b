"""What `distill generate` prints: the plan before, the result after."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

import click

from distill.generation.batch_queue import SUBMIT
from distill.generation.estimate import estimate
from distill.generation.job import GenerationRun
from distill.generation.plan import SAFETY, ShardPlan
from distill.progress import Progress, command_text, plural, rate_text, size_text
from distill.shards.folder import ShardReport
from distill.shards.summary import edit_text, sample_word
from distill.stylegan2.facts import Teacher
from distill.timing import StageClock, clock


def opening_line(run: GenerationRun) -> list[str]:
    """Say in a line what is going to be made, and in others what a user should know before."""
    plan, recipe = run.plan, run.plan.recipe
    second = recipe.edit.second
    generators = f"{recipe.generator.name} and {second.name}" if second else recipe.generator.name
    there = f", {plan.rows_done} there already" if plan.rows_done else ""
    lines = [
        f"{recipe.task}: {plural(plan.n, sample_word(recipe.roles))} of {recipe.resolution} px from"
        f" {generators} into {plan.folder} ({plural(len(plan.rows), 'shard')}{there}),"
        f" by {run.placement.describe()}"
    ]
    if run.note:
        lines.append(run.note)
    if run.conditions.compiled:
        lines.append("compiling the generator first: minutes, or seconds where it was done before")
    return lines


def print_plan(run: GenerationRun, *, as_json: bool) -> None:
    """Print what a run would make, whether it fits on the disk, and about how long it takes."""
    time = estimate(run)
    script = script_of(run)
    plan, placement, drawn = run.plan, run.placement, run.conditions
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
        "seconds": time.seconds,
        "cluster": placement.cluster,
        "workers": placement.workers,
        "device": placement.device,
        **({"job_script": script} if script else {}),
        "conditions": drawn.model_dump(mode="json"),
        "recipe": plan.recipe.model_dump(mode="json"),
    }
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return
    verdict = "fits" if fits else "DOES NOT FIT"
    word = sample_word(plan.recipe.roles)
    lines = [
        f"folder      {plan.folder}  (digest {plan.recipe.digest})",
        f"generator   {_generator_text(plan.recipe.generator)}",
        *([f"second      {_generator_text(second)}"] if (second := plan.recipe.edit.second) else []),
        f"{word + 's':<11} {plan.n} of {plan.recipe.resolution} px as {plan.recipe.codec}",
        f"edit        {edit_text(plan.recipe.model_dump(mode='json'))}",
        f"shards      {len(plan.rows)} of up to {plan.recipe.shard_size};"
        f" {len(plan.done)} with {plan.rows_done} {word}s are there already",
        f"disk        about {size_text(plan.bytes_needed)} needed, {size_text(plan.bytes_free)} free: {verdict}",
        f"workers     {placement.describe()}",
        f"time        {time.text()}",
        f"drawn       {drawn.batch_size} at once in {drawn.precision}{', compiled' if drawn.compiled else ''}",
    ]
    if script:
        lines += ["", f"job         each is submitted by {SUBMIT[placement.cluster]}:", script.rstrip()]
    click.echo("\n".join(lines))


def script_of(run: GenerationRun) -> str:
    """Return the script of a worker job, where the workers are jobs of a batch system."""
    if run.placement.jobs is None:
        return ""
    from distill.generation.cluster_jobs import job_script  # dask takes a second to import

    return job_script(run.placement.jobs)


def _generator_text(facts: Teacher) -> str:
    return f"{facts.name}, {facts.resolution} px, sha256 {facts.sha256[:12]}…"


def print_result(
    plan: ShardPlan,
    reports: Sequence[ShardReport],
    progress: Progress,
    stages: StageClock,
    *,
    as_json: bool,
) -> None:
    """Print what is on disk now: rows, acceptance, size, rate, where the time went, and what to do next."""
    rows, tried, size = (
        sum(getattr(report, name) for report in reports) for name in ("rows", "tried", "bytes")
    )
    dropped = Counter[str]()
    for report in reports:
        dropped.update(report.dropped)
    if as_json:
        facts = {
            "folder": str(plan.folder),
            "n": plan.n,
            "rows": rows,
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
        f"{plan.folder}: {plural(rows, word)} in {plural(len(reports), 'shard')}, {size_text(size)};"
        f" {rows / tried:.1%} of {tried} candidates accepted"
    )
    for reason, count in dropped.most_common():
        click.echo(f"  dropped {count:6d}  {count / tried:6.1%}  {reason}")
    if progress.count:
        seconds = progress.seconds
        click.echo(f"  made {progress.count:.0f} in {clock(seconds)}: {rate_text(progress.rate)}")
    if line := stages.line():
        click.echo(f"  {line}")
    click.echo(_next_step(plan))


def _next_step(plan: ShardPlan) -> str:
    if plan.is_part:
        return f"a part of {plural(len(plan.rows), 'shard')}: distill merge joins it with the others"
    return f"look at them: {command_text('distill', 'inspect', plan.folder)}"
