"""`distill edit`: own photos moved along a direction."""

from __future__ import annotations

import json
from typing import Any

import click

from distill.cli import options
from distill.cli.own_photos import own_direction, own_photos, steps_shown, tell_skipped


@click.command("edit")
@own_photos
@own_direction
@click.option(
    "--strengths",
    default="-3:3:7",
    show_default=True,
    metavar="FROM:TO:COUNT|A,…",
    help="How far along the direction.",
)
@options.device
@options.as_json
def edit(photos: tuple[str, ...], direction: str, strengths: str, as_json: bool, **given: Any) -> None:
    """Move photos along a direction in the latent space of a generator: a strip of pictures for each.

    Each photo is first put into the latent space (W+), kept in DIR/projections: the same command finds it there
    again. DIR/sheet.png shows all strips; DIR/NAME_+3.png is one picture.

    \b
    distill edit me.jpg --direction age --strengths -3:3:7 --out older
    distill edit --from projected/ --direction gender --strengths -3,3 --out swapped
    """
    from distill.editing.edit import EditRequest, edit_photos, read_strengths
    from distill.editing.own_latents import OwnPhotos
    from distill.files import path_text
    from distill.progress import plural

    request = EditRequest(
        own=OwnPhotos(photos=photos, **given), direction=direction, strengths=read_strengths(strengths)
    )
    found = edit_photos(request, steps_shown)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2))
        return
    tell_skipped(found.skipped)
    count = plural(len(found.names), "photo")
    click.echo(f"moved {count} along {path_text(found.direction)}; look at {path_text(found.sheet)}")
