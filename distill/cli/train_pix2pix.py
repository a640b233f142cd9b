"""`distill train-pix2pix`: make a student from a data set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from distill.cli import options, trainers
from distill.cli.signals import stop_on_signals
from distill.cli.trainers import print_facts, start_processes

PRESETS = ("seed", "paper", "demo")
PERCEPTUAL = ("efficientnet_lite0", "vgg19", "none")
POSITIVE = click.FloatRange(min=0, min_open=True)
COUNT = click.IntRange(min=1)


@click.command("train-pix2pix", short_help="Train a student (Pix2PixHD) on a data set.")
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder of distill generate.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the run.")
@click.option("--preset", type=click.Choice(PRESETS), help="[seed; for images below 256 px: demo]")
@click.option("--constant-epochs", type=click.FloatRange(min=0), help="At the full learning rate.  [preset]")
@click.option(
    "--decay-epochs", type=click.FloatRange(min=0), help="Of linear decay to 0 after them.  [preset]"
)
@click.option("--warm-up-epochs", type=click.FloatRange(min=0),
              help="The first of all these learn from the distance of pixels alone.  [preset]")  # fmt: skip
@trainers.resume
@trainers.minutes
@options.seed
@click.option("--resolution", type=COUNT, help="Side in px, a divisor of the stored one.  [preset]")
@click.option("--inputs", metavar="ROLE,…", help="Images that go in.  [the recipe's]")
@click.option("--target", metavar="ROLE", help="Image to learn.  [the recipe's]")
@click.option("--init", type=click.Path(path_type=Path), metavar="FILE",
              help="Start from this generator: .pth as published, or safetensors.")  # fmt: skip
@click.option("--batch", type=COUNT, help="Triplets of one update, all GPUs together.  [preset]")
@click.option("--accumulate", type=COUNT, default=1, show_default=True,
              help="Take a batch in so many parts: less memory; same result with --norm instance.")  # fmt: skip
@click.option("--lean", is_flag=True, help="Compute residual blocks twice: less memory, more time.")
@click.option("--lr", type=click.FloatRange(0, 1, min_open=True), help="Learning rate of Adam.  [preset]")
@click.option("--ngf", type=COUNT, help="Channels of the generator at full size.  [preset]")
@click.option("--downsamplings", type=click.IntRange(min=0), help="Halvings in it.  [preset]")
@click.option("--blocks", type=click.IntRange(min=0), help="Residual blocks in it.  [preset]")
@click.option("--enhancers", type=click.IntRange(0, 3), help="Local enhancers around it.  [preset]")
@click.option("--norm", type=click.Choice(["instance", "batch"]),
              help="Normalisation in it; instance cannot see how bright an input is.  [preset]")  # fmt: skip
@click.option("--ndf", type=COUNT, help="Channels of the discriminator at full size.  [preset]")
@click.option("--feature-matching", type=click.FloatRange(min=0), help="Weight of that loss.  [preset]")
@click.option("--perceptual", type=click.Choice(PERCEPTUAL),
              help="Features of that loss.  [efficientnet_lite0 where installed]")  # fmt: skip
@click.option("--perceptual-weight", type=click.FloatRange(min=0), help="Weight of that loss.  [preset]")
@click.option(
    "--vgg19", type=click.Path(path_type=Path), help="File of vgg19.  [distill weights fetch vgg19]"
)
@click.option("--l1-weight", type=click.FloatRange(min=0), help="Weight of the distance of pixels.  [preset]")
@click.option("--augment", metavar="KIND,…", help="Of flip, crop, geometry, colour; or none.  [all]")
@click.option("--val-fraction", type=click.FloatRange(0, 1, max_open=True), default=0.05, show_default=True,
              help="Part of the faces that is held out for scores.")  # fmt: skip
@click.option("--score-images", type=COUNT, default=1000, show_default=True,
              help="Score at most so many of them.")  # fmt: skip
@click.option("--features", default="auto", show_default=True,
              help="Of the Fréchet score: auto, efficientnet_lite0, pixels8 or none.")  # fmt: skip
@click.option(
    "--tick-kimg", type=POSITIVE, help="Thousand triplets between lines of stats.  [1, or an epoch]"
)
@click.option("--snapshot-kimg", type=POSITIVE, help="Between pictures.  [an epoch, 1 to 5]")
@click.option("--save-kimg", type=POSITIVE, help="Between checkpoints.  [an epoch, at least 1]")
@click.option("--cache-gib", type=click.FloatRange(min=0), default=4.0, show_default=True,
              help="Keep the decoded data set in memory where it is no larger.")  # fmt: skip
@trainers.gpus
@options.device
@options.precision
@click.option(
    "--compile", "compiled", is_flag=True, help="Compile the networks: minutes at first, then faster."
)
@options.dry_run
@options.as_json
def train_pix2pix(gpus: int | None, device: str, dry_run: bool, as_json: bool, **choices: Any) -> None:
    """Train a Pix2PixHD student on the triplets of a data set: what the teacher's edit does, in one pass.

    --out gets student.safetensors and student-best.safetensors, index.html with pictures, scores and curves,
    stats.jsonl, scores.json and checkpoints. Ctrl-C saves; the same command with --resume goes on, exactly, also
    with more epochs. Several machines: torchrun.

    \b
    distill train-pix2pix --data runs/demo --out runs/student
    distill train-pix2pix --data runs/faces --preset seed --gpus 2 --out runs/student256 --resume
    """
    from distill.devices import resolve_device
    from distill.training.pix2pix.plan import make_plan
    from distill.training.pix2pix.request import TrainPix2PixRequest
    from distill.training.pix2pix.run import run_plan
    from distill.training.processes import process_group, rank

    start_processes(gpus, dry_run=dry_run)
    request = TrainPix2PixRequest(**choices)
    with process_group(resolve_device(device)) as own_device:
        plan = make_plan(request, device=own_device)
        if dry_run:
            print_facts(plan.facts(), as_json=as_json)
            return
        with stop_on_signals() as stop:
            result = run_plan(plan, request, stop=stop, quiet=as_json)
        if rank() == 0:
            click.echo(json.dumps(result) if as_json else summary(result))


def summary(result: dict[str, Any]) -> str:
    """One line: where the student is and how good."""
    best: dict[str, Any] = result["scores"]["best"]
    numbers = ", ".join(f"{name} {value:.4g}" for name, value in best.items() if name != "kimg")
    found = f"; best at {best['kimg']:.1f} kimg: {numbers}" if best else ""
    return f"{result['student']}: {result['kimg']:.1f} kimg{found}; look at {result['page']}"
