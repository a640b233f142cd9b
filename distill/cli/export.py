"""`distill export`: a data set in the layout of another program."""

from __future__ import annotations

from typing import Any

import click

from distill.cli import options


@click.command(short_help="Write a data set in the layout of another trainer.")
@click.argument("folder", metavar="DIR", type=options.PATH)
@click.option(
    "--to",
    required=True,
    type=click.Choice(["pix2pixhd", "folders", "webdataset"]),
    metavar="LAYOUT",
    help="pix2pixhd, folders or webdataset.",
)
@click.option("--out", required=True, type=options.PATH, help="Folder; empty, new, or of this export.")
@click.option("--limit", type=options.COUNT, help="Only the first so many samples.")
@click.option(
    "--format",
    "image_format",
    type=click.Choice(["png", "jpg"]),
    default="png",
    show_default=True,
    help="File format of images.",
)
@click.option("--phase", default="train", show_default=True, help="Prefix of the pix2pixHD folders.")
def export(**given: Any) -> None:
    """Write the images of a complete data set for another program; the same command goes on where it stopped.

    An export grows with its data set or a larger --limit: what is there stays.

    \b
    pix2pixhd   OUT/train_A = first input, train_B = target, train_C = second input; metadata.csv
    folders     OUT/<role>/000000.png and OUT/metadata.csv
    webdataset  OUT/distill-000000.tar, at most 1,000 samples each

    \b
    distill export data/mix --to pix2pixhd --out mix-pix2pixhd
    distill export data/mix --to folders --format jpg --limit 100 --out look
    """
    from distill.progress import Progress
    from distill.shards.export import ExportRequest, export_dataset, samples_of

    request = ExportRequest(**given)
    with Progress(samples_of(request), noun="sample", keep=False) as progress:
        report = export_dataset(request, progress=progress.advance)
    click.echo(
        f"{request.out}: {report.samples} samples, {report.written} files written, "
        f"{report.kept} were there already"
    )
    if report.hint:
        click.echo(report.hint)
