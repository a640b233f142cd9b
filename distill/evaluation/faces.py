"""The part of an evaluation that is about faces: who judges, and what a reader must know of the numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from distill.attributes.face_scores import FaceScores
from distill.attributes.judge import AUTO, Judge, edited, open_judge, selecting
from distill.attributes.moves import wanted_ways
from distill.attributes.open import BUILTIN
from distill.errors import DistillError
from distill.evaluation.student_scores import Evaluation
from distill.faces.identity import SAME_PERSON
from distill.networks.edits import changes_of, parse_edit
from distill.networks.student import Student
from distill.progress import plural

Recipe = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class FaceJudging:
    """What compares faces, and who judges their attributes; `missing`: what is not measured -> why."""

    scores: FaceScores | None = None
    judge: Judge | None = None
    missing: Mapping[str, str] = field(default_factory=dict)

    def facts(self, recipe: Recipe | None) -> dict[str, Any] | None:
        """Who judged, for the JSON; `selected_data` is None where it is not known who selected.

        `recipe`: of the data set, or what a student's file keeps of it.
        """
        if self.judge is None:
            return None
        selected = None if recipe is None else self.judge.selected(recipe)
        return {"name": self.judge.name, "sha256": sorted(self.judge.hashes), "selected_data": selected}

    def notes(self, recipe: Recipe | None, faces: int) -> list[str]:
        """Who judged, and how well a share of `faces` faces is known."""
        return [judge_note(self.judge, recipe), share_note(faces)] if self.judge else []


def student_ways(student: Student) -> dict[str, int]:
    """Return the scores that a student should raise (1) or lower (-1): by its task, or by the changes it was told."""
    ways, conditions = wanted_ways({"task": student.facts.task}), student.facts.conditions
    if not conditions or not student.edit:
        return ways
    changes = changes_of(conditions, parse_edit(student.edit))
    told = {condition.name: change for condition, change in zip(conditions, changes, strict=True) if change}
    return ways | {name: 1 if change > 0 else -1 for name, change in told.items()}


def open_faces(recipe: Recipe, *, rows: int, scorer: str, device: str, reverse: bool = False) -> FaceJudging:
    """Open what compares the faces of a data set, whose pairs may go in `reverse`; where that cannot be, say why.

    Raises DistillError for a scorer that was asked for and is not there.
    """
    if not rows:
        return FaceJudging(missing={"faces": "not asked for"})
    if recipe.get("align") == "none":
        return FaceJudging(missing={"faces": "the recipe looked for no faces in this data set (align none)"})
    try:
        ways = {score: -way if reverse else way for score, way in wanted_ways(recipe).items()}
        return judging_by(scorer, ways=ways, attributes=edited(recipe), device=device)
    except NoFaceModel as error:
        return FaceJudging(missing={"faces": str(error)})


def judging_by(
    scorer: str, *, ways: Mapping[str, int], attributes: Sequence[str] = (), device: str
) -> FaceJudging:
    """Open the scorer and dlib's models; with "auto" no scorer has to be there, else raises DistillError.

    Raises NoFaceModel where dlib's models are not there.
    """
    judge, missing = None, {}
    try:
        judge = open_judge(scorer, attributes=attributes, device=device)
    except DistillError as error:
        if scorer != AUTO:
            raise
        missing = {"attributes": str(error)}
    try:
        scores = FaceScores(scorer=judge.scorer if judge else None, ways=ways)
    except DistillError as error:
        raise NoFaceModel(str(error)) from error
    return FaceJudging(scores=scores, judge=judge, missing=missing)


class NoFaceModel(DistillError):
    """dlib, or one of its models, is not there."""


def face_notes(judging: FaceJudging, found: Evaluation, recipe: Recipe) -> list[str]:
    """What a reader must know of the faces of a data set."""
    notes = []
    if judging.scores is not None and not found.face_rows:
        return [
            f"Faces: none could be found in {plural(judging.scores.without, 'row')}, so none are compared."
        ]
    if judging.scores is not None:
        without = judging.scores.without
        lost = f", {without} had no face that could be found" if without else ""
        notes.append(
            f"Faces: {plural(found.face_rows, 'row')} compared by dlib's descriptor{lost}; the target's column shows"
            " what the edit itself does."
        )
    if found.between_people is not None:
        close = found.between_people < SAME_PERSON
        blur = ": too near for that descriptor to tell people apart" if close else ""
        notes.append(f"Two different faces of this data set lie {found.between_people:.3f} apart{blur}.")
    return notes + judging.notes(recipe, found.face_rows)


def judge_note(judge: Judge, recipe: Recipe | None, what: str = "Attributes") -> str:
    """Say who judged `what`, and whether that is whom the student was taught to please."""
    who = f"{what}: judged by the scorer {judge.name}"
    other = "; another judge: distill weights fetch face-api-age-gender, then --scorer face-api"
    if recipe is None:
        doubt = f", which also selects the data in the tasks of this package: use another judge{other}"
        return (
            f"Warning: {who}{doubt}"
            if judge.name == BUILTIN
            else f"{who}; who selected the data is not known here."
        )
    if judge.selected(recipe):
        hint = other if judge.name == BUILTIN else ""
        return f"Warning: {who}, which also selected the data: its shares flatter the student{hint}."
    if chosen := selecting(recipe):
        return f"{who}, which did not select the data ({chosen} did)."
    return f"{who}; no scorer is known to have selected the data."


def share_note(faces: int) -> str:
    """Say how well a share of `faces` faces is known: 1.96 standard deviations of a share of one half."""
    return f"A share of {plural(faces, 'face')} is known to ±{0.98 / max(1, faces) ** 0.5:.2f} (95 %)."
