"""`distill evaluate --photos`: a student on a folder of photos, where no target is known.

find_photos ─► score_photos (the student, and the teacher's own edit where asked for) ─► report
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from distill.devices import Precision
from distill.editing.translator import Translator, make_translator
from distill.evaluation.faces import FaceJudging, judging_by, student_ways
from distill.evaluation.in_teacher import EditInTeacher, open_latent_edit
from distill.evaluation.photo_scores import PhotoEvaluation, score_photos
from distill.evaluation.report import EvaluationReport, face_table, page, plain
from distill.evaluation.student import default_out
from distill.evaluation.student_scores import evenly
from distill.faces.find import FoundPhotos, find_photos
from distill.faces.photo_results import count_reasons, json_paths
from distill.files import path_text
from distill.generation.recipe import TaskRecipe
from distill.networks.student import NormStatistics, Student, load_student


@dataclass(frozen=True, kw_only=True)
class EvaluatePhotosRequest:
    """Which student, on which folder of photos, judged by whom.

    `limit`: at most this many photos, evenly spread. `style`: the second face of a two-input student. `latent_edit`:
    embed each face into the teacher too and edit it there, by `strength` (None: the task's); `teacher` is by default
    the student's. `out` None: see `default_out`. `edit`: of a student that makes several, which one.
    """

    source: Path
    photos: Path
    out: Path | None = None
    limit: int | None = None
    batch: int = 8
    style: Path | None = None
    latent_edit: bool = False
    strength: float | None = None
    scorer: str = "auto"
    teacher: str | None = None
    device: str = "auto"
    precision: Precision = "auto"
    norm_statistics: NormStatistics = "running"
    edit: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class PhotosEvaluation:
    """An evaluation that can begin: everything fits and is open."""

    request: EvaluatePhotosRequest
    translate: Translator
    found: FoundPhotos
    judging: FaceJudging
    latent_edit: EditInTeacher | None
    out: Path
    noun = "photo"
    files = ("photos.md", "photos.json", "photos.png")

    @property
    def count(self) -> int:
        return len(self.found.files)

    def notes(self) -> list[str]:
        """What a user may not expect of the student on photos."""
        return self.translate.student.notes(self.translate.size, chosen=False)

    def facts(self) -> dict[str, Any]:
        """What is measured."""
        student = self.translate.student
        return {
            **json_paths(student=student.path, photos=self.request.photos),
            "task": student.change,
            "kimg": student.facts.kimg,
            "count": self.count,
            "roles": [*self.translate.roles, "output"],
            "resolution": self.translate.size,
            "scorer": self.judging.facts(student.facts.selected_by),
            "batch": self.translate.batch,
            "device": str(student.device),
            "precision": student.precision,
            "norm_statistics": student.norm_statistics,
            "latent_edit": self.latent_edit.facts() if self.latent_edit else None,
        }

    def head(self) -> list[tuple[str, str]]:
        """The facts as lines for people."""
        student, facts = self.translate.student, self.translate.student.facts
        seen = f", {facts.kimg:g} kimg" if facts.kimg is not None else ""
        task = f"{student.change}: " if student.change else ""
        return [
            ("student", f"{path_text(student.path)}{seen}"),
            ("photos", f"{path_text(self.request.photos)} ({self.count})"),
            ("roles", f"{task}{' + '.join(self.translate.roles)} -> output, {self.translate.size} px"),
            ("scorer", self.judging.judge.name if self.judging.judge else "none"),
            *([("latent edit", self.latent_edit.line())] if self.latent_edit else []),
        ]

    def run(
        self,
        advance: Callable[[int], object] = lambda photos: None,
        note: Callable[[str], object] = lambda line: None,
    ) -> EvaluationReport:
        """Measure; `advance` hears of photos done, `note` of what is under way.

        Raises NothingWorked where no photo shows a face, DistillError where memory ends.
        """
        assert self.judging.scores is not None
        edit = None
        if self.latent_edit is not None:
            edit = replace(
                self.latent_edit.edit, on_step=lambda step, steps: note(f"embedding: step {step} of {steps}")
            )
        found = score_photos(
            self.found, self.translate, self.judging.scores, latent_edit=edit, advance=advance
        )
        notes = self._notes(found)
        facts = {
            **self.facts(),
            "faces": len(found.rows),
            "scores": {name: plain(scores) for name, scores in found.scores.items()},
            "distance_between_people": found.between_people,
            "rows": [row.to_json() for row in found.rows],
            "skipped": [skip.to_json() for skip in found.skipped],
            "notes": notes,
        }
        return EvaluationReport(
            files=self.files,
            table=page("Evaluation on photos", self.head(), [face_table(found.scores)], notes),
            facts=facts,
            picture=found.picture,
        )

    def _notes(self, found: PhotoEvaluation) -> list[str]:
        """What a reader must know of the numbers."""
        notes = [f"{what}: not measured: {why}" for what, why in self.judging.missing.items()]
        skips = count_reasons(found.skipped)
        notes += [f"{count} left out: {reason}" for reason, count in skips.items()]
        if self.judging.judge:
            notes += self.judging.notes(self.translate.student.facts.selected_by, len(found.rows))
            notes.append(
                "In the picture: scores of the photo → of the output, gender as the probability of female; id, the"
                " distance of their faces."
            )
        if found.between_people is not None:
            notes.append(f"Two different faces of these photos lie {found.between_people:.3f} apart.")
        return notes


def open_photo_student(request: EvaluatePhotosRequest) -> Student:
    """Load the student with its edit. Raises DistillError for what is missing or does not fit."""
    return load_student(
        request.source,
        device=request.device,
        precision=request.precision,
        norm_statistics=request.norm_statistics,
        edit=request.edit,
    )


def chosen_photos(request: EvaluatePhotosRequest) -> FoundPhotos:
    """Find the photos, at most `limit`, evenly spread. Raises DistillError where there are none."""
    found = find_photos([request.photos], request.out or default_out(request.source))
    if request.limit is None:
        return found
    files = [found.files[place] for place in evenly(len(found.files), request.limit)]
    return replace(found, files=files)


def prepare(
    request: EvaluatePhotosRequest, student: Student, recipes: Mapping[str, TaskRecipe]
) -> PhotosEvaluation:
    """Find the photos, who judges, and the teacher's edit where it is asked for.

    `recipes` by task say what edit a student was distilled from. Raises DistillError for what is missing or does not
    fit.
    """
    found = chosen_photos(request)
    translate = make_translator(student, style=request.style, size=None, batch=request.batch)
    judging = judging_by(request.scorer, ways=student_ways(student), device=str(student.device))
    edit = open_latent_edit(request, student, judging, recipes) if request.latent_edit else None
    return PhotosEvaluation(
        request=request,
        translate=translate,
        found=found,
        judging=judging,
        latent_edit=edit,
        out=request.out or default_out(request.source),
    )
