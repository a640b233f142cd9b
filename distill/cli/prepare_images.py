"""`distill prepare-images`: a folder of pictures becomes one file for the unpaired trainers."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

if TYPE_CHECKING:
    from distill.shards.images.labels import LabelTable
    from distill.shards.images.prepare import Preparation, Request, Tally

SAMPLE = 8  # pictures that a dry run prepares to tell the time


@click.command("prepare-images")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--out", required=True, metavar="FILE.h5", type=click.Path(path_type=Path), help="The file to write."
)
@click.option("--resolution", required=True, type=int, help="Side in pixels, a power of two from 4 to 1024.")
@click.option(
    "--align",
    default="none",
    show_default=True,
    type=click.Choice(["none", "ffhq"]),
    help="ffhq: cut out the largest face as FFHQ does. none: the square in the middle.",
)
@click.option(
    "--labels",
    metavar="FILE.csv",
    type=click.Path(path_type=Path),
    help="A column file or name, and one a label.",
)
@click.option(
    "--balance",
    metavar="FILE.csv:COLUMN",
    help="Labels, and sampling weights that make the classes of COLUMN equally likely.",
)
@click.option("--drop-grey", is_flag=True, help="Leave out pictures without colour.")
@click.option(
    "--max-skips",
    default="10%",
    show_default=True,
    metavar="N|N%",
    help="How many pictures may be unreadable, animated or without a face.",
)
@click.option(
    "--workers", type=click.IntRange(min=1), help="Processes; by default one a core for many pictures."
)
@click.option("--overwrite", is_flag=True, help="Replace FILE.h5.")
@click.option("--dry-run", is_flag=True, help="Check everything, prepare a few pictures, write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON report instead of text.")
def prepare_images(
    folder: Path,
    out: Path,
    resolution: int,
    align: Literal["none", "ffhq"],
    labels: Path | None,
    balance: str | None,
    drop_grey: bool,
    max_skips: str,
    workers: int | None,
    overwrite: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Cut all pictures below DIR to one square size and write them to FILE.h5, in the order of their names.

    What is unreadable, animated or without a face is skipped and counted. Pictures without a class in COLUMN
    keep weight 1: their share of the draws stays, the rest is divided equally among the classes.
    """
    from distill.parallel import default_workers
    from distill.shards.images.layout import check_resolution
    from distill.shards.images.prepare import Preparation, Request, Tally, find_pictures
    from distill.shards.images.write import check_output

    settings = Preparation(resolution=check_resolution(resolution), align=align, drop_grey=drop_grey)
    table, column = _labels(labels, balance)
    pictures, others = find_pictures(folder, out)
    tally = Tally(found=len(pictures), most_skips=_most_skips(max_skips, len(pictures)))
    check_output(out, overwrite=overwrite, images=len(pictures), resolution=resolution)
    source = {"kind": "pictures", "folder": folder.resolve().name, **_models(settings)}
    workers = workers or default_workers(len(pictures), 200)
    plan: dict[str, Any] = {"pictures": len(pictures), "other_files": len(others), "workers": workers}
    plan["labelled"] = _labelled(table, [name for name, _ in pictures])
    if dry_run:
        _show_plan(plan | _sample(pictures, settings, workers), settings, out, as_json=as_json)
        return
    request = Request(
        pictures=pictures, out=out, settings=settings, labels=table, balance=column, source=source
    )
    report = plan | _prepare(request, tally, workers)
    click.echo(json.dumps(report, indent=2) if as_json else _text(report, settings))


def _prepare(request: Request, tally: Tally, workers: int) -> dict[str, Any]:
    from distill.cli.signals import stop_on_signals
    from distill.progress import Progress
    from distill.shards.images.prepare import prepare

    with stop_on_signals() as stop, Progress(tally.found, noun="picture", keep=False) as progress:
        written, shares = prepare(request, tally, workers=workers, stop=stop, progress=progress.advance)
    return {
        "out": str(written.path),
        "bytes": written.bytes,
        "sha256": written.sha256,
        **tally.to_json(),
        "skips": [{"name": skip.name, "reason": skip.reason, "detail": skip.detail} for skip in tally.skips],
        "balance": request.balance,
        "weights": {name: round(share.weight, 4) for name, share in shares.items()},
        "counts": {name: share.count for name, share in shares.items()},
        "seconds": round(progress.seconds, 1),
    }


def _labels(labels: Path | None, balance: str | None) -> tuple[LabelTable | None, str | None]:
    from distill.shards.images.labels import read_labels, split_balance

    path, column = split_balance(balance) if balance else (labels, None)
    if labels and path != labels:
        raise click.UsageError(f"--labels {labels} and --balance {path} name two files; one is needed")
    table = read_labels(path) if path else None
    if table and column:
        table.require(column)
    return table, column


def _most_skips(text: str, pictures: int) -> int:
    number = text.removesuffix("%")
    if not number.isascii() or not number.isdigit() or len(number) > 9:
        raise click.UsageError(f"--max-skips {text}: a number such as 20 or a share such as 10% is needed")
    if not text.endswith("%"):
        return int(number)
    if int(number) > 100:
        raise click.UsageError(f"--max-skips {text}: a share goes from 0% to 100%")
    return pictures * int(number) // 100


def _models(settings: Preparation) -> dict[str, str]:
    """Name the landmark model; a missing one shows before the first picture."""
    if settings.align == "none":
        return {}
    from distill.faces.photos import photo_detector

    return {"landmarks_sha256": photo_detector().landmarks_sha256}


def _labelled(table: LabelTable | None, names: list[str]) -> int:
    from distill.errors import DistillError

    if table is None:
        return 0
    labelled = sum(row is not None and any(row) for row in table.rows_of(names))
    if labelled == 0:
        raise DistillError(
            f"label file {table.path}: none of its {len(table.rows)} names is a picture of the folder, "
            f"whose first is {names[0]}"
        )
    return labelled


def _sample(pictures: list[tuple[str, Path]], settings: Preparation, workers: int) -> dict[str, Any]:
    """Prepare a few pictures spread over the folder; tell what they suggest of the whole."""
    from distill.shards.images.prepare import prepare_picture

    step = max(1, len(pictures) // SAMPLE)
    chosen = pictures[::step][:SAMPLE]
    prepare_picture(chosen[0], settings)  # opens the models
    started = time.perf_counter()
    results = [prepare_picture(picture, settings) for picture in chosen]
    seconds = (time.perf_counter() - started) / len(chosen)
    return {
        "sampled": len(chosen),
        "sampled_skips": [f"{result.name}: {result.reason}" for result in results if result.image is None],
        "seconds": round(seconds * len(pictures) / workers, 1),
    }


def _show_plan(plan: dict[str, Any], settings: Preparation, out: Path, *, as_json: bool) -> None:
    from distill.timing import clock

    most_bytes = plan["pictures"] * 3 * settings.resolution**2
    if as_json:
        click.echo(json.dumps({**plan, "bytes": most_bytes, "out": str(out)}, indent=2))
        return
    side = f"{settings.resolution}×{settings.resolution}"
    click.echo(f"{plan['pictures']} pictures → at most {most_bytes / 1e6:.1f} MB of {side} in {out}")
    click.echo(f"labels for {plan['labelled']}, other files {plan['other_files']}, align {settings.align}")
    click.echo(f"about {clock(plan['seconds'])} with {plan['workers']} workers, by {plan['sampled']} of them")
    for line in plan["sampled_skips"]:
        click.echo(f"  would skip {line}")
    click.echo("dry run: nothing was written")


def _text(report: dict[str, Any], settings: Preparation) -> str:
    rate = report["found"] / max(report["seconds"], 0.1)
    lines = [
        f"{report['kept']} of {report['found']} pictures, {settings.resolution}×{settings.resolution}, "
        f"align {settings.align} → {report['out']} ({report['bytes'] / 1e6:.1f} MB, {rate:.1f} pictures/s)",
        f"sha256 {report['sha256']}",
    ]
    small = f"their crop has fewer than {settings.resolution} pixels a side"
    notes = [
        (report["grey"], f"grey {report['grey']}, dropped {report['grey_dropped']}"),
        (report["enlarged"], f"enlarged {report['enlarged']}: {small}"),
        (report["several_faces"], f"several faces in {report['several_faces']}: the largest was taken"),
        (report["labelled"], f"labels for {report['labelled']} of {report['found']}"),
        (report["other_files"], f"other files passed over: {report['other_files']}"),
        (report["weights"], _balance(report)),
        (report["skips"], f"skipped {len(report['skips'])}: {_pairs(report['skipped'])}"),
    ]
    lines += [note for shown, note in notes if shown]
    lines += [f"  {skip['reason']}: {skip['name']} ({skip['detail']})" for skip in report["skips"]]
    return "\n".join(lines)


def _balance(report: dict[str, Any]) -> str:
    """Show the weight of each class, and how many pictures have it ("" has none)."""
    counts = report["counts"]
    classes = [f"{name or 'none'} {weight} × {counts[name]}" for name, weight in report["weights"].items()]
    return f"sampling weights by {report['balance']}: {', '.join(classes)}"


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
