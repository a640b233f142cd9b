"""`distill evaluate --truth`: a student on pictures whose true edit is known.

read_true_pairs ─► the student, and the teacher's own edit where asked for ─► distances to the truth ─► report
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from distill.devices import Precision
from distill.editing.translator import Translator, make_translator
from distill.errors import DistillError
from distill.evaluation.faces import FaceJudging, judging_by, share_note, student_ways
from distill.evaluation.in_teacher import EditInTeacher, open_latent_edit
from distill.evaluation.pair_changes import PairChanges, changes_of_pairs
from distill.evaluation.report import (
    COLUMNS,
    EvaluationReport,
    aligned,
    draw_samples,
    face_table,
    label,
    number,
    page,
    plain,
)
from distill.evaluation.student import default_out
from distill.evaluation.student_scores import COPY, LATENT_EDIT, SHOWN, STUDENT, evenly
from distill.evaluation.true_pairs import LEAST_YEARS, TruePair, TruePairs, read_true_pairs
from distill.evaluation.truth_scores import IDENTITY, TruthColumn, TruthScores
from distill.files import path_text
from distill.generation.recipe import TaskRecipe
from distill.networks.perceptual import PerceptualFeatures, default_perceptual, load_perceptual
from distill.networks.student import NormStatistics, load_student
from distill.progress import plural

LATENT_PAIRS = 50  # that are embedded at most, evenly spread: a quarter of a minute each


@dataclass(frozen=True, kw_only=True)
class EvaluateTruthRequest:
    """Which student, on which folder of true pairs, beside which `column` of its table.

    `limit`: at most this many pairs, evenly spread. `latent_edit`: embed LATENT_PAIRS of the pictures into the
    teacher too and edit them there, by `strength`. The rest is as in EvaluatePhotosRequest.
    """

    source: Path
    truth: Path
    column: str | None = None
    out: Path | None = None
    limit: int | None = None
    batch: int = 8
    perceptual: str = "auto"
    latent_edit: bool = False
    strength: float | None = None
    scorer: str = "auto"
    teacher: str | None = None
    device: str = "auto"
    precision: Precision = "auto"
    norm_statistics: NormStatistics = "running"
    edit: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class TruthEvaluation:
    """An evaluation that can begin: everything fits and is open."""

    request: EvaluateTruthRequest
    translate: Translator
    found: TruePairs
    judging: FaceJudging
    perceptual: PerceptualFeatures
    latent_edit: EditInTeacher | None
    asked: PairChanges | None  # of a student of any strength without an edit
    out: Path
    noun = "pair"
    files = ("truth.md", "truth.json", "truth.png")

    @property
    def count(self) -> int:
        return len(self.found.pairs)

    def notes(self) -> list[str]:
        """What a user may not expect of the student on these pictures."""
        return self.translate.student.notes(self.translate.size, chosen=False)

    def facts(self) -> dict[str, Any]:
        """What is measured."""
        student = self.translate.student
        return {
            "student": path_text(student.path, line=False),
            "task": student.change,
            "kimg": student.facts.kimg,
            "truth": path_text(self.found.table, line=False),
            "edit": self.found.edit,
            "asked": self.asked.facts() if self.asked else None,
            "count": self.count,
            "too_close": self.found.too_close,
            "resolution": self.translate.size,
            "scorer": self.judging.facts(student.facts.selected_by),
            "device": str(student.device),
            "precision": student.precision,
            "norm_statistics": student.norm_statistics,
            "latent_edit": self.latent_edit.facts() if self.latent_edit else None,
        }

    def head(self) -> list[tuple[str, str]]:
        """The facts as lines for people."""
        student = self.translate.student
        return [
            ("student", f"{path_text(student.path)}{f', {student.change}' if student.change else ''}"),
            (
                "truth",
                f"{path_text(self.found.table)}, column {self.found.edit} ({plural(self.count, 'pair')})",
            ),
            *([("asked", self.asked.line())] if self.asked else []),
            ("size", f"{self.translate.size} px, cut by the source's face"),
            ("scorer", self.judging.judge.name if self.judging.judge else "none"),
            *([("latent edit", self.latent_edit.line())] if self.latent_edit else []),
        ]

    def run(
        self,
        advance: Callable[[int], object] = lambda pairs: None,
        note: Callable[[str], object] = lambda line: None,
    ) -> EvaluationReport:
        """Measure; `advance` hears of pairs done, `note` of what is under way.

        Raises DistillError where no source shows a face, and where memory ends.
        """
        device, edit = self.translate.student.device, None
        if self.latent_edit is not None:
            edit = replace(
                self.latent_edit.edit, on_step=lambda step, steps: note(f"embedding: step {step} of {steps}")
            )
        names = [STUDENT, COPY, *([LATENT_EDIT] if edit else [])]
        assert self.judging.scores is not None
        measured = TruthScores(
            {name: TruthColumn(self.perceptual, device) for name in names},
            self.translate,
            self.judging.scores,
            dict(zip(self.found.pairs, self.asked.changes, strict=True)) if self.asked else None,
        )
        embedded = {self.found.pairs[at] for at in evenly(self.count, LATENT_PAIRS)} if edit else set()
        for first in range(0, self.count, self.translate.batch):
            some = self.found.pairs[first : first + self.translate.batch]
            measured.add(some, edit, embedded)
            advance(len(some))
        return self._report(measured)

    def _report(self, measured: TruthScores) -> EvaluationReport:
        if not measured.shown:
            raise DistillError(f"{self.found.table}: none of the {self.count} sources shows a face")
        counts = measured.counts()
        scores = {name: measured.columns[name].result() for name in counts}
        assert self.judging.scores is not None
        faces = self.judging.scores.result()
        notes = self._notes(measured, counts)
        places = evenly(len(measured.shown), SHOWN)
        return EvaluationReport(
            files=self.files,
            table=page(
                "Evaluation on true pairs",
                self.head(),
                [truth_table(scores, counts), face_table(faces)],
                notes,
            ),
            facts={
                **self.facts(),
                "count": counts[STUDENT],
                "without_face": measured.without,
                "measured": counts,
                "scores": {name: plain(column) for name, column in scores.items()},
                "faces": {name: plain(column) for name, column in faces.items()},
                "notes": notes,
            },
            picture=draw_samples(
                [measured.shown[at] for at in places],
                note=f"{plural(len(places), 'pair')}, evenly spread, not chosen",
                captions=self._captions([measured.measured[at] for at in places]),
            ),
        )

    def _captions(self, pairs: Sequence[TruePair]) -> list[str] | None:
        """What each pair asks of a student that is told so, for the picture."""
        if self.asked is None:
            return None
        told = dict(zip(self.found.pairs, self.asked.captions(), strict=True))
        return [told[pair] for pair in pairs]

    def _notes(self, measured: TruthScores, counts: Mapping[str, int]) -> list[str]:
        """What a reader must know of the numbers."""
        notes = [f"{what}: not measured: {why}" for what, why in self.judging.missing.items()]
        if measured.without:
            notes.append(f"{plural(measured.without, 'pair')} left out: no face found in the source")
        if self.found.too_close:
            notes.append(
                f"{plural(self.found.too_close, 'pair')} left out: less than {LEAST_YEARS:g} years between the two"
            )
        notes += self.asked.notes() if self.asked else []
        if self.judging.judge:
            notes += self.judging.notes(self.translate.student.facts.selected_by, counts[STUDENT])
        if self.latent_edit and LATENT_EDIT not in counts:
            notes.append(
                f"{COLUMNS[LATENT_EDIT]}: not measured: none of the pairs chosen to be embedded shows a face"
            )
        elif self.latent_edit and counts[LATENT_EDIT] < counts[STUDENT]:
            some = counts[LATENT_EDIT]
            share = f" {share_note(some)}" if self.judging.judge else ""
            notes.append(f"The column {COLUMNS[LATENT_EDIT]} is over {some} of these pairs.{share}")
        return notes


def truth_table(scores: Mapping[str, Mapping[str, float]], counts: Mapping[str, int]) -> str:
    """How far each way of editing is from the truth, and over how many pairs, as a Markdown table."""
    rows = [
        [
            "identity: distance to the truth ↓" if measure == IDENTITY else label(measure),
            *(number(column[measure]) for column in scores.values()),
        ]
        for measure in scores[STUDENT]
    ]
    return aligned(
        [["to the truth", *(COLUMNS[name] for name in scores)], *rows, ["pairs", *map(str, counts.values())]]
    )


def prepare(request: EvaluateTruthRequest, recipes: Mapping[str, TaskRecipe]) -> TruthEvaluation:
    """Read the table, load the student, who judges, and the teacher's edit where it is asked for.

    `recipes` by task say what edit a student was distilled from. Raises DistillError for what is missing or does not
    fit.
    """
    found = read_true_pairs(request.truth, request.column, limit=request.limit)
    student = load_student(
        request.source,
        device=request.device,
        precision=request.precision,
        norm_statistics=request.norm_statistics,
        edit=request.edit,
    )
    if student.input_count > 1:
        raise DistillError(f"{student.name}: the student takes two faces; --truth is for edits of one")
    translate = make_translator(student, style=None, size=None, batch=request.batch)
    conditions = student.facts.conditions
    asked = changes_of_pairs(found, conditions) if conditions and not student.edit else None
    ways = student_ways(student) | ({asked.condition.name: asked.way} if asked and asked.way else {})
    judging = judging_by(request.scorer, ways=ways, device=str(student.device))
    name = default_perceptual() if request.perceptual == "auto" else request.perceptual
    edit = open_latent_edit(request, student, judging, recipes) if request.latent_edit else None
    return TruthEvaluation(
        request=request,
        translate=translate,
        found=found,
        judging=judging,
        perceptual=load_perceptual(name, device=str(student.device)),
        latent_edit=edit,
        asked=asked,
        out=request.out or default_out(request.source),
    )
