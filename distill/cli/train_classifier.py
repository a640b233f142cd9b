"""`distill train-classifier`: a scorer for an attribute of your own, from labelled pictures."""

from __future__ import annotations

import json
from typing import Any

import click

from distill.cli import options

SHARE = options.FiniteRange(0.05, 0.45)


@click.command("train-classifier", short_help="Train a scorer on labelled pictures.")
@click.option("--data", required=True, metavar="FOLDER|CSV", type=options.PATH,
              help="Folders by class, or a CSV of file and label.")  # fmt: skip
@click.option("--out", required=True, metavar="FILE.safetensors", type=options.FILE,
              help="The scorer; .json and .png go beside it.")  # fmt: skip
@click.option("--name", help="Name of the score.  [default: the CSV's label column, else FILE's]")
@click.option("--positive", metavar="LABEL",
              help="Of two: the class of high scores.  [default: the alphabet's last]")  # fmt: skip
@click.option("--align", type=click.Choice(["ffhq", "chip", "none"]), default="none", show_default=True,
              help="Cut out the largest face; none: the middle.")  # fmt: skip
@click.option(
    "--label", "column", metavar="COLUMN", help="Column of the CSV with the labels.  [default: label]"
)
@click.option("--group", metavar="COLUMN",
              help="CSV column that says which belong together, as by person.")  # fmt: skip
@click.option("--images", metavar="DIR", type=options.PATH,
              help="Where the CSV's paths start.  [default: its own folder]")  # fmt: skip
@click.option(
    "--network",
    type=click.Choice(["auto", "efficientnet_lite0", "small_cnn"]),
    default="auto",
    show_default=True,
    metavar="NETWORK",
    help="efficientnet_lite0 (if installed) or small_cnn.",
)
@click.option(
    "--size", type=options.WholeRange(32, 512), help="Side of its input in px.  [default: 128; small_cnn 64]"
)
@click.option("--validation", type=SHARE, default=0.2, show_default=True,
              help="Share that decides when to stop.")  # fmt: skip
@click.option("--test", type=SHARE, default=0.2, show_default=True,
              help="Share for the test at the end.")  # fmt: skip
@click.option("--no-flip", is_flag=True, help="Left and right matter: learn no mirror images.")
@options.seed
@click.option("--max-skips", type=options.WholeRange(min=0),
              help="Pictures that may be left out.  [default: 5 %, at least 10]")  # fmt: skip
@options.device
@options.picture_workers
@options.overwrite
@options.dry_run
@options.as_json
def train_classifier(no_flip: bool, dry_run: bool, as_json: bool, **given: Any) -> None:
    """Train a small network to tell classes apart, calibrate it, and test it on pictures that it has never seen.

    --data has a folder for each class, or is a CSV with the columns file and label. The result is a scorer:
    score-images --scorer FILE takes it, as all commands that need scores. Its report (.json) and reliability diagram
    (.png) lie beside it. --align cuts the largest face out as FFHQ or as dlib's chip. At least 10 pictures of each
    class are needed; some hundreds give a result to rely on. Ctrl-C leaves nothing behind.

    \b
    distill train-classifier --data smiles/ --align ffhq --out smile.safetensors
    distill score-images photos/ --scorer smile.safetensors --out labels.csv
    """
    from distill.attributes.classifier.plan import TrainClassifierRequest, plan_classifier
    from distill.attributes.classifier.report_text import report_text
    from distill.attributes.classifier.train import train_classifier as train
    from distill.cli.signals import stop_on_signals
    from distill.files import path_text
    from distill.progress import Progress

    plan = plan_classifier(TrainClassifierRequest(flip=not no_flip, **given))
    if dry_run:
        click.echo("\n".join(map(path_text, [*plan.lines(), "dry run: nothing was written"])))
        return
    with (
        stop_on_signals() as stop,
        Progress(len(plan.examples.items), noun="picture", keep=False) as progress,
    ):
        report = train(plan, stop=stop, advance=progress.advance, note=progress.beside)
    click.echo(json.dumps(report, indent=2) if as_json else report_text(report, plan))
