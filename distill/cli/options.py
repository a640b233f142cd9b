"""Options that several commands share, each written once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

import click

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
CODECS = ("raw", "jpeg", "webp")
MAX_SEED = 2**63 - 1
F = TypeVar("F", bound=Callable[..., object])

seed = click.option("--seed", type=click.IntRange(0, MAX_SEED), default=0, show_default=True)
device = click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
precision = click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="auto",
    show_default=True,
    help="Number format; auto is the fastest that is as good here.",
)
norm_statistics = click.option(
    "--norm-statistics",
    type=click.Choice(["running", "batch"]),
    default="running",
    show_default=True,
    help="What a student's batch normalisation goes by: means of its training, or each image, as the public test.py.",
)
workers = click.option(
    "--workers", type=click.IntRange(min=1), help="Processes.  [default: one a GPU, else one a core]"
)
picture_workers = click.option(
    "--workers", type=click.IntRange(min=1), help="Processes.  [default: one a core for many pictures]"
)
overwrite = click.option("--overwrite", is_flag=True, help="Replace what is there.")
dry_run = click.option("--dry-run", is_flag=True, help="Check everything and print the plan; write nothing.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")


def codec(default: str, *, value: str | None = None) -> Callable[[F], F]:
    """How the images of a data set are stored; `default` in words."""
    return click.option(
        "--codec",
        type=click.Choice(CODECS),
        default=value,
        help=f"raw, jpeg (quality 95) or webp (lossless).  [default: {default}]",
    )


def max_skips(default: str, what: str) -> Callable[[F], F]:
    """How many pictures may be left out."""
    return click.option("--max-skips", default=default, show_default=True, metavar="N|N%", help=what)


photos = click.argument("photos", nargs=-1, required=True, type=click.Path(path_type=Path))
photos_out = click.option(
    "--out", required=True, metavar="DIR", type=click.Path(path_type=Path), help="Where the PNGs go."
)
all_faces = click.option(
    "--all-faces", is_flag=True, help="Every face of a photo, as NAME_01.png, … from the largest on."
)
face_index = click.option(
    "--face-index",
    metavar="K",
    type=click.IntRange(min=0),
    help="The K-th face in order of size instead of the largest (0).",
)


def check_faces(all_faces: bool, face_index: int | None) -> None:
    """Refuse to take all faces of a photo and one of them."""
    if all_faces and face_index is not None:
        raise click.UsageError("--all-faces and --face-index exclude each other")


def tell(notes: Iterable[str]) -> None:
    """Say beside the results what a user may not expect."""
    for line in notes:
        click.echo(f"note: {line}", err=True)
