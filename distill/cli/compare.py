"""`distill compare`: methods of face editing beside each other, in one table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from distill.cli import help_texts, options
from distill.cli.tasks import all_recipes

if TYPE_CHECKING:
    from distill.evaluation.comparison.run import Comparison


@click.command(
    "compare",
    help=help_texts.COMPARE,
    short_help="Set methods of face editing beside each other in one table.",
)
@click.argument("photos", metavar="[PHOTOS]", required=False, type=options.PATH)
@click.option("--truth", type=options.PATH,
              help="Instead: a folder of true pairs, with a CSV that names them.")  # fmt: skip
@click.option("--column", type=options.TEXT,
              help="With --truth: the edited pictures.  [default: --edit, or the only one]")  # fmt: skip
@click.option("--edit", type=options.TEXT, metavar="ATTRIBUTE=VALUE",
              help="gender=female|male, age=older|younger, or NAME=yes|no.")  # fmt: skip
@click.option("--method", "methods", multiple=True, type=options.TEXT, metavar="NAME=WHAT",
              help="A method, as above; repeatable.")  # fmt: skip
@click.option(
    "--labels", type=options.FILE, help="CSV of who has the attribute already.  [default: by --scorer]"
)
@click.option("--real", type=options.PATH,
              help="Real pictures of the target.  [default: photos that have the value]")  # fmt: skip
@click.option("--out", required=True, type=options.PATH, metavar="DIR", help="Folder of the comparison.")
@click.option("--align", type=click.Choice(["ffhq", "none"]), default="ffhq", show_default=True,
              help="none: photos are framed already, squares of one size.")  # fmt: skip
@click.option(
    "--size",
    type=options.WholeRange(16, 2048),
    help="Side of faces in px.  [default: the largest method's]",
)
@click.option("--limit", type=options.COUNT, help="At most so many photos on either side, evenly spread.")
@click.option("--latent-limit", type=options.WholeRange(4, options.MAX_COUNT), default=48, show_default=True,
              help="Photos for latent edits, evenly spread.")  # fmt: skip
@click.option("--strength", type=options.FiniteRange(0, 100, min_open=True),
              help="Of latent edits: how far.  [default: the task's]")  # fmt: skip
@click.option("--in-page", type=options.WholeRange(1, 1000), default=40, show_default=True,
              help="Photos on the page for blind comparison.")  # fmt: skip
@click.option(
    "--batch", type=options.WholeRange(1, 1024), default=8, show_default=True, help="Images at once."
)
@click.option("--features", type=options.TEXT, default="auto", show_default=True,
              help="efficientnet_lite0, inception[=FILE] or pixels8.")  # fmt: skip
@click.option("--perceptual", type=options.TEXT, default="auto", show_default=True,
              help="Perceptual distance: efficientnet_lite0, vgg19, none.")  # fmt: skip
@click.option("--scorer", type=options.TEXT, default="auto", show_default=True,
              help="Judge of faces: face-api[=FILE], builtin or a file.")  # fmt: skip
@options.seed
@options.device
@options.precision
@options.norm_statistics
@options.dry_run
@options.as_json
def compare(dry_run: bool, as_json: bool, methods: tuple[str, ...], **given: Any) -> None:
    """Prepare the comparison, then print the plan or run it."""
    from distill.evaluation.comparison.report import FILES, MADE_BY
    from distill.evaluation.comparison.run import prepare
    from distill.faces.outputs import OutputFolder
    from distill.files import path_text
    from distill.progress import Progress

    check_place(given["photos"], given)
    OutputFolder(given["out"], MADE_BY).reserve_files(FILES)
    ready = prepare(request_of(methods, given), all_recipes())
    if dry_run:
        print_plan(ready, as_json=as_json)
        return

    def bar(total: int, title: str) -> Progress:
        shown = Progress(total, noun="picture", quiet=as_json, keep=False)
        shown.beside(title)
        return shown

    with OutputFolder(given["out"], MADE_BY) as outputs:
        outputs.reserve_files(FILES)
        report = ready.run(outputs, bar)
        written = report.write(outputs)
    click.echo(report.json() if as_json else f"{report.table()}\n{', '.join(map(path_text, written))}")


def check_place(photos: Path | None, given: dict[str, Any]) -> None:
    """Raise UsageError unless one place of pictures is given, and for options that go with the other."""
    if (photos is None) == (given["truth"] is None):
        raise click.UsageError("give one of PHOTOS, a folder of photographs, and --truth DIR, true pairs")
    if given["truth"] is None:
        if given["edit"] is None:
            raise click.UsageError("--edit says what is compared, such as gender=female or age=older")
        if given["column"] is not None:
            raise click.UsageError("--column goes with --truth: it names a column of its table")
    else:
        for name in ("labels", "real"):
            if given[name] is not None:
                raise click.UsageError(f"--{name} goes with PHOTOS: true pairs say what they should become")


def request_of(methods: tuple[str, ...], given: dict[str, Any]) -> Any:
    from distill.evaluation.comparison.request import CompareRequest, parse_methods

    return CompareRequest(methods=parse_methods(methods), **given)


def print_plan(ready: Comparison, *, as_json: bool) -> None:
    from distill.evaluation.report import head_text
    from distill.files import path_text

    out = ready.request.out
    if as_json:
        click.echo(json.dumps({**ready.facts(), "out": path_text(out, line=False)}, indent=2))
    else:
        click.echo(head_text([*ready.outline(), ("out", path_text(out))]))
