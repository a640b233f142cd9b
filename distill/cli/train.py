"""`distill train-NAME`: one command for each row of the table of trainers, with the same options for all."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

from distill.cli import options
from distill.cli.signals import stop_on_signals
from distill.cli.train_flags import DATA_OF, FLAGS
from distill.cli.train_help import ABOUT
from distill.files import path_text
from distill.training.trainers import TRAINERS

if TYPE_CHECKING:
    from distill.training.trainer import TrainingResult

PATH, POSITIVE = options.PATH, options.POSITIVE

DATA = click.option("--data", type=PATH, required=True, help="What to train on.")
FIRST = (
    click.option("--out", type=PATH, required=True, help="Folder of the run."),
    click.option("--preset", help="Named settings; a wrong name lists all.  [default: the model's]"),
)
COMMON = (
    click.option(
        "--set",
        "changes",
        multiple=True,
        metavar="NAME=VALUE",
        help="Change any setting of the preset; --dry-run shows them all.",
    ),
    click.option("--resume", is_flag=True, help="Go on from the checkpoint in --out, where there is one."),
    click.option("--minutes", type=POSITIVE, help="Save and stop after so many minutes."),
    options.seed,
    click.option(
        "--features",
        default="auto",
        show_default=True,
        help="Features of the score; see above.",
    ),
    click.option(
        "--score-images",
        type=options.WholeRange(2, options.MAX_COUNT),
        default=1000,
        show_default=True,
        help="Images that a score takes, at most.",
    ),
    click.option(
        "--tick-kimg",
        type=POSITIVE,
        help="Thousand samples between stats.  [default: by preset]",
    ),
    click.option(
        "--snapshot-kimg", type=POSITIVE, help="Thousand samples between pictures.  [default: by preset]"
    ),
    click.option(
        "--save-kimg", type=POSITIVE, help="Thousand samples between checkpoints.  [default: by preset]"
    ),
    click.option(
        "--score-kimg", type=POSITIVE, help="Thousand samples between scores.  [default: by preset]"
    ),
    click.option(
        "--log",
        type=click.Choice(["wandb"]),
        help="Log to Weights & Biases too, beside TensorBoard.",
    ),
    click.option(
        "--gpus",
        type=options.WholeRange(1, options.MAX_WORKERS),
        help="GPUs of this machine, a process each.  [default: 1]",
    ),
    options.device,
    options.precision,
    options.dry_run,
    options.as_json,
)


def training_command(name: str) -> click.Command:
    """Make the command of a trainer: what all share, and the flags of its own, which are settings by name."""

    def command(
        gpus: int | None, device: str, dry_run: bool, as_json: bool, changes: tuple[str, ...], **given: Any
    ) -> None:
        train(name, gpus=gpus, device=device, dry_run=dry_run, as_json=as_json, changes=changes, given=given)

    command.__doc__ = ABOUT.get(name, TRAINERS[name][1])
    decorated: Callable[..., None] = command
    for option in reversed((DATA_OF.get(name, DATA), *FIRST, *FLAGS.get(name, ()), *COMMON)):
        decorated = option(decorated)
    return click.command(f"train-{name}", short_help=TRAINERS[name][1])(decorated)


def train(
    name: str,
    *,
    gpus: int | None,
    device: str,
    dry_run: bool,
    as_json: bool,
    changes: tuple[str, ...],
    given: Mapping[str, Any],
) -> None:
    """Make the request, train, and print how it ended; several GPUs first become as many processes."""
    from distill.devices import resolve_device
    from distill.training.estimate import time_text
    from distill.training.processes import process_group, rank
    from distill.training.request import TrainRequest
    from distill.training.run import open_training, run_training
    from distill.training.settings import parse_changes
    from distill.training.trainers import open_trainer

    start_processes(gpus, dry_run=dry_run)
    known = {field.name for field in fields(TrainRequest)}
    flags = {key: value for key, value in given.items() if key not in known and value is not None}
    request = TrainRequest(
        **{key: value for key, value in given.items() if key in known}, changes=flags | parse_changes(changes)
    )
    trainer = open_trainer(name)
    with process_group(resolve_device(device)) as own_device:
        if dry_run:
            with open_training(trainer, request, device=own_device, note=noted) as training:
                facts = training.facts() | {"time": time_text(training)}
            if rank() == 0:
                print_facts(facts, as_json=as_json)
            return
        with stop_on_signals() as stop:
            result = run_training(trainer, request, device=own_device, stop=stop, quiet=as_json)
        if rank() == 0:
            click.echo(json.dumps(result_facts(result)) if as_json else summary(result))


def start_processes(gpus: int | None, *, dry_run: bool) -> None:
    """Turn into torchrun with a process per GPU where several are asked for."""
    if gpus is None or "LOCAL_RANK" in os.environ:
        return
    from distill.devices import resolve_device
    from distill.progress import plural
    from distill.training.processes import check_gpus

    if dry_run and resolve_device("auto") == "cpu":
        noted(
            f"there is no GPU here: the time is that of one process on the CPU, not of {plural(gpus, 'GPU')}"
        )
        return
    check_gpus(gpus)
    if gpus > 1 and not dry_run:
        runner = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={gpus}"]
        os.execv(sys.executable, [*runner, "-m", "distill", *sys.argv[1:]])


def noted(line: str) -> None:
    click.echo(path_text(line), err=True)


def print_facts(facts: Mapping[str, object], *, as_json: bool) -> None:
    """Say what would be trained: data, parameters, epochs, every setting, device."""
    if as_json:
        click.echo(json.dumps(facts))
        return
    width = max(map(len, facts))
    for name, value in facts.items():
        click.echo(path_text(f"{name:{width}}  {value}"))


def result_facts(result: TrainingResult) -> dict[str, object]:
    return {
        "weights": str(result.weights),
        "page": str(result.page),
        "kimg": result.kimg,
        "planned_kimg": result.planned_kimg,
        "scores": dict(result.scores),
    }


def summary(result: TrainingResult) -> str:
    """Where the weights are and how good; a second line where --minutes ended the run."""
    from distill.training.position import kimg_text

    scores = ", ".join(f"{name} {value:.4g}" for name, value in result.scores.items() if name != "kimg")
    at = f"best at {kimg_text(1000 * result.scores['kimg'])} kimg: " if "kimg" in result.scores else ""
    found = f"; {at}{scores}" if scores else ""
    weights, page = path_text(result.weights), path_text(result.page)
    line = f"{weights}: {kimg_text(1000 * result.kimg)} kimg{found}; look at {page}"
    if result.kimg >= result.planned_kimg:
        return line
    at, whole = (kimg_text(1000 * kimg) for kimg in (result.kimg, result.planned_kimg))
    return f"{line}\nstopped by --minutes at {at} of {whole} kimg; the same command with --resume goes on from there"
