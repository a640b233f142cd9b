"""Photographs → a table of scores: the whole way, read this first."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill.attributes.builtin import BuiltinScorer
from distill.attributes.builtin_layout import builtin_layout
from distill.attributes.builtin_table import Row, TableLayout, as_csv
from distill.attributes.journal import Journal, score_resumably, settings_of
from distill.attributes.network import NetworkScorer
from distill.attributes.network_table import ScoreTable
from distill.attributes.open import BUILTIN, open_scorer
from distill.attributes.photos import Photo, ScoredPhoto, find_named, see
from distill.attributes.protocol import ChipScorer
from distill.attributes.score_csv import ScoreFile, read_scores
from distill.devices import resolve_device
from distill.errors import DistillError, NothingWorked
from distill.faces.photos import photo_detector
from distill.files import atomic_write, check_file, made_folder
from distill.parallel import default_workers
from distill.progress import plural
from distill.shards.images.labels import read_labels
from distill.timing import clock

SAMPLE = 8  # photographs that are looked at to tell the time


@dataclass(frozen=True, kw_only=True)
class ScoreRequest:
    """Which photographs (files and folders), by which scorer, into which table.

    `attributes`: what the built-in scorer gives, None for all. `labels`: a CSV of what is known. `workers`:
    processes, None for one a core where it pays.
    """

    photos: tuple[Path, ...]
    out: Path
    scorer: str = BUILTIN
    attributes: tuple[str, ...] | None = None
    min_confidence: float = 0.9
    labels: Path | None = None
    device: str = "auto"
    workers: int | None = None
    overwrite: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoringJob:
    """A request that can be done: photographs, what is known of each, the scorer and its table."""

    request: ScoreRequest
    photos: Sequence[Photo]
    known: Sequence[Row]
    scorer: ChipScorer | ScoreFile
    table: TableLayout
    workers: int

    def plan_lines(self) -> list[str]:
        """Say what would be done, and after a look at some pictures how long it would take."""
        return [
            f"{plural(len(self.photos), 'picture')} → {self.request.out}, {', '.join(self.scorer.names)}",
            f"known labels for {sum(map(bool, self.known))}",
            *(
                []
                if isinstance(self.scorer, ScoreFile)
                else _try_some(self.photos, self.scorer, self.workers)
            ),
        ]


def plan_scoring(request: ScoreRequest) -> ScoringJob:
    """Open the scorer, find the photographs, read the labels. Raises DistillError before any picture is looked at."""
    check_file(request.out, overwrite=request.overwrite)
    scorer, table = _open(request)
    photos = find_named(request.photos, request.out)
    return ScoringJob(
        request=request,
        photos=photos,
        known=_known(request.labels, table, photos),
        scorer=scorer,
        table=table,
        workers=request.workers or default_workers(len(photos), 200),
    )


def score_images(job: ScoringJob, *, stop: threading.Event, advance: Callable[[int], None]) -> dict[str, Any]:
    """Score, write the table, and return the report; `advance` hears of pictures done.

    Raises Interrupted when `stop` is set (the same call goes on from there), NothingWorked where no picture has
    scores.
    """
    started, out = time.monotonic(), job.request.out
    with made_folder(out.parent):
        scored, rows = _scored_table(job, stop, advance)
    return {
        "out": str(out),
        **_counts(scored),
        "min_confidence": job.request.min_confidence,
        **job.table.summary(scored, rows, job.known),
        "seconds": round(time.monotonic() - started, 1),
    }


def _scored_table(
    job: ScoringJob, stop: threading.Event, advance: Callable[[int], None]
) -> tuple[list[ScoredPhoto], list[Row]]:
    """Score and write the table; leave nothing where no picture has scores."""
    out, sure = job.request.out, job.request.min_confidence
    scored = _score(job, stop, advance)
    if not any(photo.scores for photo in scored):
        journal_path(out).unlink(missing_ok=True)
        raise _nothing(scored)
    rows = [
        job.table.row(photo, known, min_confidence=sure)
        for photo, known in zip(scored, job.known, strict=True)
    ]
    atomic_write(out, as_csv(rows))
    journal_path(out).unlink(missing_ok=True)
    return scored, rows


def report_lines(report: Mapping[str, Any], table: TableLayout, *, skips: int = 20) -> list[str]:
    """Put a report into words; at most `skips` pictures without scores are named."""
    rate = report["pictures"] / max(report["seconds"], 0.1)
    lines = [
        f"{report['scored']} of {report['pictures']} pictures scored → {report['out']} ({rate:.1f} pictures/s)",
        *table.lines(report),
    ]
    if report["several_faces"]:
        lines.append(f"several faces in {report['several_faces']}: the largest was scored")
    if gone := report["skips"]:
        reasons = ", ".join(f"{reason} {count}" for reason, count in report["skipped"].items())
        lines.append(f"without scores {len(gone)}: {reasons}")
        lines += [f"  {skip['reason']}: {skip['name']} ({skip['detail']})" for skip in gone[:skips]]
        lines += [f"  … and {len(gone) - skips} more, in the table"] if len(gone) > skips else []
    return lines


def journal_path(out: Path) -> Path:
    """Where what was scored is kept until the table is complete."""
    return out.with_name(f"{out.name}.part")


def _open(request: ScoreRequest) -> tuple[ChipScorer | ScoreFile, TableLayout]:
    """Open the scorer, and say what its table looks like."""
    source = request.scorer
    if request.attributes is not None and source != BUILTIN:
        raise DistillError(
            f"--attributes is for the built-in scorer, --scorer {source} has its own: leave it out"
        )
    if source.lower().endswith(".csv"):
        scores = read_scores(Path(source))
        return scores, ScoreTable.of_kinds(scores.kinds)
    device = resolve_device(request.device)
    if request.attributes is not None:
        builtin = BuiltinScorer(request.attributes, device=device)
        return builtin, builtin_layout(builtin)
    scorer = open_scorer(source, device=device)
    if isinstance(scorer, BuiltinScorer):
        return scorer, builtin_layout(scorer)
    if isinstance(scorer, NetworkScorer):
        return scorer, ScoreTable.of_network(scorer.settings)
    return scorer, ScoreTable.of_kinds(scorer.kinds)


def _known(labels: Path | None, table: TableLayout, photos: Sequence[Photo]) -> list[Row]:
    names = [photo.name for photo in photos]
    if labels is None:
        return [{} for _ in names]
    known = table.known(read_labels(labels), names)
    if not any(known):
        raise DistillError(f"label file {labels}: it names none of the pictures, such as {names[0]}")
    return known


def _score(job: ScoringJob, stop: threading.Event, advance: Callable[[int], None]) -> list[ScoredPhoto]:
    if isinstance(job.scorer, ScoreFile):
        return job.scorer.photos(job.photos)
    landmarks = (
        photo_detector().landmarks_sha256 if job.scorer.needs_face else ""
    )  # a missing model shows here
    journal = Journal(journal_path(job.request.out), settings_of(job.scorer, landmarks))
    return score_resumably(job.photos, job.scorer, journal, workers=job.workers, stop=stop, progress=advance)


def _nothing(scored: Sequence[ScoredPhoto]) -> NothingWorked:
    first = scored[0]
    return NothingWorked(
        f"none of {len(scored)} pictures gave scores; the first, {first.name}: {first.reason} ({first.detail}); "
        "nothing was written"
    )


def _counts(scored: Sequence[ScoredPhoto]) -> dict[str, Any]:
    faces = [photo for photo in scored if photo.scores]
    skips = [photo for photo in scored if not photo.scores]
    return {
        "pictures": len(scored),
        "scored": len(faces),
        "several_faces": sum(photo.faces > 1 for photo in faces),
        "skipped": dict(Counter(photo.reason for photo in skips).most_common()),
        "skips": [{"name": skip.name, "reason": skip.reason, "detail": skip.detail} for skip in skips],
    }


def _try_some(photos: Sequence[Photo], scorer: ChipScorer, workers: int) -> list[str]:
    """Look at a few pictures spread over all; tell what they suggest of the whole."""
    chosen = photos[:: max(1, len(photos) // SAMPLE)][:SAMPLE]
    see(chosen[0], scorer.crops)  # opens the models
    started = time.perf_counter()
    seen = [see(photo, scorer.crops) for photo in chosen]
    seconds = (time.perf_counter() - started) / len(chosen) * len(photos) / workers
    return [
        f"about {clock(seconds)} with {plural(workers, 'worker')}, estimated from {plural(len(chosen), 'picture')}",
        *(
            f"  without scores: {look.outcome.reason}: {look.outcome.name}"
            for look in seen
            if look.chips is None
        ),
    ]
