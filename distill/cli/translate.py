"""`distill translate`: run a student on a person's own photos."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from distill.cli import options

if TYPE_CHECKING:
    from distill.editing.translate import TranslateRequest
    from distill.editing.translator import Translator


@click.command("translate")
@options.photos
@click.option(
    "--model",
    required=True,
    metavar="NAME|RUN|FILE",
    type=options.STUDENT,
    help="The student: a name of distill weights list, a run of distill train-…, or a file: .safetensors, or a"
    " published generator of pix2pixHD, CycleGAN (*_net_G.pth) or StarGAN (*-G.ckpt).",
)
@options.edit
@click.option(
    "--strip",
    type=options.TEXT,
    metavar="NAME=FROM:TO:COUNT",
    help="Also a row of each face, as DIR/strip/NAME.png: age=-30:30:7.",
)
@click.option("--reverse", is_flag=True, help="Second domain to first, of a run of train-cyclegan.")
@click.option(
    "--style",
    metavar="IMAGE",
    type=options.PATH,
    help="The second face, for students of two inputs: of style-mix the style, of region-swap the reference.",
)
@options.photos_out
@click.option(
    "--size",
    type=options.WholeRange(16, 2048),
    help="Side (height) of the images in px.  [default: as trained, else 256]",
)
@click.option(
    "--align",
    default="ffhq",
    show_default=True,
    type=click.Choice(["ffhq", "none"]),
    help="none: the middle goes in: for drawings, clothes, and faces framed already.",
)
@click.option(
    "--paste-back",
    is_flag=True,
    help="Also blend the result into the photo, as DIR/pasted/NAME.png.",
)
@options.all_faces
@options.face_index
@click.option(
    "--batch",
    default=8,
    show_default=True,
    type=options.WholeRange(1, 1024),
    help="Faces translated at a time.",
)
@options.mark
@options.device
@options.precision
@options.norm_statistics
@options.as_json
def translate(all_faces: bool, face_index: int | None, as_json: bool, **given: Any) -> None:
    """Turn the face of each of PHOTOS (files and folders) into what a student makes of it, as DIR/NAME.png.

    A face is found, turned upright and cut out as by `distill align`. DIR/compare holds inputs and output side by
    side, DIR/sheet.png all of them together. Photos without a face are skipped and counted.

    Videos (extra: pip install 'distill[video]') become DIR/NAME.mp4: the face is followed, each frame holds it
    pasted back, and the sound stays as it was. With --all-faces every face.

    \b
    distill translate me.jpg --model gender-swap --out swapped
    distill translate holiday/ --model attributes --edit age=+20,smile=1 --paste-back --out older
    distill translate me.jpg --model style-mix --style you.jpg --out mixed
    distill translate clip.mp4 --model gender-swap --out swapped
    distill translate me.jpg --model attributes --strip age=-30:30:7 --out ages
    """
    options.check_faces(all_faces, face_index)
    if given["align"] == "none" and (all_faces or face_index is not None):
        raise click.UsageError("--align none looks for no faces: leave out --all-faces and --face-index")
    from distill.editing.photos_and_videos import split_files, translate_files
    from distill.editing.translate import TranslateRequest, change_lines, open_translator
    from distill.progress import Progress

    request = TranslateRequest(all_faces=all_faces, face_index=face_index or 0, **given)
    files = split_files(request)
    ready = open_translator(request)
    options.tell(ready.notes(chosen=request.size is not None))
    if ready.student.facts.task == "drawing-to-face" and request.align != "none":
        options.tell(
            ["faces are looked for; of drawings in which none is found take the middle by --align none"]
        )
    with Progress(
        len(files.photos.files), noun="photo", keep=False, quiet=not files.photos.files
    ) as progress:
        found = translate_files(request, files, ready, advance=progress.advance)
    if as_json:
        click.echo(json.dumps(found.to_json(request, ready), indent=2))
    else:
        if found.photos.done:
            click.echo(f"{found.photos.summary('translated')}{_where(request, ready)}")
        for line in change_lines(found.photos.done):
            click.echo(line)
        for line in found.lines(all_faces=all_faces):
            click.echo(line)
    found.check()


def _where(request: TranslateRequest, ready: Translator) -> str:
    from distill.files import path_text

    height, width = ready.sides
    how = f"{width}×{height}, {ready.student.device.type}, {ready.student.precision}"
    by = f" by {ready.student.edit}" if ready.student.edit else ""
    out, sheet = path_text(request.out), path_text(request.out / "sheet.png")
    strips = f"strips: {path_text(request.out / 'strip' / 'NAME.png')}; " if request.strip else ""
    return f"{by} ({how}) into {out}; {strips}all on one sheet: {sheet}"
