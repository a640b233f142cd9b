"""What the commands that train have in common."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import click


def device_of(options: dict[str, Any]) -> str:
    from distill.devices import resolve_device

    return resolve_device(options["device"])


def start_processes(options: dict[str, Any]) -> None:
    """Turn into torchrun with a process per GPU where several are asked for."""
    gpus = options["gpus"] or 1
    if gpus == 1 or "LOCAL_RANK" in os.environ:
        return
    from distill.training.processes import check_gpus

    check_gpus(gpus)
    if not options["dry_run"]:
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
