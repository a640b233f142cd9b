"""What commands that work on own photos in the latent space of a generator have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from distill.cli import options
from distill.files import path_text
from distill.progress import Progress, plural

if TYPE_CHECKING:
    from distill.faces.photo_results import SkippedPhoto

PHOTOS = click.argument("photos", nargs=-1, metavar="[PHOTO|NAME]...")
OPTIONS = (
    click.option("--out", required=True, metavar="DIR", type=options.PATH, help="Folder of the pictures."),
    click.option(
        "--generator",
        default="portraits",
        show_default=True,
        metavar="NAME|FILE|URL",
        help="The teacher; see 'distill weights list'.",
    ),
    click.option(
        "--from",
        "projections",
        metavar="DIR",
        type=options.PATH,
        help="A folder of distill project: names in it then stand for photos.",
    ),
    click.option(
        "--steps",
        type=options.WholeRange(1, 100_000),
        help="Steps of a search, at most.  [default: 300]",
    ),
    options.mark,
)
own_direction = click.option(
    "--direction",
    required=True,
    metavar="NAME|FILE",
    help="Such as gender or age; see distill directions list.",
)


def own_photos(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the photos, and where their latents come from."""
    return PHOTOS(own_latents(command))


def own_latents(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command where the latents of photos come from."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def steps_shown(steps: int) -> Progress:
    """Show the steps of projections."""
    return Progress(steps, noun="step", keep=False)


def tell_skipped(skipped: Sequence[SkippedPhoto]) -> None:
    """Name the photos that were left out."""
    if skipped:
        click.echo(f"skipped {plural(sum(skip.files for skip in skipped), 'photo')}:")
    for skip in skipped:
        click.echo(f"  {skip.reason}: {path_text(skip.photo)} ({path_text(skip.detail)})")
