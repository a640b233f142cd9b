"""`distill evaluate --truth`: a student on pictures whose true edit is known.

read_true_pairs ─► the student, and the teacher's own edit where asked for ─► distances to the truth ─► report
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from distill.attributes.face_scores import TARGET, FaceScores
from distill.attributes.moves import wanted_ways
from distill.devices import Precision
from distill.editing.latent_edit import LatentEdit
from distill.editing.translator import Translator, make_translator
from distill.errors import DistillError
from distill.evaluation.faces import FaceJudging, judging_by
from distill.evaluation.photos import open_latent_edit
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
from distill.faces.alignment import Pixels, warp_quad
from distill.faces.decode import PhotoError, read_photo
from distill.faces.photo_detection import PhotoDetector
from distill.faces.photos import FaceCut, cut_largest_face, face_in_cut, photo_detector
from distill.files import path_text
from distill.generation.recipe import TaskRecipe
from distill.metrics.pairs import PairScores
from distill.networks.perceptual import PerceptualFeatures, default_perceptual, load_perceptual
from distill.networks.student import NormStatistics, load_student
from distill.pixels import to_float
from distill.progress import plural

LATENT_PAIRS = 50  # that are embedded at most, evenly spread: a quarter of a minute each
IDENTITY = "identity_to_truth"


@dataclass(frozen=True, kw_only=True)
class EvaluateTruthRequest:
    """Which student, on which folder of true pairs, for which edit (a column of its table).

    `limit`: at most so many pairs, evenly spread. `latent_edit`: embed LATENT_PAIRS of the pictures into the teacher
    too and edit them there, by `strength`. The rest is as in EvaluatePhotosRequest.
    """

    source: Path
    truth: Path
    edit: str | None = None
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


class _Column:
    """One way of editing: how far its images are from the truth."""

    def __init__(self, perceptual: PerceptualFeatures, device: torch.device) -> None:
        self.pairs = PairScores(perceptual=perceptual, features=None, device=device)
        self.faces = FaceScores()

    def result(self) -> dict[str, float]:
        identity = self.faces.result()[STUDENT]["identity_distance"]
        return {**self.pairs.result(), IDENTITY: identity}


@dataclass(frozen=True, kw_only=True, eq=False)
class TruthEvaluation:
    """An evaluation that can begin: everything fits and is open."""

    request: EvaluateTruthRequest
    translate: Translator
    found: TruePairs
    judging: FaceJudging
    perceptual: PerceptualFeatures
    latent_edit: LatentEdit | None
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
            "task": student.facts.task,
            "kimg": student.facts.kimg,
            "truth": path_text(self.found.table, line=False),
            "edit": self.found.edit,
            "count": self.count,
            "too_close": self.found.too_close,
            "resolution": self.translate.size,
            "scorer": self.judging.facts(student.facts.selected_by),
            "device": str(student.device),
            "precision": student.precision,
            "norm_statistics": student.norm_statistics,
        }

    def head(self) -> list[tuple[str, str]]:
        """The facts as lines for people."""
        facts = self.translate.student.facts
        return [
            ("student", f"{path_text(self.translate.student.path)}{f', {facts.task}' if facts.task else ''}"),
            ("truth", f"{path_text(self.found.table)}, column {self.found.edit} ({self.count} pairs)"),
            ("size", f"{self.translate.size} px, cut by the source's face"),
            ("scorer", self.judging.judge.name if self.judging.judge else "none"),
        ]

    def run(
        self,
        advance: Callable[[int], object] = lambda pairs: None,
        note: Callable[[str], object] = lambda line: None,
    ) -> EvaluationReport:
        """Measure; `advance` hears of pairs done, `note` of what is under way.

        Raises DistillError where no source shows a face, and where memory ends.
        """
        device, edit = self.translate.student.device, self.latent_edit
        if edit is not None:
            edit = replace(edit, on_step=lambda step, steps: note(f"embedding: step {step} of {steps}"))
        names = [STUDENT, COPY, *([LATENT_EDIT] if edit else [])]
        measured = _Measured({name: _Column(self.perceptual, device) for name in names}, self)
        embedded = {self.found.pairs[at] for at in evenly(self.count, LATENT_PAIRS)} if edit else set()
        for first in range(0, self.count, self.translate.batch):
            some = self.found.pairs[first : first + self.translate.batch]
            measured.add(some, edit, embedded)
            advance(len(some))
        return self._report(measured, edit)

    def _report(self, measured: _Measured, edit: LatentEdit | None) -> EvaluationReport:
        if not measured.shown:
            raise DistillError(f"{self.found.table}: none of the {self.count} sources shows a face")
        scores = {name: column.result() for name, column in measured.columns.items()}
        assert self.judging.scores is not None
        faces = self.judging.scores.result()
        notes = [f"{what}: not measured: {why}" for what, why in self.judging.missing.items()]
        if measured.without:
            notes.append(f"{plural(measured.without, 'pair')} left out: no face found in the source")
        if self.found.too_close:
            notes.append(
                f"{plural(self.found.too_close, 'pair')} left out: less than {LEAST_YEARS:g} years between the two"
            )
        if edit:
            notes.append(f"The column embedded, edited is over {measured.embedded} of these pairs.")
        if self.judging.judge:
            notes += self.judging.notes(self.translate.student.facts.selected_by, self.count)
        places = evenly(len(measured.shown), SHOWN)
        return EvaluationReport(
            files=self.files,
            table=page(
                "Evaluation on true pairs", self.head(), [truth_table(scores), face_table(faces)], notes
            ),
            facts={
                **self.facts(),
                "scores": {name: plain(column) for name, column in scores.items()},
                "faces": {name: plain(column) for name, column in faces.items()},
                "notes": notes,
            },
            picture=draw_samples(
                [measured.shown[at] for at in places],
                note=f"{plural(len(places), 'pair')}, evenly spread, not chosen",
            ),
        )


class _Measured:
    """What was found so far. `shown`: the pictures of each pair by name."""

    def __init__(self, columns: dict[str, _Column], ready: TruthEvaluation) -> None:
        assert ready.judging.scores is not None
        self.columns, self.ready, self.faces = columns, ready, ready.judging.scores
        self.detector: PhotoDetector = photo_detector()
        self.shown: list[dict[str, Pixels]] = []
        self.without = self.embedded = 0

    def add(self, pairs: Sequence[TruePair], edit: LatentEdit | None, embedded: set[TruePair]) -> None:
        size = self.ready.translate.size
        cuts: list[tuple[TruePair, FaceCut]] = []
        for pair in pairs:
            try:
                cuts.append((pair, cut_largest_face(pair.source, self.detector, size=size)))
            except PhotoError:
                self.without += 1
        outputs = self.ready.translate([cut.pixels for _, cut in cuts])
        for (pair, cut), output in zip(cuts, outputs, strict=True):
            face, truth = face_in_cut(cut, size), warp_quad(read_photo(pair.truth), cut.quad, size)
            images = {STUDENT: output, COPY: cut.pixels}
            if edit and pair in embedded:
                self.embedded += 1
                (images[LATENT_EDIT],) = edit([cut.pixels], [face])
            for name, image in images.items():
                column = self.columns[name]
                column.pairs.add(as_batch(image), as_batch(truth))
                column.faces.add_face(truth, face, {STUDENT: image})
            self.faces.add_face(cut.pixels, face, {**images, TARGET: truth})
            self.shown.append({"content": cut.pixels, "output": output, "truth": truth})


def truth_table(scores: Mapping[str, Mapping[str, float]]) -> str:
    """How far each way of editing is from the truth, as a Markdown table."""
    rows = [
        [
            "identity: distance to the truth ↓" if measure == IDENTITY else label(measure),
            *(number(column[measure]) for column in scores.values()),
        ]
        for measure in scores[STUDENT]
    ]
    return aligned([["to the truth", *(COLUMNS[name] for name in scores)], *rows])


def as_batch(image: Pixels) -> Tensor:
    """An image [H, W, 3] as [1, 3, H, W] in [-1, 1]."""
    return to_float(torch.from_numpy(np.ascontiguousarray(image))[None])


def prepare(request: EvaluateTruthRequest, recipes: Mapping[str, TaskRecipe]) -> TruthEvaluation:
    """Read the table, load the student, who judges, and the teacher's edit where it is asked for.

    `recipes` by task say what edit a student was distilled from. Raises DistillError for what is missing or does not
    fit.
    """
    found = read_true_pairs(request.truth, request.edit)
    if request.limit is not None:
        found = replace(found, pairs=[found.pairs[at] for at in evenly(len(found.pairs), request.limit)])
    student = load_student(
        request.source,
        device=request.device,
        precision=request.precision,
        norm_statistics=request.norm_statistics,
    )
    if student.input_count > 1:
        raise DistillError(f"{student.path}: the student takes two faces; --truth is for edits of one")
    translate = make_translator(student, style=None, size=None, batch=request.batch)
    judging = judging_by(
        request.scorer, ways=wanted_ways({"task": student.facts.task}), device=str(student.device)
    )
    name = default_perceptual() if request.perceptual == "auto" else request.perceptual
    edit = open_latent_edit(request, student, judging, recipes) if request.latent_edit else None
    return TruthEvaluation(
        request=request,
        translate=translate,
        found=found,
        judging=judging,
        perceptual=load_perceptual(name, device=str(student.device)),
        latent_edit=edit,
        out=request.out or default_out(request.source),
    )
