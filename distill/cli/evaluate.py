"""`distill evaluate`: a student in numbers, beside what doing nothing would score."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from distill.cli import help_texts, options
from distill.cli.tasks import all_recipes

if TYPE_CHECKING:
    from distill.evaluation.photos import PhotosEvaluation
    from distill.evaluation.report import EvaluationReport
    from distill.evaluation.response.run import ResponseEvaluation
    from distill.evaluation.student import StudentEvaluation
    from distill.evaluation.truth import TruthEvaluation

    AnyEvaluation = StudentEvaluation | PhotosEvaluation | ResponseEvaluation | TruthEvaluation


@click.command(
    "evaluate", help=help_texts.EVALUATE, short_help="Score a student beside two baselines, and time it."
)
@click.argument("source", metavar="NAME|RUN|FILE", type=options.STUDENT)
@click.option("--data", type=options.PATH, help="The data set: a folder of shards.")
@click.option("--photos", type=options.PATH, help="Instead: a folder of photos of faces.")
@click.option("--truth", type=options.PATH,
              help="Instead: a folder of true pairs, with a CSV that names them.")  # fmt: skip
@click.option("--column", type=options.TEXT, metavar="COLUMN",
              help="With --truth: column of the edited pictures.  [default: the only one]")  # fmt: skip
@options.edit
@click.option("--out", type=options.PATH, help="Folder of the results.  [default: RUN/evaluation]")
@click.option("--limit", type=options.COUNT, help="At most so many rows or photos, evenly spread.")
@click.option(
    "--batch", type=options.WholeRange(1, 1024), default=8, show_default=True, help="Images at once."
)
@click.option("--features", type=options.TEXT, default="auto", show_default=True,
              help="efficientnet_lite0, inception[=FILE] or pixels8.")  # fmt: skip
@click.option("--perceptual", type=options.TEXT, default="auto", show_default=True,
              help="Perceptual distance: efficientnet_lite0, vgg19, none.")  # fmt: skip
@click.option("--faces", type=options.WholeRange(0, options.MAX_COUNT),
              help="With --data: rows whose faces are compared.  [default: 64]")  # fmt: skip
@click.option("--scorer", type=options.TEXT, default="auto", show_default=True,
              help="Judge of faces: face-api[=FILE], builtin or a file.")  # fmt: skip
@click.option("--latent-edit", is_flag=True,
              help="With --photos or --truth: edit the faces in the teacher too.")  # fmt: skip
@click.option("--strength", type=options.FiniteRange(0, 100, min_open=True),
              help="Of latent edits: how far.  [default: the task's]")  # fmt: skip
@click.option("--style", metavar="IMAGE", type=options.PATH,
              help="With --photos: the second face, for students of two inputs.")  # fmt: skip
@click.option("--teacher", type=options.TEXT, metavar="NAME|PATH",
              help="The generator to time and edit in.  [default: the recipe's]")  # fmt: skip
@options.device
@options.precision
@options.norm_statistics
@options.dry_run
@options.as_json
def evaluate(dry_run: bool, as_json: bool, **given: Any) -> None:
    """Prepare the evaluation, then print the plan or run it."""
    from distill.evaluation.report import check_report_folder, report_folder
    from distill.files import path_text

    ready = prepare(**given)
    check_report_folder(ready.out, ready.files)
    options.tell(ready.notes())
    if dry_run:
        print_plan(ready, as_json=as_json)
        return
    with report_folder(ready.out, ready.files) as outputs:
        report = run_shown(ready, quiet=as_json)
        written = report.write(outputs)
    click.echo(report.json() if as_json else f"{report.table}\n{', '.join(map(path_text, written))}")


def prepare(
    *,
    data: Path | None,
    photos: Path | None,
    truth: Path | None,
    column: str | None,
    style: Path | None,
    latent_edit: bool,
    strength: float | None,
    features: str,
    perceptual: str,
    faces: int | None,
    **common: Any,
) -> AnyEvaluation:
    """Make the request for a data set, for photos or for true pairs, and open what it names."""
    from distill.evaluation import photos as on_photos
    from distill.evaluation import truth as on_truth
    from distill.evaluation.response import run as response

    check_choice(data, photos, truth, column)
    check_strength(strength, latent_edit)
    in_teacher: dict[str, Any] = {"latent_edit": latent_edit, "strength": strength}
    of_data = {"--features": features != "auto", "--faces": faces is not None}
    if truth is not None:
        if style is not None:
            raise click.UsageError("--style goes with --photos: true pairs are of one face")
        check_of_data(of_data)
        check_in_teacher("--truth", common["teacher"], latent_edit)
        on_pairs = on_truth.EvaluateTruthRequest(
            truth=truth, column=column, perceptual=perceptual, **in_teacher, **common
        )
        return on_truth.prepare(on_pairs, all_recipes())
    if photos is not None:
        check_of_data({**of_data, "--perceptual": perceptual != "auto"})
        check_in_teacher("--photos", common["teacher"], latent_edit)
        on_faces = on_photos.EvaluatePhotosRequest(photos=photos, style=style, **in_teacher, **common)
        return response.prepare(on_faces, all_recipes())
    of_faces = {} if faces is None else {"faces": faces}
    return prepare_data(
        style, latent_edit, data=data, features=features, perceptual=perceptual, **of_faces, **common
    )


def prepare_data(style: Path | None, latent_edit: bool, **request: Any) -> StudentEvaluation:
    """Make the request for a data set, and open what it names. Raises UsageError for what goes with photos."""
    from distill.evaluation import student as on_data

    if latent_edit:
        raise click.UsageError("--latent-edit goes with --photos: a data set's target is the edit itself")
    if style is not None:
        raise click.UsageError("--style goes with --photos: a data set brings all inputs")
    return on_data.prepare(on_data.EvaluateRequest(**request))


def check_strength(strength: float | None, latent_edit: bool) -> None:
    """Raise UsageError for a strength of an edit that is not asked for."""
    if strength is not None and not latent_edit:
        raise click.UsageError("--strength goes with --latent-edit")


def check_of_data(given: Mapping[str, bool]) -> None:
    """Raise UsageError for options that were given and mean something for a data set alone."""
    if wrong := [name for name, is_given in given.items() if is_given]:
        raise click.UsageError(f"{' and '.join(wrong)} {'goes' if len(wrong) == 1 else 'go'} with --data")


def check_in_teacher(place: str, teacher: str | None, latent_edit: bool) -> None:
    """Raise UsageError for a teacher that nothing is edited in."""
    if teacher is not None and not latent_edit:
        raise click.UsageError(f"with {place} --teacher goes with --latent-edit")


def check_choice(data: Path | None, photos: Path | None, truth: Path | None, column: str | None) -> None:
    """Raise UsageError where what is measured on is not said, or said twice."""
    if sum(given is not None for given in (data, photos, truth)) != 1:
        raise click.UsageError(
            "give one of --data DIR, a data set, --photos DIR, a folder of photos, and --truth DIR, true pairs"
        )
    if column is not None and truth is None:
        raise click.UsageError("--column goes with --truth: it names a column of its table")


def run_shown(ready: AnyEvaluation, *, quiet: bool) -> EvaluationReport:
    """Run an evaluation with progress."""
    from distill.progress import Progress

    with Progress(ready.count, noun=ready.noun, quiet=quiet, keep=False) as progress:

        def note(line: str) -> None:
            progress.beside(line)
            progress.advance(0)

        return ready.run(progress.advance, note)


def print_plan(ready: AnyEvaluation, *, as_json: bool) -> None:
    from distill.evaluation.report import head_text
    from distill.files import path_text

    if as_json:
        click.echo(json.dumps({**ready.facts(), "out": path_text(ready.out, line=False)}, indent=2))
    else:
        click.echo(head_text([*ready.head(), ("out", path_text(ready.out))]))
