"""What `distill directions fit` and `import` share: open, try on drawn faces, write, show."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from distill.devices import usable_cores
from distill.directions import report
from distill.directions.file import write_direction
from distill.directions.look import Studio
from distill.directions.measure import Subjects, pictures_in
from distill.directions.scorers import open_scorer
from distill.directions.strip import COLUMNS, ROWS, captions, draw_strip, edited, spread_rows
from distill.directions.summary import Scale
from distill.directions.workflow import Facts, Found, Judged, judge_direction
from distill.errors import DistillError, os_error
from distill.faces.detection import FaceDetector
from distill.faces.identity import descriptor_sha256
from distill.files import atomic_write
from distill.generation.filters.face import MAX_SIDE
from distill.generation.recipe import Teacher
from distill.progress import Progress
from distill.shards.inspect.sheet import png_bytes
from distill.stylegan2.facts import teacher_facts
from distill.stylegan2.generator import Generator
from distill.stylegan2.load import load_generator


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A studio, the facts of its generator, and all that scores of drawn faces depend on."""

    studio: Studio
    teacher: Teacher
    settings: Facts
    command: str

    @property
    def generator(self) -> Generator:
        return self.studio.generator

    @property
    def stem(self) -> str:
        return Path(self.teacher.name).stem


def open_generator(options: Mapping[str, Any]) -> tuple[Generator, Teacher]:
    """Load the generator; return it and what is known of it."""
    if not 0 <= options["truncation_psi"] <= 2:  # nan passes the range of the option
        raise click.UsageError("--truncation-psi is a number from 0 to 2")
    teacher = teacher_facts(options["generator"])
    return load_generator(
        options["generator"], device=options["device"], precision=options["precision"]
    ), teacher


def open_studio(options: Mapping[str, Any], command: str) -> Opened:
    """Open generator, scorer and dlib's models; what is missing shows here, before minutes of work."""
    generator, teacher = open_generator(options)
    scorer, facts = open_scorer(options["scorer"], str(generator.device))
    detector = FaceDetector(max_side=MAX_SIDE)
    descriptor_sha256()
    settings = {
        **facts,
        "generator": teacher.sha256,
        "truncation_psi": options["truncation_psi"],
        "seed": options["seed"],
        "precision": generator.precision,
        "landmarks": detector.landmarks_sha256,
        "detect_size": detector.detect_size,
    }
    studio = Studio(
        generator,
        scorer,
        truncation_psi=options["truncation_psi"],
        threads=options["threads"] or usable_cores(),
        find=detector,
    )
    return Opened(studio=studio, teacher=teacher, settings=settings, command=command)


def check_outputs(paths: Sequence[Path], *, overwrite: bool) -> None:
    """Make the folders of the directions, and refuse to replace one unasked."""
    for path in paths:
        if path.exists() and not overwrite:
            raise DistillError(f"{path} exists; choose another --out, or replace it with --overwrite")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise os_error(error) from error


class FaceProgress(Progress):
    """Progress that also shows how many of the pictures have a face."""

    def __init__(self, total: int, noun: str, *, done: int = 0, faces: int = 0) -> None:
        super().__init__(total, noun=noun, done=done, keep=False)
        self.faces = faces

    def __call__(self, count: int, faces: int = 0) -> None:
        self.faces += faces
        if self.faces:
            self.beside(f"with a face {min(self.faces / (self.done + self.count + count), 1):.0%}")
        self.advance(count)


def judge_all(
    opened: Opened,
    several: Sequence[Found],
    subjects: Subjects,
    scales: Mapping[str, Scale],
    stop: threading.Event,
) -> list[Judged]:
    """Try every direction on the same faces."""
    progress = FaceProgress(len(several) * pictures_in(subjects), "edited face")
    with progress:
        return [
            judge_direction(found, opened.studio, subjects, scales, stop=stop, progress=progress)
            for found in several
        ]


def write_all(
    opened: Opened,
    judged: Sequence[Judged],
    paths: Mapping[str, Path],
    subjects: Subjects,
    scales: Mapping[str, Scale],
) -> None:
    """Write each direction, its picture, its card and its numbers beside it."""
    together = report.entanglement(judged)
    for one in judged:
        attribute = one.direction.attribute
        path = paths[attribute]
        strip = picture(opened, one, subjects, scales[attribute])
        card = report.card(one, path, together, licence=opened.teacher.licence, command=opened.command)
        write_direction(path, one.direction)
        atomic_write(path.with_suffix(".png"), strip)
        atomic_write(path.with_suffix(".md"), card.encode())
        text = json.dumps(report.as_json(one, path, together), indent=2, ensure_ascii=False)
        atomic_write(path.with_suffix(".json"), f"{text}\n".encode())


def picture(opened: Opened, one: Judged, subjects: Subjects, scale: Scale) -> bytes:
    """Draw the strip of a direction: faces from the lowest to the highest score, moved by -4 to 4."""
    attribute = one.direction.attribute
    rows = spread_rows(subjects.looked.scores[attribute], ROWS)
    vector = np.asarray(one.direction.vector.double().numpy())
    images = edited(opened.generator, subjects.ws[rows.tolist()], vector, COLUMNS)
    return png_bytes(
        draw_strip(
            images,
            COLUMNS,
            title=f"{one.direction.name}: strength in standard deviations of w",
            under=captions(one.curve, attribute, scale, rows, COLUMNS),
            note=f"Below each: {attribute}, as a network reads it off the picture."
            f" {report.recommendation(attribute, one.direction.facts).capitalize()}.",
        )
    )


def show_all(judged: Sequence[Judged], paths: Mapping[str, Path], *, as_json: bool) -> None:
    """Print what was found."""
    together = report.entanglement(judged)
    if as_json:
        found = [report.as_json(one, paths[one.direction.attribute], together) for one in judged]
        click.echo(json.dumps(found, indent=2))
        return
    for one in judged:
        click.echo("\n".join([*report.direction_lines(one, paths[one.direction.attribute]), ""]))
    lines = [*report.aligned(report.movement_rows(together)), *report.cosine_lines(together)]
    click.echo("\n".join(lines))
    places = ", ".join(f"{path.stem}.png" for path in paths.values())
    click.echo(f"look at {places}; the cards (.md) and all numbers (.json) stand beside them")
