"""`distill assess-teacher`: what a trained generator can do, in numbers and pictures."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import click

from distill.cli import options


@click.command("assess-teacher", short_help="Measure a generator; write pictures and a card.")
@click.argument("source", metavar="NAME|PATH")
@click.option("--data", type=options.PATH, help="Its training pictures: a folder, or a data set.")
@click.option("--samples", type=click.IntRange(2, 10_000), default=1000, show_default=True)
@click.option("--pictures", type=click.IntRange(2), default=2000, show_default=True,
              help="At most so many training pictures, chosen by the seed.")  # fmt: skip
@click.option("--truncation-psi", type=options.FiniteRange(0, 2), default=0.7, show_default=True)
@options.seed
@click.option("--faces/--no-faces", default=None, help="Look for faces.  [where it draws faces]")
@click.option("--features", default="auto", show_default=True,
              help="Of the score: auto, efficientnet_lite0, inception[=FILE] or pixels8.")  # fmt: skip
@click.option("--out", type=options.PATH, help="Folder for the results.  [NAME-assessment]")
@click.option("--card", type=options.FILE, metavar="FILE.md",
              help="Also put the section into this model card, and its grid beside it.")  # fmt: skip
@click.option("--show-nearest", is_flag=True,
              help="Write nearest.png, which shows training pictures: mind whom they show.")  # fmt: skip
@options.device
@click.option("--dry-run", is_flag=True, help="Print the plan; draw and write nothing.")
@options.as_json
def assess_teacher(dry_run: bool, as_json: bool, **given: Any) -> None:
    """Draw samples of a generator and measure them: score, variety, faces, likeness to its training pictures.

    --out gets samples.png, samples-psi1.png, truncation.png, report.json and assessment.md. Without --data there
    is no score and no likeness. The descriptors of faces take most of the time: about 0.2 s a face.

    \b
    distill assess-teacher runs/faces/generator.safetensors --data data/faces
    distill assess-teacher portraits --data faces/ --samples 200 --out look
    """
    from distill.evaluation.teacher import AssessRequest, assess, prepare
    from distill.evaluation.teacher_card import check_card, table, write_assessment
    from distill.evaluation.teacher_measures import in_blocks
    from distill.files import check_folder

    request = AssessRequest(**given)
    if not 0 <= request.truncation_psi <= 2:  # nan passes the range above
        raise click.UsageError("--truncation-psi is a number from 0 to 2")
    if request.show_nearest and request.data is None:
        raise click.UsageError("--show-nearest needs --data")
    inputs = prepare(request, skipped=lambda line: click.echo(line, err=True))
    check_card(request.card)
    if dry_run:
        print_plan(inputs.plan(), as_json=as_json)
        return
    check_folder(inputs.out)  # a place that cannot be written to shows before minutes of work
    found, samples = assess(inputs, blocks=partial(in_blocks, quiet=as_json))
    written = write_assessment(inputs, found, samples)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2, ensure_ascii=False))
        return
    lines = [table(found), "", *(f"left out: {text}" for text in found.left_out)]
    click.echo("\n".join([*lines, ", ".join(map(str, written))]))


def print_plan(plan: dict[str, Any], *, as_json: bool) -> None:
    from distill.evaluation.report import head_text

    if as_json:
        click.echo(json.dumps(plan, indent=2))
    else:
        click.echo(head_text([(name.replace("_", " "), str(value)) for name, value in plan.items()]))
