"""`distill evaluate --photos` of a student of measured changes that is told no edit: all of them, by every amount.

find_photos ─► read_faces (the student, amount by amount) ─► summarise ─► tables, curves, strips
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from distill.editing.translator import Translator, make_translator
from distill.errors import DistillError
from distill.evaluation.faces import share_note
from distill.evaluation.photos import (
    EvaluatePhotosRequest,
    PhotosEvaluation,
    chosen_photos,
    open_photo_student,
)
from distill.evaluation.photos import prepare as prepare_photos
from distill.evaluation.report import EvaluationReport, page
from distill.evaluation.response.judges import ResponseJudges, open_response_judges
from distill.evaluation.response.pictures import draw_response, draw_strips
from distill.evaluation.response.readings import (
    AMOUNTS,
    FaceReading,
    ResponseMeter,
    asked_changes,
    read_faces,
)
from distill.evaluation.response.summary import BAND, AttributeResponse, known, mean_of, summarise
from distill.evaluation.response.tables import amounts_table, digits, drift_table, response_table
from distill.evaluation.student import default_out
from distill.faces.find import FoundPhotos
from distill.faces.photo_results import count_reasons, json_paths
from distill.files import path_text
from distill.generation.recipe import TaskRecipe
from distill.networks.edits import conditions_text
from distill.networks.student import Student
from distill.progress import plural


@dataclass(frozen=True, kw_only=True, eq=False)
class ResponseEvaluation:
    """An evaluation that can begin: everything fits and is open."""

    request: EvaluatePhotosRequest
    translate: Translator
    found: FoundPhotos
    meter: ResponseMeter
    noun = "photo"
    files = ("response.md", "response.json", "strips.png", "response.png")

    @property
    def count(self) -> int:
        return len(self.found.files)

    @property
    def student(self) -> Student:
        return self.translate.student

    @property
    def judges(self) -> ResponseJudges:
        return self.meter.judges

    @property
    def out(self) -> Path:
        return self.request.out or default_out(self.request.source)

    def notes(self) -> list[str]:
        """What a user may not expect of the student on photos."""
        return self.student.notes(self.translate.size, chosen=False)

    def facts(self) -> dict[str, Any]:
        """What is measured."""
        student = self.student
        return {
            **json_paths(student=student.path, photos=self.request.photos),
            "task": student.facts.task,
            "kimg": student.facts.kimg,
            "count": self.count,
            "asked": asked_changes(student.facts.conditions).round(3).tolist(),
            "resolution": self.translate.size,
            "scorers": self.judges.facts(student.facts.selected_by),
            "not_read": list(self.judges.unknown),
            "batch": self.translate.batch,
            "device": str(student.device),
            "precision": student.precision,
        }

    def head(self) -> list[tuple[str, str]]:
        """The facts as lines for people."""
        facts = self.student.facts
        seen = f", {facts.kimg:g} kimg" if facts.kimg is not None else ""
        pictures = 1 + len(facts.conditions) * (AMOUNTS - 1)
        return [
            ("student", f"{path_text(self.student.path)}{seen}"),
            ("photos", f"{path_text(self.request.photos)} ({self.count}), {pictures} pictures of each"),
            ("edits", conditions_text(facts.conditions)),
            ("size", f"{self.translate.size} px"),
            ("scorers", self.judges.line()),
        ]

    def run(
        self,
        advance: Callable[[int], object] = lambda photos: None,
        note: Callable[[str], object] = lambda line: None,
    ) -> EvaluationReport:
        """Measure; `advance` hears of photos done.

        Raises NothingWorked where no photo shows a face, DistillError where memory ends.
        """
        readings, skipped = read_faces(self.found, self.translate, self.meter, advance=advance)
        conditions = self.student.facts.conditions
        found = summarise(readings, conditions, self.judges)
        zero = zero_of(readings)
        notes = [
            zero_note(zero, len(readings)),
            *self._notes(found, len(readings)),
            *(f"{count} left out: {reason}" for reason, count in count_reasons(skipped).items()),
        ]
        blocks = [response_table(found, self.judges), *map(amounts_table, found)]
        if drifts := [each for each in found if each.drift]:
            blocks.append(drift_table(drifts))
        facts = {
            **self.facts(),
            "faces": len(readings),
            "attributes": {each.condition.name: each.to_json() for each in found},
            "zero": zero,
            "rows": [row_json(reading) for reading in readings],
            "skipped": [skip.to_json() for skip in skipped],
            "notes": notes,
        }
        return EvaluationReport(
            files=self.files,
            table=page("Evaluation of edits of any strength", self.head(), blocks, notes),
            facts=facts,
            picture=draw_strips(readings, found),
            figure=draw_response(found),
        )

    def _notes(self, found: list[AttributeResponse], faces: int) -> list[str]:
        """What a reader must know of the numbers."""
        notes = self.judges.notes(self.student.facts.selected_by)
        if any(each.condition.kind == "probability" for each in found):
            notes.append(
                "A probability stays within 0 and 1: where it is 1 already, +1 changes nothing. So the plain slope"
                " cannot reach 1; the slope of what is possible can."
            )
        ends = f"from {BAND[0]} % to {BAND[1]} % of them"
        return [
            *notes,
            f"Means are over {plural(faces, 'face')}, bands {ends}; pictures without a face count only in that share."
            f" {share_note(faces)}",
            "What moves besides is the mean of absolute changes, which the scorer's own scatter adds to: per unit"
            " beside the picture of change 0, else beside the photo.",
        ]


def zero_of(readings: list[FaceReading]) -> dict[str, float | None]:
    """What becomes of faces that are to stay as they are: PSNR to the photo in dB, identity, lost faces."""
    ratios = np.array([reading.psnr for reading in readings])
    return {
        "psnr_db": known(mean_of(ratios)),
        "identity_distance": known(mean_of(np.array([reading.distances[0] for reading in readings]))),
        "without_face": float(np.mean([not reading.seen[0] for reading in readings])),
    }


def zero_note(zero: Mapping[str, float | None], faces: int) -> str:
    """Say the same in a line."""
    psnr, distance, lost = (float("nan") if value is None else value for value in zero.values())
    return (
        f"Told to change nothing: PSNR to the photo {digits(psnr)} dB, identity distance {digits(distance)},"
        f" share without a face {digits(lost)}, over {plural(faces, 'face')}."
    )


def row_json(reading: FaceReading) -> dict[str, Any]:
    """One face as plain values; the pictures in the order of `asked_changes`."""
    return {
        **json_paths(photo=reading.photo),
        "before": {name: known(value) for name, value in reading.before.items()},
        "after": {name: list(map(known, values)) for name, values in reading.after.items()},
        "identity_distance": list(map(known, reading.distances)),
        "psnr_db": known(reading.psnr),
    }


def prepare(
    request: EvaluatePhotosRequest, recipes: Mapping[str, TaskRecipe]
) -> PhotosEvaluation | ResponseEvaluation:
    """Open what an evaluation on photos needs: of a student of measured changes without an edit, all its changes.

    Raises DistillError for what is missing or does not fit.
    """
    student = open_photo_student(request)
    if not student.facts.conditions or student.edit:
        return prepare_photos(request, student, recipes)
    if request.latent_edit:
        raise DistillError("--latent-edit stands beside one edit: name it with --edit")
    found = chosen_photos(request)
    judges = open_response_judges(request.scorer, student.facts.conditions, device=str(student.device))
    return ResponseEvaluation(
        request=request,
        translate=make_translator(student, style=request.style, size=None, batch=request.batch),
        found=found,
        meter=ResponseMeter(judges=judges),
    )
