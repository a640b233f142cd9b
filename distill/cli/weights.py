"""`distill weights`: list, describe, fetch, convert and check the networks of the table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from distill.cli import options
from distill.errors import DistillError
from distill.files import check_file, made_folder, path_text
from distill.progress import command_text
from distill.weights.fetch import MAX_BYTES, FetchProgress
from distill.weights.inventory import (
    describe_weights,
    entries_to_fetch,
    fetch_entries,
    is_fine,
    list_weights,
    verify_weights,
)
from distill.weights.registry import resolve

MEGABYTE = 1e6
OTHERS = {
    "student": "Students, each an edit in one pass (distill translate --model NAME):",
    "encoder": "Encoders, which read a face into a generator's w+ (distill project --space encoder --encoder NAME):",
    "features": "No generators, but features that compare images (--perceptual, --features, --lpips, --metrics):",
    "scorer": "Scorers of what a face shows (--scorer builtin, --scorer face-api):",
    "runtime": "No weights, but a program that runs them in a browser (export-student --to web):",
}


@click.group(no_args_is_help=True)
def weights() -> None:
    """List, fetch, convert and check weights: generators, students, encoders, features that compare images, scorers.

    Fetched files and converted copies lie in the cache: $DISTILL_CACHE, or the user's cache folder.

    \b
    distill weights list
    distill weights fetch features
    distill weights info portraits
    """


@weights.command("list", short_help="List all, and which of them are on this machine.")
@options.as_json
def list_(as_json: bool) -> None:
    """List generators, students, encoders, features and scorers, and which of them are on this machine.

    \b
    distill weights list
    distill weights list --json
    """
    entries = list_weights()
    if as_json:
        click.echo(json.dumps(entries, indent=2))
        return
    width = max(len(entry["name"]) for entry in entries)
    for entry in entries:
        if entry["kind"] == "generator":
            click.echo(_row(entry, width))
    for kind, title in OTHERS.items():
        click.echo(f"\n{title}")
        for entry in entries:
            if entry["kind"] == kind:
                click.echo(_row(entry, width))


@weights.command(short_help="Say what is known of weights.")
@click.argument("source", metavar="NAME|PATH")
@options.as_json
def info(source: str, as_json: bool) -> None:
    """Say what is known of weights: from the table and, but for features and scorers, from the file if it is here.

    \b
    distill weights info ageing
    distill weights info runs/faces/generator.safetensors --json
    """
    facts = describe_weights(source)
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return
    for key, value in facts.items():
        click.echo(f"{key + ':':23} {_told(value)}")
    if facts.get("state") == "not fetched":
        click.echo(f"The file is not here yet: {command_text('distill', 'weights', 'fetch', source)}")


@weights.command(short_help="Fetch weights into the cache.")
@click.argument("source", metavar="NAME|features|URL")
@click.option(
    "--max-bytes", type=options.WholeRange(min=1), default=MAX_BYTES, show_default=True, help="Size limit."
)
def fetch(source: str, max_bytes: int) -> None:
    """Fetch the weights NAME, or an https address, into the cache and print where they are.

    The name `features` stands for all networks that compare images: those of FID, of LPIPS, path lengths, precision
    and recall, and of the perceptual loss. One that cannot be fetched does not stop the others.

    \b
    distill weights fetch ffhq-1024
    distill weights fetch features
    distill weights fetch https://example.com/generator.pkl --max-bytes 2000000000
    """
    entries = entries_to_fetch(source)
    if not entries and "://" not in source:
        raise click.UsageError(f"{source!r} is neither a name in 'distill weights list' nor an https address")
    for path in fetch_entries(entries, progress=_progress, max_bytes=max_bytes, note=_noted):
        click.echo(str(path))
    if not entries:
        with _progress() as progress:
            path = resolve(source, progress=progress, max_bytes=max_bytes)
        click.echo(str(path))


@weights.command(short_help="Convert weights to safetensors.")
@click.argument("source", metavar="NAME|PATH|URL")
@click.option("--out", required=True, type=options.FILE, help="The .safetensors file to write.")
@click.option("--half", is_flag=True, help="Store float16: half the size, rounded weights.")
@options.overwrite
def convert(source: str, out: Path, half: bool, overwrite: bool) -> None:
    """Convert any readable weights to a safetensors file of tensors and plain facts.

    \b
    distill weights convert ffhq-1024 --out ffhq.safetensors
    distill weights convert network-snapshot-025000.pkl --half --out mine.safetensors
    """
    import torch

    from distill.weights.checkpoint import file_sha256, read_checkpoint, save_safetensors

    if out.suffix != ".safetensors":
        raise click.UsageError(f"--out {out}: the name must end in .safetensors")
    check_file(out, overwrite=overwrite)
    checkpoint = read_checkpoint(resolve(source))
    with made_folder(out.parent):
        save_safetensors(out, checkpoint, dtype=torch.float16 if half else torch.float32)
    click.echo(f"{out}  {out.stat().st_size} bytes  sha256 {file_sha256(out)}")


@weights.command(short_help="Check the sha256 of weights.")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@options.as_json
def verify(names: Sequence[str], as_json: bool) -> None:
    """Check the sha256 of the named weights; without a name, of all that are on this machine.

    \b
    distill weights verify
    distill weights verify portraits ageing
    """
    results = verify_weights(names)
    if as_json:
        click.echo(json.dumps(results, indent=2))
    else:
        for result in results:
            click.echo(f"{result['name']}: {result['state']}")
    if bad := [result["name"] for result in results if not is_fine(result)]:
        raise DistillError(
            f"{len(bad)} of {len(results)} weights are not what they should be: {', '.join(bad)}"
        )


def _noted(line: str) -> None:
    click.echo(path_text(line), err=True)


def _told(value: Any) -> str:
    if isinstance(value, dict):  # what a file says: control characters are escaped
        return json.dumps(value)
    return "-" if value is None else str(value)


def _row(entry: dict[str, Any], width: int) -> str:
    side = entry["resolution"]
    size = entry["content"] or (f"{side}x{side}" if side else "")
    return f"{entry['name']:{width}}  {size:9}  {entry['domain'] or '':8}  {entry['state']:11}  {entry['licence']}"


@contextmanager
def _progress() -> Iterator[FetchProgress]:
    """Show how many megabytes have come; the total is known with the first of them."""
    from distill.progress import Progress

    with Progress(0, noun="megabyte") as progress:

        def show(done: int, total: int | None) -> None:
            progress.total = progress.bar.total = (total or done) / MEGABYTE
            progress.advance(done / MEGABYTE - progress.count)

        yield show
