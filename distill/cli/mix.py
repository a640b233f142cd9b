"""`distill mix`: own photos mixed in the latent space of a generator."""

from __future__ import annotations

import json
from typing import Any

import click

from distill.cli import options
from distill.cli.own_photos import own_photos, steps_shown, tell_skipped


@click.command("mix")
@own_photos
@click.option(
    "--style",
    "styles",
    multiple=True,
    metavar="PHOTO|NAME",
    help="Whose colours; repeatable.  [default: the second of two, else all]",
)
@click.option(
    "--crossover",
    default="half",
    show_default=True,
    metavar="half|fine|N",
    help="First layer that takes the style's w.",
)
@click.option("--interpolate", type=int, metavar="N", help="Also N pictures from each content to each style.")
@click.option(
    "--psi", metavar="ψ,…", help="Also each content pulled to the mean by these ψ, such as 0,0.5,0.7,1."
)
@click.option("--noise", is_flag=True, help="Also where the generator's noise draws detail.")
@options.device
@options.as_json
def mix(
    photos: tuple[str, ...],
    styles: tuple[str, ...],
    crossover: str,
    interpolate: int | None,
    psi: str | None,
    noise: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Mix photos: the content's shape, the style's colours, as the task style-mix does it.

    Two photos are content and style. Of more, or of those of --style, a grid shows every content with every style.
    Each photo is first put into the latent space (W+), kept in DIR/projections: the same command finds it there
    again. DIR/sheet.png shows all mixes; DIR/CONTENT+STYLE.png is one.

    \b
    distill mix me.jpg you.jpg --out mixed
    distill mix holiday/*.jpg --style red.jpg --style blue.jpg --crossover 4 --out mixed
    distill mix --from projected/ --interpolate 9 --psi 0,0.5,0.7,1 --out mixed
    """
    from distill.editing.mix import MixRequest, mix_photos, read_psis
    from distill.editing.own_latents import OwnPhotos
    from distill.files import path_text

    request = MixRequest(
        contents=OwnPhotos(photos=photos, **given),
        styles=styles,
        crossover=crossover,
        interpolate=interpolate,
        psis=read_psis(psi) if psi is not None else (),
        noise=noise,
    )
    found = mix_photos(request, steps_shown)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2))
        return
    tell_skipped(found.skipped)
    sheets = ", ".join(path_text(path) for path in found.files["sheets"])
    click.echo(f"mixed {len(found.files['mixes'])} from layer {found.crossover} on; look at {sheets}")
