"""`distill assess-teacher`: what a trained generator can do, in numbers and pictures."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
from click.core import ParameterSource

from distill.cli import help_texts, options

if TYPE_CHECKING:
    from distill.evaluation.generator_metrics.names import MetricName
    from distill.evaluation.generator_metrics.request import MetricsRequest
    from distill.evaluation.teacher import AssessRequest


@click.command(
    "assess-teacher", help=help_texts.ASSESS, short_help="Measure a generator; write pictures and a card."
)
@click.argument("source", metavar="NAME|PATH")
@click.option("--data", type=options.PATH, help="Its training pictures: a folder, or a data set.")
@click.option("--metrics", type=options.TEXT, default="overview", show_default=True, metavar="NAME,…",
              help="overview, and published measures: see above.")  # fmt: skip
@click.option("--samples", type=options.COUNT,
              help="Samples to draw.  [default: overview 1000, else by name]")  # fmt: skip
@click.option("--pictures", type=options.WholeRange(2),
              help="Most pictures of --data.  [default: overview 2000, else all]")  # fmt: skip
@click.option("--truncation-psi", type=options.FiniteRange(0, 2), default=0.7, show_default=True,
              help="Truncation of the overview.")  # fmt: skip
@click.option("--psi", type=options.TEXT, default="1", show_default=True, metavar="ψ,…",
              help="Truncations of fid, kid and pr; several make a sweep.")  # fmt: skip
@options.seed
@click.option("--faces/--no-faces", default=None, help="Look for faces.  [default: where it draws faces]")
@click.option("--features", default="auto", show_default=True,
              help="efficientnet_lite0, inception[=FILE] or pixels8.")  # fmt: skip
@click.option("--lpips", type=options.FILE, metavar="FILE",
              help="VGG16 with LPIPS, for ppl and pr.  [default: fetched vgg16-lpips]")  # fmt: skip
@click.option("--crop-form", type=click.Choice(["tf", "ada"]), default="tf", show_default=True,
              help="Program that path lengths follow above 256 px.")  # fmt: skip
@click.option("--scorer", "scorers", type=options.TEXT, multiple=True, metavar="builtin|FILE",
              help="Scorer of ls; repeatable.  [default: builtin: gender and age]")  # fmt: skip
@click.option("--out", type=options.PATH,
              help="Folder of the results.  [default: NAME-assessment]")  # fmt: skip
@click.option("--card", type=options.FILE, metavar="FILE.md",
              help="Also put the sections into this model card, and the grid beside it.")  # fmt: skip
@click.option("--show-nearest", is_flag=True,
              help="Write nearest.png, which shows training pictures: mind whom they show.")  # fmt: skip
@options.workers
@click.option("--cluster", help="For published measures: none, local or an address; see above.")
@options.device
@options.dry_run
@options.as_json
def assess_teacher(dry_run: bool, as_json: bool, metrics: str, samples: int | None, **given: Any) -> None:
    """Prepare what is asked for, then print the plans or measure."""
    from distill.evaluation.generator_metrics.names import split_overview

    overview, names = split_overview(metrics)
    check_idle(asked_of(overview=overview, names=names, data=given["data"]))
    jobs: dict[str, Job] = {}
    if overview:
        jobs["overview"] = overview_job(overview_of(samples, beside=bool(names), **given), quiet=as_json)
    if names:
        jobs["metrics"] = metrics_job(metrics_of(names, samples, **given), quiet=as_json)
    done = [job.plan() if dry_run else job.work() for job in jobs.values()]
    if len(jobs) == 1 and not dry_run and (line := next(iter(jobs.values())).beside()):
        say(line)
    if as_json:
        facts = dict(zip(jobs, (facts for facts, _ in done), strict=True))
        click.echo(json.dumps(facts if len(facts) > 1 else done[0][0], indent=2, ensure_ascii=False))
        return
    click.echo("\n\n".join(text for _, text in done))


OVERVIEW, SCORE, MEASURES = "the overview", "the overview beside --data", "published measures"
COMPARING = ("fid", "kid", "pr")
HEEDED = {  # by option: its flag, and what heeds it
    "truncation_psi": ("--truncation-psi", (OVERVIEW,)),
    "faces": ("--faces", (OVERVIEW,)),
    "show_nearest": ("--show-nearest", (OVERVIEW,)),
    "data": ("--data", (OVERVIEW, *COMPARING)),
    "pictures": ("--pictures", (SCORE, *COMPARING)),
    "features": ("--features", (SCORE, *COMPARING)),
    "psi": ("--psi", COMPARING),
    "lpips": ("--lpips", ("path lengths", "pr")),
    "crop_form": ("--crop-form", ("path lengths",)),
    "scorers": ("--scorer", ("ls",)),
    "workers": ("--workers", (MEASURES,)),
    "cluster": ("--cluster", (MEASURES,)),
}


def asked_of(*, overview: bool, names: Sequence[MetricName], data: Path | None) -> set[str]:
    """Tell what is asked for, in the words of HEEDED."""
    from distill.metrics.path_length import KINDS

    asked = {"path lengths" if name.measure in KINDS else name.measure for name in names}
    asked |= {MEASURES} if names else set()
    asked |= {OVERVIEW} if overview else set()
    return asked | ({SCORE} if overview and data else set())


def check_idle(asked: set[str]) -> None:
    """Refuse an option that nothing would heed."""
    context = click.get_current_context()
    for name, (flag, heeding) in HEEDED.items():
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT and not asked & set(heeding):
            *some, last = heeding
            whose = f"{', '.join(some)} and {last}" if some else last
            raise click.UsageError(f"{flag} is of {whose}, and nothing of that is asked for")


Told = tuple[dict[str, Any], str]  # as plain values, and for people


class Job(NamedTuple):
    """A measurement whose request has been checked."""

    plan: Callable[[], Told]
    work: Callable[[], Told]
    beside: Callable[[], str]  # says what else is in --out


def overview_job(request: AssessRequest, *, quiet: bool) -> Job:
    from distill.evaluation.assessment_folder import MEASURES, OVERVIEW, held_folder, results_beside
    from distill.evaluation.card_section import check_card
    from distill.evaluation.teacher import assess, prepare
    from distill.evaluation.teacher_card import SECTION, table, write_assessment
    from distill.evaluation.teacher_measures import in_blocks

    check_card(request.card, SECTION, grid=True)
    inputs = prepare(request, skipped=say)

    def work() -> Told:
        with held_folder(inputs.out, OVERVIEW) as outputs:
            found, samples = assess(inputs, blocks=partial(in_blocks, quiet=quiet))
            written = write_assessment(inputs, found, samples, outputs)
        lines = [table(found), "", *(f"left out: {text}" for text in found.left_out)]
        return found.to_json(), "\n".join([*lines, ", ".join(map(str, written))])

    return Job(lambda: plan_of(inputs.plan()), work, lambda: results_beside(inputs.out, MEASURES))


def metrics_job(request: MetricsRequest, *, quiet: bool) -> Job:
    from distill.cli.signals import stop_on_signals
    from distill.devices import keep_freed_memory
    from distill.evaluation.assessment_folder import MEASURES, OVERVIEW, held_folder, results_beside
    from distill.evaluation.card_section import check_card
    from distill.evaluation.generator_metrics import report
    from distill.evaluation.generator_metrics.plan import prepare
    from distill.evaluation.generator_metrics.results import measure
    from distill.evaluation.generator_metrics.run import StageBars, plan_facts, read_missing

    keep_freed_memory()  # before any thread begins
    check_card(request.card, report.SECTION)
    run = prepare(request, skipped=say)

    def work() -> Told:
        with held_folder(run.out, MEASURES) as outputs:
            with stop_on_signals() as stop, StageBars(run, quiet=quiet) as bars:
                read_missing(run, stop=stop, count=bars.count, note=bars.note)
            measured = measure(run)
            written = report.write_metrics(run, measured, outputs)
        text = "\n\n".join([report.text(run, measured), ", ".join(map(str, written))])
        return report.to_json(run, measured), text

    return Job(lambda: plan_of(plan_facts(run)), work, lambda: results_beside(run.out, OVERVIEW))


def overview_of(
    samples: int | None,
    *,
    beside: bool,
    source: str,
    data: Path | None,
    pictures: int | None,
    truncation_psi: float,
    seed: int,
    faces: bool | None,
    features: str,
    out: Path | None,
    card: Path | None,
    show_nearest: bool,
    device: str,
    **others: Any,
) -> AssessRequest:
    """Gather the options of the overview; `beside` the published measures it takes no more samples than alone."""
    from distill.evaluation.teacher import PICTURES, SAMPLES, AssessRequest

    if show_nearest and data is None:
        raise click.UsageError("--show-nearest needs --data")
    count = samples or SAMPLES
    return AssessRequest(
        source=source,
        data=data,
        samples=min(count, SAMPLES) if beside else count,
        pictures=pictures or PICTURES,
        truncation_psi=truncation_psi,
        seed=seed,
        faces=faces,
        features=features,
        out=out,
        card=card,
        show_nearest=show_nearest,
        device=device,
    )


def metrics_of(names: Any, samples: int | None, **given: Any) -> MetricsRequest:
    """Gather the options of the published measures."""
    from distill.evaluation.generator_metrics.names import counted
    from distill.evaluation.generator_metrics.request import BUILTIN, MetricsRequest, read_psis

    taken = (
        "source",
        "data",
        "pictures",
        "seed",
        "features",
        "lpips",
        "crop_form",
        "out",
        "card",
        "device",
        "workers",
        "cluster",
    )
    return MetricsRequest(
        metrics=counted(names, samples),
        psi=read_psis(given["psi"]),
        scorers=given["scorers"] or BUILTIN,
        **{name: given[name] for name in taken},
    )


def say(line: str) -> None:
    click.echo(line, err=True)


def plan_of(plan: dict[str, Any]) -> Told:
    from distill.evaluation.report import head_text

    return plan, head_text([(name.replace("_", " "), str(value)) for name, value in plan.items()])
