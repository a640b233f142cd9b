"""What the user of `distill generate` left open: settled as the data set was begun, else as is best here."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from distill.errors import DistillError

if TYPE_CHECKING:
    from distill.generation.job import Run
    from distill.generation.placement import Placement
    from distill.generation.plan import Plan
    from distill.generation.recipe import Recipe

AUTO = "auto"


def count_or_auto(ctx: click.Context, param: click.Parameter, value: str | None) -> int | str | None:
    """Read an option that takes a whole number, or "auto"."""
    if value is None or value == AUTO:
        return value
    if not value.removeprefix("-").isdecimal():
        raise click.BadParameter(f"{value!r} is neither a whole number nor {AUTO!r}.", ctx=ctx, param=param)
    return int(value)


def as_begun(recipe: Recipe, folder: Path, options: dict[str, Any]) -> Recipe:
    """Take what the user left open from the data set that was begun in the folder; without one, choose `compiled`."""
    from distill.devices import resolve_device
    from distill.generation.plan import recipe_there
    from distill.stylegan2.compiling import pays

    there, settled = recipe_there(folder), dict[str, Any]()
    if options["compiled"] is None and there:
        settled["compiled"] = there.compiled
    elif options["compiled"] is None and runs_here(options):
        settled["compiled"] = pays(recipe, options["n"], device=resolve_device(options["device"]))
    if options["batch_size"] in (None, AUTO) and there:
        settled["batch_size"] = there.batch_size
    return recipe.model_copy(update=settled)


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


def with_measured_batch(plan: Plan, run: Run, *, stop: threading.Event, quiet: bool) -> Plan:
    """Return the plan with the batch size that was measured; say so unless `quiet`."""
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
        direction=run.direction,
        threads=run.threads,
        workers=run.workers,
        rows=rows,
    )
    readings = measure(probe, gpus=run.devices, stop=stop)
    chosen = choose(readings, rows)
    if not quiet:
        click.echo(readings.line(chosen), err=True)
    return replace(plan, recipe=plan.recipe.model_copy(update={"batch_size": chosen.size}))
