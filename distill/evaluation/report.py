"""An evaluation as a table to read, as JSON, and as a picture."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill.editing.pictures import ContactSheet
from distill.evaluation.student_scores import COPY, LATENT_EDIT, MEAN, STUDENT, TARGET, Evaluation, unbeaten
from distill.faces.outputs import OutputFolder
from distill.metrics.pairs import HIGHER_IS_BETTER
from distill.pixels import encode_png
from distill.shards.inspect.sheet import shown_side
from distill.timing import ImageTime

COLUMNS = {
    STUDENT: "student",
    LATENT_EDIT: "embedded, edited",
    COPY: "copy the content",
    MEAN: "mean of inputs",
    TARGET: "target",
}
FACE_MEASURES = {  # ending of a measure of a score: what it is
    "_flipped_sure": "share that changes class for sure",
    "_flipped_up": "share of those below ½ that rises above",
    "_flipped_down": "share of those above ½ that falls below",
    "_flipped": "share that changes class",
    "_moved": "{unit}moved by",
    "_wanted": "share that moves the wanted way",
    "_miss": "off the target by",
}
TIMES = {STUDENT: "student", "teacher_edit": "teacher's edit", "embedding_and_edit": "embedding + edit"}

Pixels = NDArray[np.uint8]
ReportFiles = tuple[str, ...]  # the page, the JSON, the picture, and the figure where there is one
MADE_BY = "evaluate"


def label(measure: str) -> str:
    """Name a measure for people: what it is, of which features, and which way is better."""
    kind, _, features = measure.partition("_")
    arrow = "↑" if measure in HIGHER_IS_BETTER else "↓"
    if measure == "frechet_inception":
        return f"FID {arrow}"
    if measure == "kernel_inception":
        return f"KID {arrow}"
    names = {
        "l1": "L1 (of 0..1)",
        "ssim": "SSIM",
        "perceptual": "perceptual distance",
        "frechet": "Fréchet distance",
        "kernel": "kernel distance",
    }
    return f"{names.get(kind, kind)}{f' ({features})' if features else ''} {arrow}"


def face_label(measure: str) -> str:
    """Name a measure of faces; none of them has a better end: the target's value is what the edit does."""
    if measure == "identity_distance":
        return "identity: distance to the content"
    if measure == "same_person":
        return "identity: share below 0.6"
    if measure in ("gender_flipped_up", "gender_flipped_down"):  # the probability of female
        return f"gender: share of {'men seen as women' if measure.endswith('up') else 'women seen as men'}"
    for ending, words in FACE_MEASURES.items():
        if measure.endswith(ending):
            score = measure.removesuffix(ending).replace("_", " ")
            return f"{score}: {words.format(unit='years ' if score == 'age' else '')}"
    return measure.replace("_", " ")


def number(value: float | None) -> str:
    """Write four digits that count."""
    if value is None:
        return "–"
    return f"{value:.4g}" if math.isfinite(value) else "not finite"


def score_table(found: Evaluation) -> str:
    """The scores of student and baselines, and those of faces, as a Markdown table with aligned columns."""
    columns = list(found.scores)
    rows = [
        [label(measure), *(number(found.scores[name][measure]) for name in columns)]
        for measure in found.scores[STUDENT]
    ]
    if not found.faces:
        return aligned([["", *(COLUMNS[name] for name in columns)], *rows])
    faces = [
        [face_label(measure), *(number(found.faces[name][measure]) for name in (*columns, TARGET))]
        for measure in found.faces[STUDENT]
    ]
    return aligned(
        [["", *(COLUMNS[name] for name in (*columns, TARGET))], *([*row, "–"] for row in rows), *faces]
    )


def face_table(scores: Mapping[str, Mapping[str, float]]) -> str:
    """The measures of faces alone, by column, as a Markdown table."""
    rows = [
        [face_label(measure), *(number(column[measure]) for column in scores.values())]
        for measure in scores[STUDENT]
    ]
    return aligned([["", *(COLUMNS[name] for name in scores)], *rows])


def time_table(times: Mapping[str, ImageTime]) -> str:
    """Milliseconds an image of each way, and how they were measured."""
    rows = [[TIMES[name], milliseconds_text(time.milliseconds), time.how] for name, time in times.items()]
    return aligned([["", "ms an image", "measured on"], *rows])


def milliseconds_text(value: float | None) -> str:
    """Write a time for people; what takes ten seconds and more is timed by a part of it, so two digits are true."""
    if value is None:
        return "–"
    return f"{value:,.2f}" if value < 10_000 else f"about {float(f'{value:.2g}'):,.0f}"


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Write rows as a Markdown table, the first as its head; every column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def verdict(found: Evaluation) -> str:
    """Say in two sentences how the student stands beside the baselines."""
    mine, copied = found.scores[STUDENT]["l1"], found.scores[COPY]["l1"]
    share = f"L1 is {mine / copied:.2f} times that of copying the content. " if copied else ""
    losses = unbeaten(found)
    lost = {
        name: [label(measure)[:-2] for measure, names in losses.items() if name in names]
        for name in found.scores
        if name != STUDENT
    }
    if not any(lost.values()):
        return f"{share}The student beats {' and '.join(COLUMNS[name] for name in lost)} in every measure."
    behind = [
        f"{COLUMNS[name]} in {'any measure' if len(measures) == len(losses) else ', '.join(measures)}"
        for name, measures in lost.items()
        if measures
    ]
    return f"{share}The student does not beat {'; nor '.join(behind)}."


def head_text(lines: Sequence[tuple[str, str]]) -> str:
    """Write named facts under each other."""
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name:{width}}  {value}" for name, value in lines)


def page(title: str, head: Sequence[tuple[str, str]], blocks: Sequence[str], notes: Sequence[str]) -> str:
    """Write a report as Markdown that also reads well on a terminal: facts, tables, notes."""
    said = "\n".join(f"- {note}" for note in notes)
    return (
        "\n\n".join([f"# {title}", indent(head_text(head), "    "), *blocks, *([said] if said else [])])
        + "\n"
    )


def evaluation_json(found: Evaluation) -> dict[str, Any]:
    """Everything that was measured, as plain values; null for what is not finite or was not measured."""
    return {
        "rows": found.rows,
        "scores": {name: plain(scores) for name, scores in found.scores.items()},
        "not_beaten": {measure: names for measure, names in unbeaten(found).items() if names},
        "faces": {
            "rows": found.face_rows,
            "scores": {name: plain(scores) for name, scores in found.faces.items()},
            "distance_between_people": found.between_people,
        },
        "scorer": found.judge,
        "milliseconds_per_image": {
            name: {"value": time.milliseconds, "how": time.how} for name, time in found.times.items()
        },
        "not_measured": dict(found.not_measured),
    }


def plain(scores: Mapping[str, float]) -> dict[str, float | None]:
    """Measures as JSON takes them; None for what is not finite."""
    return {name: value if math.isfinite(value) else None for name, value in scores.items()}


def draw_samples(
    rows: Sequence[Mapping[str, Pixels]], *, note: str = "", captions: Sequence[str] | None = None
) -> Pixels:
    """Draw rows of images [H, W, 3], their names on top of the columns, a caption below each, a note at the end."""
    names = list(rows[0])
    sheet = ContactSheet(names, tile=shown_side(len(rows[0][names[0]])), width=0)
    for row, caption in zip(rows, captions or [""] * len(rows), strict=True):
        sheet.add(caption, list(row.values()))
    return sheet.draw(note)


@dataclass(frozen=True, kw_only=True, eq=False)
class EvaluationReport:
    """What an evaluation writes into its `files`: a page to read, JSON with everything, a picture, maybe a figure.

    `figure`: a PNG.
    """

    files: ReportFiles
    table: str
    facts: Mapping[str, Any]
    picture: Pixels
    figure: bytes | None = None

    def json(self) -> str:
        return json.dumps(self.facts, indent=2, ensure_ascii=False)

    def write(self, outputs: OutputFolder) -> list[Path]:
        """Write the files into a folder of `report_folder`; return their paths."""
        contents = [self.table.encode(), f"{self.json()}\n".encode(), encode_png(self.picture)]
        contents += [self.figure] if self.figure else []
        return [outputs.write_file(data, name) for data, name in zip(contents, self.files, strict=True)]


@contextmanager
def report_folder(out: Path, files: ReportFiles) -> Iterator[OutputFolder]:
    """Hold a folder while its report is made. Raises as `check_report_folder`, and where another run is in it."""
    with OutputFolder(out, MADE_BY) as outputs:
        outputs.reserve_files(files)
        yield outputs


def check_report_folder(out: Path, files: ReportFiles) -> None:
    """Raise DistillError where a report cannot be written, or would replace a file that no evaluation made."""
    OutputFolder(out, MADE_BY).reserve_files(files)
