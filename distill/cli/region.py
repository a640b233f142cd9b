"""`distill region`: a part of one face onto another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from distill.cli import options
from distill.cli.own_photos import own_latents, steps_shown


@click.command("region")
@click.argument("person", metavar="PERSON", type=options.TEXT)
@click.argument("reference", metavar="REFERENCE", type=options.TEXT)
@click.option(
    "--part",
    required=True,
    metavar="PART",
    type=options.TEXT,
    help="eyes, nose, mouth, face, hair, background or clothes.",
)
@own_latents
@click.option(
    "--regions",
    metavar="FILE",
    type=options.FILE,
    help="Where the part is: see above.  [default: the generator's own]",
)
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="NAME=NUMBER",
    help="Change a setting: garment=5 moves more of the part.",
)
@options.device
@options.as_json
def region(
    person: str,
    reference: str,
    part: str,
    regions: Path | None,
    changes: tuple[str, ...],
    as_json: bool,
    **given: Any,
) -> None:
    """Move a part of REFERENCE onto PERSON: their eyes, nose, mouth, hair or clothes.

    Each is a number, the seed of a sample of the generator, or a photo, which is first put into the latent space (W+)
    and kept in DIR/projections. For each channel of the generator's styles a search finds how far it goes from the
    one to the other, so that the part comes and the rest stays. --set garment=5 moves more of the part,
    --set identity_pixels=40 less of the rest. --regions is a file of distill regions, the TOML of a face parser, or a
    picture of a mask.

    DIR/PERSON+REFERENCE_PART.png is the result, with _sheet.png beside both, .json what changed inside and outside of
    the part, and .safetensors the shares of the channels.

    \b
    distill region 3 7 --part hair --out swapped
    distill region me.jpg you.jpg --part eyes --out swapped
    """
    from distill.editing.region import RegionRequest, move_region
    from distill.editing.region_people import TwoPeople
    from distill.files import path_text

    people = TwoPeople(person=person, reference=reference, regions=regions, **given)
    found = move_region(RegionRequest(people=people, part=part, changes=changes), steps_shown)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2))
        return
    change = found.change
    click.echo(
        f"{part} of {path_text(found.facts['reference'])} onto {path_text(found.facts['person'])}: mean change"
        f" {change['inside']:.3f} inside, {change['outside']:.3f} outside (of 0..1); look at"
        f" {path_text(found.files['sheet'])}"
    )
