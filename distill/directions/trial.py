"""What fitted and imported directions go through: open a studio, try them on drawn faces, write, report."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from distill.devices import usable_cores
from distill.directions import report
from distill.directions.file import write_direction
from distill.directions.look import Studio
from distill.directions.measure import Subjects, pictures_in
from distill.directions.requests import DrawnFaces, ScoredFaces
from distill.directions.scorers import open_scorer
from distill.directions.strip import COLUMNS, ROWS, captions, draw_strip, edited, spread_rows
from distill.directions.summary import Scale
from distill.directions.workflow import Facts, Found, Judged, judge_direction
from distill.faces.detection import FILLED_SIDE, FaceDetector
from distill.faces.identity import descriptor_sha256
from distill.files import atomic_write, check_file, made_folder
from distill.progress import Progress
from distill.shards.inspect.sheet import png_bytes
from distill.stylegan2.facts import Teacher, teacher_facts
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


@dataclass(frozen=True, kw_only=True)
class Tried:
    """Directions that were tried on drawn faces and written, with the file of each attribute."""

    judged: Sequence[Judged]
    paths: Mapping[str, Path]

    def as_json(self) -> list[dict[str, Any]]:
        together = report.entanglement(self.judged)
        return [report.as_json(one, self.paths[one.direction.attribute], together) for one in self.judged]

    def lines(self) -> list[str]:
        """What a terminal shows: each direction, what else moves, where to look."""
        together = report.entanglement(self.judged)
        lines: list[str] = []
        for one in self.judged:
            lines += [*report.direction_lines(one, self.paths[one.direction.attribute]), ""]
        lines += [*report.aligned(report.movement_rows(together)), *report.cosine_lines(together)]
        places = ", ".join(f"{path.stem}.png" for path in self.paths.values())
        return [*lines, f"look at {places}; the cards (.md) and all numbers (.json) stand beside them"]


def open_generator(drawn: DrawnFaces) -> tuple[Generator, Teacher]:
    """Load the generator; return it and what is known of it."""
    teacher = teacher_facts(drawn.generator)
    return load_generator(drawn.generator, device=drawn.device, precision=drawn.precision), teacher


def open_studio(scored: ScoredFaces, attributes: Sequence[str], command: str) -> Opened:
    """Open generator, scorer and dlib's models; what is missing shows here, before minutes of work."""
    drawn = scored.drawn
    generator, teacher = open_generator(drawn)
    scorer, facts = open_scorer(scored.scorer, attributes, str(generator.device))
    detector = FaceDetector(max_side=FILLED_SIDE)
    descriptor_sha256()
    settings = {
        **facts,
        "generator": teacher.sha256,
        "truncation_psi": drawn.truncation_psi,
        "seed": drawn.seed,
        "precision": generator.precision,
        "landmarks": detector.landmarks_sha256,
        "detect_size": detector.detect_size,
    }
    studio = Studio(
        generator,
        scorer,
        truncation_psi=drawn.truncation_psi,
        threads=scored.threads or usable_cores(),
        find=detector,
    )
    return Opened(studio=studio, teacher=teacher, settings=settings, command=command)


def check_outputs(paths: Iterable[Path], *, overwrite: bool) -> None:
    """Refuse to replace a direction unasked."""
    for path in paths:
        check_file(path, overwrite=overwrite)


@contextmanager
def output_folders(paths: Iterable[Path]) -> Iterator[None]:
    """Make the folders of files to write, and take away again what stays empty."""
    with ExitStack() as made:
        for folder in dict.fromkeys(path.parent for path in paths):
            made.enter_context(made_folder(folder))
        yield


def counting_faces(progress: Progress, faces: int = 0) -> Callable[[int, int], None]:
    """Give what counts pictures and, beside the progress, how many of them show a face; `faces` were seen before."""
    seen = faces

    def count(pictures: int, with_face: int) -> None:
        nonlocal seen
        seen += with_face
        progress.beside(f"with a face {min(seen / (progress.done + progress.count + pictures), 1):.0%}")
        progress.advance(pictures)

    return count


def try_and_write(
    opened: Opened,
    several: Sequence[Found],
    subjects: Subjects,
    scales: Mapping[str, Scale],
    paths: Mapping[str, Path],
    *,
    stop: threading.Event,
) -> Tried:
    """Try every direction on the same faces, then write each, its picture, its card and its numbers."""
    edits = len(several) * pictures_in(subjects)
    with Progress(edits, noun="edited face", keep=False) as progress:
        judged = [
            judge_direction(found, opened.studio, subjects, scales, stop=stop, progress=progress.advance)
            for found in several
        ]
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
    return Tried(judged=judged, paths=paths)


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
