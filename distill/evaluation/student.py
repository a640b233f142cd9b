"""`distill evaluate --data`: a student on the triplets of a data set, in numbers, beside what doing nothing scores.

rows held out from training ─► score_student (pixels, features, faces) ─► times beside the teacher's ─► report
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from distill.devices import Precision
from distill.errors import DistillError
from distill.evaluation.faces import FaceJudging, face_notes, open_faces
from distill.evaluation.report import (
    EvaluationReport,
    draw_samples,
    evaluation_json,
    page,
    score_table,
    time_table,
    verdict,
)
from distill.evaluation.shared_faces import shared_faces
from distill.evaluation.student_scores import Evaluation, Rows, score_student, spread
from distill.evaluation.times import open_teacher, teacher_times
from distill.files import path_text
from distill.metrics.features import Features, load_features
from distill.networks.perceptual import PerceptualFeatures, default_perceptual, load_perceptual
from distill.networks.student import NormStatistics, Student, StudentFacts, load_student
from distill.shards.changes import measured_attributes, read_changes
from distill.shards.dataset import TripletDataset
from distill.shards.split import split_rows
from distill.stylegan2.generator import Generator
from distill.weights.by_name import ships


@dataclass(frozen=True, kw_only=True)
class EvaluateRequest:
    """Which student, on which data set, measured how.

    `limit`: at most this many rows, evenly spread. `features` of the Fréchet distance, `perceptual` of the perceptual
    distance, by name. `faces`: rows whose faces are compared. `scorer`: who judges attributes. `teacher`: the
    generator to time, by default the recipe's. `out` None: see `default_out`. `edit`: of several that it makes.
    """

    source: Path
    data: Path
    out: Path | None = None
    limit: int | None = None
    batch: int = 8
    features: str = "auto"
    perceptual: str = "auto"
    faces: int = 64
    scorer: str = "auto"
    teacher: str | None = None
    device: str = "auto"
    precision: Precision = "auto"
    norm_statistics: NormStatistics = "running"
    edit: str | None = None


@dataclass(frozen=True, kw_only=True)
class RowChoice:
    """The rows that are scored. `part`: "validation" or "all"; `why`: in words, for a person."""

    rows: Rows
    part: str
    why: str


@dataclass(frozen=True, kw_only=True, eq=False)
class StudentEvaluation:
    """An evaluation that can begin: everything fits and is open; `teacher`: why there is none to time."""

    request: EvaluateRequest
    student: Student
    dataset: TripletDataset
    choice: RowChoice
    perceptual: PerceptualFeatures
    features: Features | None
    judging: FaceJudging
    teacher: Generator | str
    out: Path
    changes: NDArray[np.float32] | None  # [n, K], what each row asks for
    noun = "image"
    files = ("evaluation.md", "evaluation.json", "samples.png")

    @property
    def count(self) -> int:
        return len(self.choice.rows)

    def notes(self) -> list[str]:
        """What a user may not expect of the student on this data set."""
        shared = shared_faces(self.student.facts, self.dataset)
        return [*shared, *self.student.notes(self.dataset.resolution)]

    def facts(self) -> dict[str, Any]:
        """What is compared with what."""
        student, dataset = self.student, self.dataset
        return {
            "student": path_text(student.path, line=False),
            "kimg": student.facts.kimg,
            "data": path_text(self.request.data, line=False),
            "digest": dataset.digest,
            "roles": list(dataset.roles),
            "rows": self.count,
            "part": self.choice.part,
            "why": self.choice.why,
            "resolution": dataset.resolution,
            "trained_at": student.facts.resolution,
            "batch": self.request.batch,
            "device": str(student.device),
            "precision": student.precision,
            "norm_statistics": student.norm_statistics,
        }

    def head(self) -> list[tuple[str, str]]:
        """The facts as lines for people."""
        facts = self.student.facts
        *inputs, target = self.dataset.roles
        side = self.dataset.resolution
        other = f" (trained at {facts.resolution})" if facts.resolution not in (None, side) else ""
        seen = f", {facts.kimg:g} kimg" if facts.kimg is not None else ""
        return [
            ("student", f"{path_text(self.student.path)}{seen}"),
            ("data", f"{path_text(self.request.data)} (digest {self.dataset.digest})"),
            ("roles", f"{' + '.join(inputs)} -> {target}, {side} px{other}"),
            ("rows", f"{self.count} ({self.choice.part}: {self.choice.why})"),
            *([("changes", "as measured, row by row")] if self.changes is not None else []),
        ]

    def run(
        self,
        advance: Callable[[int], object] = lambda rows: None,
        note: Callable[[str], object] = lambda line: None,
    ) -> EvaluationReport:
        """Measure; `advance` hears of rows done. Raises DistillError where memory ends."""
        try:
            found = self._measured(advance)
        except torch.OutOfMemoryError as error:
            raise DistillError(
                f"{self.student.device}: out of memory with --batch {self.request.batch}; take a smaller one"
            ) from error
        notes = [f"Warning: {line}" for line in shared_faces(self.student.facts, self.dataset)]
        notes += notes_of(found, self.student.facts, self.perceptual.name)
        notes += face_notes(self.judging, found, self.dataset.recipe)
        return EvaluationReport(
            files=self.files,
            table=page(
                "Evaluation",
                self.head(),
                [score_table(found), verdict(found), time_table(found.times)],
                notes,
            ),
            facts={**self.facts(), **evaluation_json(found), "notes": notes},
            picture=draw_samples(found.shown, note=f"{len(found.shown)} rows, evenly spread, not chosen"),
        )

    def _measured(self, advance: Callable[[int], object]) -> Evaluation:
        request, recipe = self.request, self.dataset.recipe
        times = teacher_times(recipe, self.teacher, batch=request.batch, perceptual=self.perceptual)
        found = score_student(
            self.student,
            self.dataset,
            self.choice.rows,
            perceptual=self.perceptual,
            features=self.features,
            faces=self.judging.scores,
            face_rows=request.faces,
            changes=self.changes,
            batch=request.batch,
            advance=advance,
        )
        return replace(
            found,
            times={**found.times, **times},
            not_measured=self.judging.missing,
            judge=self.judging.facts(recipe),
        )


def prepare(request: EvaluateRequest) -> StudentEvaluation:
    """Open student, data set, features, judge and teacher, and choose the rows.

    Raises DistillError for what is missing or does not fit.
    """
    student = load_student(
        request.source,
        device=request.device,
        precision=request.precision,
        norm_statistics=request.norm_statistics,
        edit=request.edit,
    )
    dataset = open_data(request.data, student)
    choice = choose_rows(student.facts, dataset)
    if request.limit is not None:
        choice = replace(choice, rows=spread(choice.rows, request.limit))
    out = request.out or default_out(request.source)
    device = str(student.device)
    perceptual = default_perceptual() if request.perceptual == "auto" else request.perceptual
    return StudentEvaluation(
        request=request,
        student=student,
        dataset=dataset,
        choice=choice,
        perceptual=load_perceptual(perceptual, device=device),
        features=None if request.features == "none" else load_features(request.features, device=device),
        judging=open_faces(
            dataset.recipe,
            rows=request.faces,
            scorer=request.scorer,
            device=device,
            reverse=dataset.roles[0] == dataset.recipe.get("target"),
        ),
        teacher=open_teacher(dataset.recipe, request.teacher, device),
        out=out,
        changes=asked_changes(student, dataset),
    )


def open_data(folder: Path, student: Student) -> TripletDataset:
    """Open the roles that the student takes and was taught, at the size it was trained on where that is stored."""
    facts = student.facts
    roles = (*facts.inputs, facts.target) if facts.inputs and facts.target else None
    dataset = TripletDataset(folder, roles=roles)
    student.architecture.check_inputs(3 * (len(dataset.roles) - 1))
    side = min(facts.resolution or dataset.resolution, dataset.resolution)
    if side != dataset.resolution:
        dataset = TripletDataset(folder, roles=roles, resolution=side)
    student.architecture.check_sides(side, side)
    return dataset


def asked_changes(student: Student, dataset: TripletDataset) -> NDArray[np.float32] | None:
    """Return what each row asks of a student of any strength that has no edit: its measured changes, in units.

    None for another student, and for data without measured changes. Raises DistillError where one is missing.
    """
    names, conditions = measured_attributes(dataset.recipe), student.facts.conditions
    if student.edit or not names or not conditions:
        return None
    missing = [condition.name for condition in conditions if condition.name not in names]
    if missing:
        raise DistillError(
            f"{path_text(dataset.folder)}: no measured change of {missing[0]}, which the student was taught; it has"
            f" {', '.join(names)}: say what to change with --edit"
        )
    return read_changes(dataset)[:, [names.index(condition.name) for condition in conditions]]


def choose_rows(facts: StudentFacts, dataset: TripletDataset) -> RowChoice:
    """Take the rows that were held out from training where it is this data set, else all; and say why."""

    def everything(why: str) -> RowChoice:
        return RowChoice(rows=np.arange(len(dataset)), part="all", why=why)

    if facts.data_digest is None:
        return everything("the data that the student was trained on is not known, so it may hold these rows")
    if facts.data_digest != dataset.digest:
        return everything(
            f"the student was trained on another data set, {facts.data_digest}, not {dataset.digest}"
        )
    if not facts.val_fraction or facts.seed is None:
        return everything("nothing was held out: the student was trained on these very rows")
    held = split_rows(dataset, fraction=facts.val_fraction, seed=facts.seed)[1]
    if not len(held):
        return everything(
            f"of {len(dataset)} rows none was held out: the student was trained on these very rows"
        )
    return RowChoice(rows=held, part="validation", why=f"held out from training, of {len(dataset)}")


def default_out(source: Path) -> Path:
    """RUN/evaluation; for a file, a folder beside it; for what the package holds, one in the working folder."""
    if ships(source):
        return Path(f"{source.stem}-evaluation")
    return source / "evaluation" if source.is_dir() else source.with_name(f"{source.stem}-evaluation")


def notes_of(found: Evaluation, facts: StudentFacts, perceptual: str) -> list[str]:
    """What a reader must know of the scores of pixels and features."""
    notes = [f"{what}: not measured: {why}" for what, why in found.not_measured.items()]
    if any(name.startswith("frechet") for name in found.scores["student"]):
        notes.append(
            f"The Fréchet distance of {found.rows} images can only be compared with one of as many, by the"
            " same features."
        )
    if perceptual != "none" and perceptual == facts.perceptual:
        notes.append(
            f"The student was trained to come near in {perceptual}, so its perceptual distance flatters it."
        )
    if "mean_of_inputs" not in found.scores:
        notes.append("With one input the mean of the inputs is the content: one baseline.")
    return notes
