"""What the commands that train have in common."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import click

gpus = click.option(
    "--gpus", type=click.IntRange(min=1), help="GPUs of this machine, one process each.  [one]"
)
resume = click.option(
    "--resume", is_flag=True, help="Go on from the checkpoint in --out, where there is one."
)
minutes = click.option(
    "--minutes", type=click.FloatRange(min=0, min_open=True), help="Save and stop after so long."
)


def start_processes(gpus: int | None, *, dry_run: bool) -> None:
    """Turn into torchrun with a process per GPU where several are asked for."""
    if gpus is None or gpus == 1 or "LOCAL_RANK" in os.environ:
        return
    from distill.training.processes import check_gpus

    check_gpus(gpus)
    if not dry_run:
        runner = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={gpus}"]
        os.execv(sys.executable, [*runner, "-m", "distill", *sys.argv[1:]])


def print_facts(facts: dict[str, Any], *, as_json: bool) -> None:
    """Say what would be trained: parameters, images, epochs, device."""
    if as_json:
        click.echo(json.dumps(facts))
        return
    width = max(map(len, facts))
    for name, value in facts.items():
        click.echo(f"{name.replace('_', ' '):{width}}  {value}")
