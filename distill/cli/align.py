"""`distill align`: cut the faces out of a person's own photos as the generators frame them."""

from __future__ import annotations

import json
from typing import Any

import click

from distill.cli import options


@click.command("align")
@options.photos
@options.photos_out
@click.option(
    "--size",
    default=256,
    show_default=True,
    type=options.WholeRange(16, 2048),
    help="Side of the output in pixels.",
)
@click.option(
    "--mode",
    default="ffhq",
    show_default=True,
    type=click.Choice(["ffhq", "chip"]),
    help="ffhq: for generators and students; chip: dlib's, tighter.",
)
@options.all_faces
@options.face_index
@options.as_json
def align(all_faces: bool, face_index: int | None, as_json: bool, **given: Any) -> None:
    """Find the face in each of PHOTOS (files and folders), turn it upright and cut it out as DIR/NAME.png.

    ffhq is the crop of FFHQ, which face generators and students expect; chip is dlib's get_face_chip. Photos that
    gave no face are listed with the reason. The 68-point landmark model was trained on iBUG 300-W, whose licence
    excludes commercial use; $DISTILL_LANDMARKS names a model of your own.

    \b
    distill align me.jpg --out faces
    distill align holiday/ --all-faces --size 1024 --out faces
    """
    options.check_faces(all_faces, face_index)
    from distill.faces.align_photos import AlignRequest, align_photos
    from distill.faces.find import find_photos
    from distill.files import path_text
    from distill.progress import Progress

    request = AlignRequest(all_faces=all_faces, face_index=face_index or 0, **given)
    photos = find_photos(request.photos, request.out)
    with Progress(len(photos.files), noun="photo", keep=False) as progress:
        found = align_photos(request, photos, advance=progress.advance)
    if as_json:
        facts = {"size": request.size, "mode": request.mode, **found.to_json("aligned")}
        click.echo(json.dumps(facts, indent=2))
    else:
        if found.done:
            how = f"{request.size}×{request.size}, {request.mode}"
            click.echo(f"{found.summary('aligned')} ({how}) into {path_text(request.out)}")
        for line in found.lines(all_faces=all_faces):
            click.echo(line)
    found.check()
