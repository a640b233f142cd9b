"""What a student is told for each way of a score: which change, or which of a CycleGAN's two translators.

A way is 1 or -1, as in `AskedEdit`: towards female and older, or towards male and younger; 0: no scorer tells.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from distill.errors import DistillError
from distill.evaluation.comparison.edits import VALUES, AskedEdit
from distill.evaluation.true_pairs import AGE
from distill.files import path_text
from distill.networks.edits import EditCondition
from distill.networks.student import IN_RUN_REVERSE, load_student, student_file
from distill.networks.student_kinds import kind_of_file
from distill.weights.by_name import path_by_name
from distill.weights.state_files import read_state

YEARS = 20.0  # for older and younger: the least gap of the pairs of the tasks ageing and rejuvenation
FORTH = "a2b.safetensors"  # of a CycleGAN's run
# Words in the names of a CycleGAN's domains, beside the values of an edit.
SAME_AS = {
    **dict.fromkeys(("women", "woman", "females"), "female"),
    **dict.fromkeys(("men", "man", "males"), "male"),
    **dict.fromkeys(("old", "over", "from"), "older"),
    **dict.fromkeys(("young", "under"), "younger"),
}


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a student is told: an `edit`, None where it makes one change alone; `reverse`: the second translator.

    `note`: what a reader should know of it, empty where that is what the comparison asks.
    """

    edit: str | None = None
    reverse: bool = False
    note: str = ""


def told_by_way(source: str, edit: AskedEdit, *, own: str | None, reverse: bool | None) -> dict[int, Told]:
    """Say for each way of the faces what a student is told.

    `own`: the user's word for its edit. `reverse` None: the user named no translator of a CycleGAN, so each face gets
    the one whose target is what that face should become. Raises DistillError where `own` is given to a student of
    one change, where it makes several and the comparison says none, and where a CycleGAN's domains do not tell.
    """
    folder = path_by_name(source, "student")
    path = student_file(folder, reverse=bool(reverse))
    ways = [edit.way] if edit.way or edit.attribute is None else [1, -1]
    kind = kind_of_file(read_state(path))
    if kind.with_edit is None:
        if own is not None:
            raise DistillError(f"{path_text(path)}: it makes one change alone: leave out :{own}")
        if reverse is None and path.name == FORTH and (folder / IN_RUN_REVERSE).is_file():
            return _translators(folder, edit, ways)
        return {way: Told(reverse=bool(reverse)) for way in ways}
    if own is not None:
        return {way: Told(edit=own) for way in ways}
    if edit.attribute is None:
        raise DistillError(
            f"{path_text(path)}: it must be told what to change: add it, as in FILE:gender=female"
        )
    conditions = load_student(source).facts.conditions if kind.plain else ()
    return {way: _told(edit, way, conditions) for way in ways}


def _told(edit: AskedEdit, way: int, conditions: Sequence[EditCondition]) -> Told:
    """Tell a student the word for an edit; one of any strength knows none for an age and is told years."""
    condition = next((each for each in conditions if each.name == edit.attribute == AGE), None)
    if condition is None:
        return Told(edit=edit.word(way))
    change = way * min(YEARS, condition.high)
    less = f", the most it was taught (less than {YEARS:g})" if condition.high < YEARS else ""
    told = f"{AGE}={change:+g}"
    note = f"told {told} {condition.unit} for {edit.word(way)}{less}; RUN:{AGE}={way * 10:+g} asks for another change"
    return Told(edit=told, note=note)


def _translators(run: Path, edit: AskedEdit, ways: list[int]) -> dict[int, Told]:
    """Choose the translator of a CycleGAN for each way, by the names of its domains."""
    targets = {reverse: load_student(run, reverse=reverse).facts.target or "" for reverse in (False, True)}
    found = {way_of_domain(edit, target): Told(reverse=reverse) for reverse, target in targets.items()}
    missing = [way for way in ways if way not in found]
    if missing:
        wanted = edit.text if edit.attribute is None else " or ".join(map(edit.word, missing))
        raise DistillError(
            f"{path_text(run)}: its domains {' and '.join(targets.values())} do not tell which translator makes"
            f" {wanted}: add :a2b or :b2a"
        )
    return {way: found[way] for way in ways}


def way_of_domain(edit: AskedEdit, name: str) -> int | None:
    """Tell by the name of a domain which way a score goes towards it; None where it says nothing, or both."""
    values: Mapping[str, int] = VALUES.get(edit.attribute or "", {})
    words = re.findall(r"[a-z]+", name.lower())
    ways = {values[SAME_AS.get(word, word)] for word in words if SAME_AS.get(word, word) in values}
    return ways.pop() if len(ways) == 1 else None
