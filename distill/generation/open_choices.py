"""What the user of `distill generate` left open: settled as is best here."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from distill.errors import DistillError

if TYPE_CHECKING:
    from distill.generation.job import Run
    from distill.generation.placement import Placement
    from distill.generation.plan import Plan

AUTO = "auto"
BATCH_SIZE, MAX_BATCH = 16, 1024


def count_or_auto(ctx: click.Context, param: click.Parameter, value: str | None) -> int | str | None:
    """Read an option that takes a whole number, or "auto"."""
    if value is None or value == AUTO:
        return value
    if not value.removeprefix("-").isdecimal():
        raise click.BadParameter(f"{value!r} is neither a whole number nor {AUTO!r}.", ctx=ctx, param=param)
    if not 1 <= int(value) <= MAX_BATCH:
        raise click.BadParameter(f"batch_size {value} is not from 1 to {MAX_BATCH}.", ctx=ctx, param=param)
    return int(value)


def compiles(plan: Plan, precision: str, options: dict[str, Any]) -> bool:
    """Tell whether to compile the generator: as the user says, else where it pays."""
    from distill.devices import resolve_device
    from distill.stylegan2.compiling import pays

    if options["compiled"] is None and runs_here(options):
        return pays(plan.recipe, plan.n, precision=precision, device=resolve_device(options["device"]))
    return bool(options["compiled"])


def runs_here(options: dict[str, Any]) -> bool:
    """Tell whether this machine is the one that draws; of a cluster's, nothing is known."""
    return options["cluster"] in (None, "none", "local")


def measures_batch(plan: Plan, placement: Placement, options: dict[str, Any]) -> bool:
    """Tell whether the batch size is to be measured before the first shard is made.

    Raises DistillError where that is asked for and the machines that draw are a cluster's.
    """
    from distill.generation.batch_size import pays
    from distill.generation.plan import recipe_there

    if options["batch_size"] not in (None, AUTO) or recipe_there(plan.folder):
        return False
    if not runs_here(options):
        if options["batch_size"] == AUTO:
            raise DistillError(
                f"--batch-size auto measures on this machine, and the workers of {options['cluster']} may be"
                " others: name a number"
            )
        return False
    return options["batch_size"] == AUTO or pays(plan.recipe, plan.n, device=placement.device)


def with_measured_batch(plan: Plan, run: Run, *, stop: threading.Event, quiet: bool) -> Run:
    """Return the run with the batch size that was measured; say so unless `quiet`."""
    from distill.generation.batch_size import Probe, choose, measure

    if not quiet:
        click.echo(
            "measuring the batch size first: up to a minute, seconds where that was done before", err=True
        )
    rows = min(plan.recipe.shard_size, plan.n)
    probe = Probe(
        recipe_json=plan.recipe.to_json(),
        source=run.source,
        device=run.device,
        precision=run.precision,
        direction=run.direction,
        threads=run.threads,
        workers=run.workers,
        rows=rows,
    )
    readings = measure(probe, gpus=run.devices, stop=stop)
    chosen = choose(readings, rows)
    if not quiet:
        click.echo(readings.line(chosen), err=True)
    return replace(run, batch_size=chosen.size)
