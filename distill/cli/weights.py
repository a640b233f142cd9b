"""`distill weights`: list, describe, fetch, convert and check the networks of the table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from distill.errors import DistillError
from distill.weights.fetch import MAX_BYTES, Progress
from distill.weights.registry import (
    Kind,
    WeightsEntry,
    cached_checkpoint,
    entry_of,
    expected_sha256,
    resolve,
    resolve_entry,
    weights_entries,
    weights_folder,
)

if TYPE_CHECKING:
    from distill.weights.checkpoint import Checkpoint

as_json = click.option("--json", "json_", is_flag=True, help="Print JSON instead of text.")


@click.group(no_args_is_help=True)
def weights() -> None:
    """List, fetch, convert and check weights: of generators, of features that compare images, of scorers.

    Fetched files and converted copies lie in the cache: $DISTILL_CACHE, or the user's cache folder.
    """


@weights.command("list")
@as_json
def list_(json_: bool) -> None:
    """List the known generators, and below them features and scorers; and which of them are on this machine."""
    generators, features, scorers = (weights_entries(kind) for kind in get_args(Kind))
    if json_:
        facts = [{**asdict(entry), **_place(entry)} for entry in (*generators, *features, *scorers)]
        click.echo(json.dumps(facts, indent=2))
        return
    width = max(len(entry.name) for entry in (*generators, *features, *scorers))
    for entry in generators:
        size = entry.content or f"{entry.resolution}x{entry.resolution}"
        where = _place(entry)["state"]
        click.echo(f"{entry.name:{width}}  {size:9}  {entry.domain:8}  {where:11}  {entry.licence}")
    for what, entries in (
        ("No generators, but features that compare images (--perceptual NAME):", features),
        ("Scorers of what a face shows (--scorer builtin, --scorer face-api):", scorers),
    ):
        click.echo(f"\n{what}")
        for entry in entries:
            click.echo(f"{entry.name:{width}}  {'':9}  {'':8}  {_place(entry)['state']:11}  {entry.licence}")


@weights.command()
@click.argument("source", metavar="NAME|PATH")
@as_json
def info(source: str, json_: bool) -> None:
    """Say what is known of a generator: from the table and, if the file is here, from the file."""
    entry = entry_of(source)
    facts: dict[str, Any] = {}
    if entry:
        facts = {key: value for key, value in asdict(entry).items() if value is not None} | _place(entry)
        facts["sha256"] = expected_sha256(entry)
        if entry.card:
            facts["card"] = str(weights_folder() / entry.card)
    if entry is None or (entry.kind == "generator" and entry.path.is_file()):
        path = resolve(source)
        facts |= {"path": str(path), **_facts_of(path)}
    if json_:
        click.echo(json.dumps(facts, indent=2))
        return
    for key, value in facts.items():
        click.echo(f"{key + ':':16} {'-' if value is None else value}")
    if entry and not entry.path.is_file():
        click.echo(f"The file is not here yet: distill weights fetch {entry.name}")


@weights.command()
@click.argument("source", metavar="NAME|URL")
@click.option(
    "--max-bytes", type=click.IntRange(min=1), default=MAX_BYTES, show_default=True, help="Size limit."
)
def fetch(source: str, max_bytes: int) -> None:
    """Fetch the weights NAME, or an https address, into the cache and print where they are."""
    entry = entry_of(source)
    if entry is None and "://" not in source:
        raise click.UsageError(f"{source!r} is neither a name in 'distill weights list' nor an https address")
    with _progress_bar(source) as progress:
        limits: dict[str, Any] = {"progress": progress, "max_bytes": max_bytes}
        path = resolve_entry(entry, **limits) if entry else resolve(source, **limits)
    click.echo(str(path))


@weights.command()
@click.argument("source", metavar="NAME|PATH|URL")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The .safetensors file to write.")
@click.option("--half", is_flag=True, help="Store float16: half the size, rounded weights.")
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
def convert(source: str, out: Path, half: bool, force: bool) -> None:
    """Convert any readable weights to a safetensors file of tensors and plain facts."""
    import torch

    from distill.weights.checkpoint import file_sha256, read_checkpoint, save_safetensors

    if out.suffix != ".safetensors":
        raise click.UsageError(f"--out {out}: the name must end in .safetensors")
    if out.exists() and not force:
        raise click.UsageError(f"--out {out}: exists; add --force to replace it")
    if not out.parent.is_dir():
        raise click.UsageError(f"--out {out}: there is no folder {out.parent}")
    checkpoint = read_checkpoint(resolve(source))
    save_safetensors(out, checkpoint, dtype=torch.float16 if half else torch.float32)
    click.echo(f"{out}  {out.stat().st_size} bytes  sha256 {file_sha256(out)}")


@weights.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@as_json
def verify(names: Sequence[str], json_: bool) -> None:
    """Check the sha256 of the named weights; without a name, of all that are on this machine."""
    results = [_verified(entry) for entry in _chosen(names)]
    if json_:
        click.echo(json.dumps(results, indent=2))
    else:
        for result in results:
            click.echo(f"{result['name']}: {result['state']}")
    bad = [result["name"] for result in results if result["state"] not in ("ok", "no sha256 known")]
    if bad:
        raise DistillError(
            f"{len(bad)} of {len(results)} weights are not what they should be: {', '.join(bad)}"
        )


def _place(entry: WeightsEntry) -> dict[str, str]:
    here = entry.path.is_file()
    present, absent = ("embedded", "missing") if entry.embedded else ("fetched", "not fetched")
    return {"state": present if here else absent, "path": str(entry.path)}


def _facts_of(path: Path) -> dict[str, Any]:
    checkpoint = cached_checkpoint(path)
    return {"format": checkpoint.format, "sha256": checkpoint.sha256, **_shape_of(checkpoint)}


def _shape_of(checkpoint: Checkpoint) -> dict[str, Any]:
    from distill.stylegan2.networks import shape_of_state

    shape = shape_of_state(checkpoint.state)
    parameters = sum(t.numel() for name, t in checkpoint.state.items() if not name.endswith(BUFFERS))
    return {
        "resolution": shape.resolution,
        "num_ws": shape.num_ws,
        "z_dim": shape.z_dim,
        "w_dim": shape.w_dim,
        "parameters": parameters,
    }


BUFFERS = ("noise_const", "resample_filter", "w_avg")


def _chosen(names: Sequence[str]) -> list[WeightsEntry]:
    if not names:
        entries = (entry for kind in get_args(Kind) for entry in weights_entries(kind))
        return [entry for entry in entries if entry.embedded or entry.path.is_file()]
    chosen = []
    for name in names:
        entry = entry_of(name)
        if entry is None:
            raise click.UsageError(f"{name!r} is not a name in 'distill weights list'")
        chosen.append(entry)
    return chosen


def _verified(entry: WeightsEntry) -> dict[str, Any]:
    from distill.weights.checkpoint import file_sha256

    expected = expected_sha256(entry)
    found = file_sha256(entry.path) if entry.path.is_file() else None
    if found is None:
        state = "missing"
    elif expected is None:
        state = "no sha256 known"
    else:
        state = "ok" if found == expected else f"sha256 is {found}, expected {expected}"
    return {
        "name": entry.name,
        "path": str(entry.path),
        "state": state,
        "sha256": found,
        "expected": expected,
    }


@contextmanager
def _progress_bar(name: str) -> Iterator[Progress]:
    from tqdm import tqdm

    with tqdm(desc=name, unit="B", unit_scale=True, unit_divisor=1024, disable=None) as bar:

        def show(done: int, total: int | None) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show
