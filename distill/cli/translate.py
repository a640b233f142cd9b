"""`distill translate`: run a student on a person's own photos."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from distill.cli import help_texts, options

if TYPE_CHECKING:
    from distill.editing.translate import TranslateRequest
    from distill.editing.translator import Translator


@click.command("translate", help=help_texts.TRANSLATE)
@options.photos
@click.option(
    "--model",
    required=True,
    metavar="NAME|RUN|FILE",
    type=options.STUDENT,
    help="A student: a name, a run or a file; see above.",
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
    help="Second input: style of style-mix, reference of region-swap.",
)
@options.photos_out
@click.option(
    "--size",
    type=options.WholeRange(16, 2048),
    help="Height in px.  [default: as trained, else 256]",
)
@click.option(
    "--align",
    default="ffhq",
    show_default=True,
    type=click.Choice(["ffhq", "none"]),
    help="none: take the middle, as of drawings or clothes.",
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
    help="Faces at a time.",
)
@options.mark
@options.device
@options.precision
@options.norm_statistics
@options.as_json
def translate(all_faces: bool, face_index: int | None, as_json: bool, **given: Any) -> None:
    """Find the faces, then translate photos and videos."""
    options.check_faces(all_faces, face_index)
    if given["align"] == "none" and (all_faces or face_index is not None):
        raise click.UsageError("--align none looks for no faces: leave out --all-faces and --face-index")
    from distill.editing.photos_and_videos import notes_of, split_files, translate_files
    from distill.editing.translate import TranslateRequest, change_lines, open_translator
    from distill.progress import Progress

    request = TranslateRequest(all_faces=all_faces, face_index=face_index or 0, **given)
    files = split_files(request)
    ready = open_translator(request)
    options.tell(notes_of(request, ready))
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
