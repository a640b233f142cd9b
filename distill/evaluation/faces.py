"""The part of `distill evaluate` that is about faces: who judges, and what a reader must know of the numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from distill.errors import DistillError

if TYPE_CHECKING:
    from distill.attributes.face_scores import FaceScores
    from distill.attributes.judge import Judge


def open_faces(
    recipe: Mapping[str, Any], options: dict[str, Any], *, device: str
) -> tuple[FaceScores | None, Judge | None, dict[str, str]]:
    """Open what compares faces; where that cannot be, say why.

    Raises DistillError for a scorer that was asked for and is not there.
    """
    if not options["faces"]:
        return None, None, {"faces": "not asked for"}
    if recipe.get("align") == "none":
        return None, None, {"faces": "the recipe found no faces in this data set (align none)"}
    from distill.attributes.face_scores import FaceScores
    from distill.attributes.moves import wanted_ways

    judge, skipped = judge_of(options["scorer"], device=device)
    scorer = judge.scorer if judge else None
    try:
        return FaceScores(scorer=scorer, ways=wanted_ways(recipe)), judge, skipped
    except DistillError as error:
        return None, None, {"faces": str(error)}


def judge_of(source: str, *, device: str) -> tuple[Judge | None, dict[str, str]]:
    """Open the scorer; with "auto" nothing has to be there, else raises DistillError."""
    from distill.attributes.judge import AUTO, open_judge

    try:
        return open_judge(source, device=device), {}
    except DistillError as error:
        if source != AUTO:
            raise
        return None, {"attributes": str(error)}


def judge_facts(judge: Judge, recipe: Mapping[str, Any] | None) -> dict[str, Any]:
    """Who judged, for the JSON; `selected_data` is None where it is not known who selected.

    `recipe`: of the data set, or what a student's file keeps of it.
    """
    selected = None if recipe is None else judge.selected(recipe)
    return {"name": judge.name, "sha256": sorted(judge.hashes), "selected_data": selected}


def judge_note(judge: Judge, recipe: Mapping[str, Any] | None) -> str:
    """Say who judged, and whether that is whom the student was taught to please."""
    from distill.attributes.judge import selecting
    from distill.attributes.load import BUILTIN

    who = f"Attributes: judged by the scorer {judge.name}"
    other = "; another judge: distill weights fetch face-api-age-gender, then --scorer face-api"
    if recipe is None:
        doubt = f", which the tasks of this package select with: see to another judge{other}"
        return (
            f"Warning: {who}{doubt}"
            if judge.name == BUILTIN
            else f"{who}; who selected the data is not known here."
        )
    if judge.selected(recipe):
        hint = other if judge.name == BUILTIN else ""
        return f"Warning: {who}, which also selected this data set: its shares flatter the student{hint}."
    chosen = selecting(recipe)
    return f"{who}, which did not select this data set ({f'{chosen} did' if chosen else 'no scorer did'})."


def share_note(faces: int) -> str:
    """How well a share of so many faces is known: 1.96 standard deviations of a share of one half."""
    return f"A share of {faces} faces is known to ±{0.98 / max(1, faces) ** 0.5:.2f} (95 %)."
