"""`distill photo-pairs`: own photos, edited as a generator edits, as pairs to train on."""

from __future__ import annotations

import json
from typing import Any

import click

from distill.cli import options
from distill.cli.own_photos import own_direction, own_photos, steps_shown, tell_skipped


@click.command("photo-pairs")
@own_photos
@click.option(
    "--space",
    type=click.Choice(["w", "w+", "encoder"]),
    help="As of distill project.  [default: encoder, else w+]",
)
@own_direction
@click.option(
    "--strength",
    type=options.FiniteRange(-100, 100),
    help="Below 0: down.  [default: gender 5, age 4.5, others 4]",
)
@click.option("--one-way", is_flag=True, help="gender, smile: move all faces one way.")
@click.option(
    "--min-change",
    type=options.POSITIVE,
    help="Of age, yaw.  [default: 10 years, 8 degrees]",
)
@click.option(
    "--scorer", default="builtin", show_default=True, metavar="NAME|FILE", help="Who judges the change."
)
@click.option(
    "--max-identity-distance",
    type=options.FiniteRange(0, 2, min_open=True),
    default=0.65,
    show_default=True,
    help="Most distance of the two faces.",
)
@options.device
@options.as_json
def photo_pairs(
    photos: tuple[str, ...],
    out: Any,
    direction: str,
    strength: float | None,
    one_way: bool,
    min_change: float | None,
    scorer: str,
    max_identity_distance: float,
    as_json: bool,
    **given: Any,
) -> None:
    """Edit photos of your own along a direction into pairs to train on: DIR/source/NAME.png, DIR/target/NAME.png.

    A student of drawn pairs that goes on with such pairs does better on photographs. The largest face of each photo
    is cut out and projected (DIR/projections), and moved along the direction. What this changes in the drawn picture
    is added to the photo; where much changes, such as hair, the drawn picture takes over. Gender and smile go to
    their other side; age goes up, or down with a --strength below 0. A pair stays if the scorer sees the change and
    the target shows one face, of the same person. DIR/sheet.png shows the pairs. The same command resumes.

    \b
    distill photo-pairs holiday/ --direction gender --out pairs
    distill photo-pairs --from projected/ --direction age --strength -4.5 --out younger
    """
    from distill.editing.own_latents import OwnPhotos
    from distill.editing.photo_pairs import PhotoPairsRequest, make_photo_pairs
    from distill.progress import Progress

    request = PhotoPairsRequest(
        own=OwnPhotos(photos=photos, out=out, **given),
        direction=direction,
        strength=strength,
        one_way=one_way,
        min_change=min_change,
        scorer=scorer,
        max_identity_distance=max_identity_distance,
    )
    found = make_photo_pairs(request, steps_shown, lambda count: Progress(count, noun="photo", keep=False))
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2))
    else:
        tell_skipped(found.skipped)
        click.echo("\n".join([*found.lines(), *found.next_lines()]))
    found.check()
