"""`distill train-stylegan2`: make a teacher of one's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from distill.cli import options, trainers
from distill.cli.signals import stop_on_signals
from distill.cli.trainers import print_facts, start_processes

CRITICS = ("stylegan2", "projected")
PRESETS = ("tiny", "small", "paper256", "config-f")


@click.command("train-stylegan2", short_help="Train a StyleGAN2 generator on images.")
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder of images, or .h5 file.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the run.")
@click.option(
    "--resolution", type=int, help="Side in px; needed for images of several sizes.  [default: theirs]"
)
@click.option("--preset", type=click.Choice(PRESETS), default="small", show_default=True)
@click.option("--kimg", type=click.FloatRange(min=0, min_open=True), default=1000.0, show_default=True,
              help="Train until so many thousand images were seen.")  # fmt: skip
@click.option("--critic", type=click.Choice(CRITICS), default="stylegan2", show_default=True,
              help="Judge by a discriminator of its own, or by heads on the frozen features of EfficientNet-Lite0:"
              " good on few images much sooner.")  # fmt: skip
@click.option("--init", metavar="FILE|NAME",
              help="Start from this generator, of the preset's shape; one of lower resolution is grown.")  # fmt: skip
@trainers.resume
@trainers.minutes
@options.seed
@click.option("--mirror", is_flag=True, help="Show half of the images mirrored.")
@click.option(
    "--batch", type=click.IntRange(min=1), help="Images of one update, all GPUs together.  [preset]"
)
@click.option("--lr", type=click.FloatRange(0, 1, min_open=True), help="Learning rate of Adam.  [preset]")
@click.option("--gamma", type=click.FloatRange(min=0), help="Weight of R1.  [preset]")
@click.option(
    "--path-weight", type=click.FloatRange(min=0), help="Weight of the path length; 0: off.  [preset]"
)
@click.option(
    "--noise/--freeze-noise", default=None, help="Noise inputs, or strengths frozen at 0.  [preset]"
)
@click.option("--augment", metavar="TARGET",
              help="Target of adaptive augmentation (0 to 1), p=NUMBER for a fixed one, or none.  [0.6;"
              " projected: p=0.2]")  # fmt: skip
@click.option("--ada-kimg", type=click.FloatRange(min=0, min_open=True), help="kimg from p 0 to 1.  [preset]")
@click.option("--head-start-kimg", type=click.FloatRange(min=0),
              help="That the discriminator learns alone at first.  [with --init 8, projected 1; else 0]")  # fmt: skip
@click.option(
    "--average-kimg", type=click.FloatRange(min=0), help="Half-life of the weight average.  [preset]"
)
@click.option("--held-out", type=click.IntRange(min=0), help="Images kept for the score.  [10 %, up to 1000]")
@click.option("--features", default="auto", show_default=True,
              help="Of the score: auto, efficientnet_lite0, inception=FILE (FID's), pixels8, none.")  # fmt: skip
@click.option("--score-images", type=click.IntRange(min=2), default=1000, show_default=True)
@click.option("--tick-kimg", type=click.FloatRange(min=0, min_open=True), help="Between lines of stats.")
@click.option("--snapshot-kimg", type=click.FloatRange(min=0, min_open=True), help="Between grids and saves.")
@click.option("--score-kimg", type=click.FloatRange(min=0, min_open=True), help="Between scores.")
@click.option("--float16", is_flag=True, help="Write generator.safetensors in half precision.")
@trainers.gpus
@options.device
@options.precision
@options.dry_run
@options.as_json
def train_stylegan2(gpus: int | None, device: str, dry_run: bool, as_json: bool, **choices: Any) -> None:
    """Train a StyleGAN2 on a folder of images or an HDF5 file, with adaptive augmentation.

    --out gets stats.jsonl, fakes000123.png, checkpoints, and generator.safetensors, which `distill generate
    --generator` takes. Ctrl-C saves; the same command with --resume goes on, exactly. Several machines: torchrun.

    \b
    distill train-stylegan2 --data faces/ --resolution 64 --mirror --out runs/faces --kimg 2000
    distill train-stylegan2 --data cats/ --resolution 64 --init portraits --out runs/cats
    distill train-stylegan2 --data faces.h5 --preset paper256 --gpus 4 --out runs/faces256 --resume
    """
    from distill.devices import resolve_device
    from distill.training.processes import process_group, rank
    from distill.training.stylegan2.plan import make_plan
    from distill.training.stylegan2.request import TrainStyleGAN2Request
    from distill.training.stylegan2.run import run_plan

    start_processes(gpus, dry_run=dry_run)
    request = TrainStyleGAN2Request(**choices)
    with process_group(resolve_device(device)) as own_device:
        plan = make_plan(request, device=own_device, note=lambda line: click.echo(line, err=True))
        if dry_run:
            print_facts(plan.facts(), as_json=as_json)
            return
        with stop_on_signals() as stop:
            result = run_plan(plan, request, stop=stop, quiet=as_json)
        if rank() == 0:
            click.echo(json.dumps(result) if as_json else summary(result))


def summary(result: dict[str, Any]) -> str:
    scores = "".join(f", {name} {value:.2f}" for name, value in result.items() if name.startswith("frechet"))
    return f"{result['generator']}: {result['kimg']:.1f} kimg{scores}"
