"""Which photographs are edited, and which are real pictures of the target, as far as it is known beforehand."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from distill.attributes.judge import Judge
from distill.errors import DistillError
from distill.evaluation.comparison.edits import (
    AskedEdit,
    edit_of_column,
    labelled_value,
    parse_edit,
    ways_by_table,
)
from distill.evaluation.comparison.request import Alignment, CompareRequest
from distill.evaluation.student_scores import evenly
from distill.evaluation.true_pairs import LEAST_YEARS, read_true_pairs
from distill.faces.decode import PhotoError, photo_size
from distill.faces.find import find_photos
from distill.files import file_sha256, path_text
from distill.progress import plural
from distill.schema import canonical_json
from distill.shards.images.labels import read_labels

LEAST_EDITED, LEAST_REAL = 4, 8  # photographs: halves of them still have pairs, those of the real ones too


@dataclass(frozen=True, kw_only=True, eq=False)
class PhotoPlan:
    """What is cut. `has`: which photographs have the edit's value, by labels; None where the scorer says so.

    `truths`: of each photograph, in comparisons with true pairs; `ways`: of its score, None where no table says it.
    `real`: of a folder of their own. `left_out`: pairs that are not compared, by the reason.
    """

    edit: AskedEdit
    photos: Sequence[Path]
    asked: Mapping[str, Any]  # what the list depends on
    has: Sequence[bool | None] | None = None
    real: Sequence[Path] | None = None
    truths: Sequence[Path] | None = None
    ways: Sequence[int] | None = None
    left_out: Mapping[str, int] = field(default_factory=dict)
    align: Alignment = "ffhq"
    limit: int | None = None

    @property
    def count(self) -> int:
        """Photographs to be cut."""
        return len(self.to_cut()) + len(self.real or ())

    def to_cut(self) -> list[int]:
        """The places of photographs that are cut, out of `photos`."""
        if self.has is None:
            return self._some(range(len(self.photos))) if self.truths else list(range(len(self.photos)))
        edited = [at for at, has in enumerate(self.has) if has is False]
        real = [at for at, has in enumerate(self.has) if has] if self.real is None else []
        return sorted([*self._some(edited), *self._some(real)])

    def _some(self, places: Sequence[int]) -> list[int]:
        return [places[at] for at in evenly(len(places), self.limit or len(places))] if places else []

    def counts(self) -> str:
        """How many photographs there are of either kind, in words."""
        if self.truths is not None:
            ways = Counter(self.ways[at] for at in self.to_cut()) if self.ways else {}
            each = [f"{count} to {self.edit.word(way)}" for way, count in sorted(ways.items())]
            others = [f"{count} left out: {why}" for why, count in self.left_out.items()]
            return ", ".join([plural(self.count, "true pair"), *each, *others])
        if self.has is None:
            return f"{plural(len(self.photos), 'photograph')}; the scorer says which have {self.edit.text} already"
        edited = sum(self.has[at] is False for at in self.to_cut())
        real = len(self.real) if self.real is not None else len(self.to_cut()) - edited
        unknown = sum(has is None for has in self.has)
        return f"{edited} to edit, {real} real ones of {self.edit.text}" + (
            f", {unknown} without a label" if unknown else ""
        )


def plan_photos(request: CompareRequest, judge: Judge) -> PhotoPlan:
    """Find the photographs and what is known of them, before any is cut.

    Raises DistillError for what is missing, does not fit, or is empty.
    """
    return _plan_truth(request, judge) if request.truth else _plan_folder(request, judge)


def _plan_folder(request: CompareRequest, judge: Judge) -> PhotoPlan:
    assert request.photos is not None
    edit = parse_edit(request.edit or "")
    photos = _files(request.photos, request.out)
    real = None if request.real is None else _files(request.real, request.out)
    check_names(photos)
    check_names(real or ())
    has = None
    if request.labels is not None:
        names = [str(path.relative_to(request.photos)) for path in photos]
        has = labelled_value(edit, read_labels(request.labels), names)
        check_sides(edit, has, real, f"{path_text(request.photos)} by {path_text(request.labels)}")
    elif edit.attribute not in judge.scorer.kinds:
        have = ", ".join(judge.scorer.kinds)
        raise DistillError(
            f"--edit {edit.text}: the scorer {judge.name} reads {have} only: say who has it with --labels, or"
            " name another --scorer"
        )
    if request.align == "none":
        check_one_size([*photos, *(real or ())])
    plan = PhotoPlan(
        edit=edit, photos=photos, asked={}, has=has, real=real, align=request.align, limit=request.limit
    )
    return replace(plan, asked=_asked(request, plan, judge if has is None else None))


def _plan_truth(request: CompareRequest, judge: Judge) -> PhotoPlan:
    assert request.truth is not None
    said = request.edit if request.edit and "=" in request.edit else None
    found = read_true_pairs(request.truth, request.column or (None if said else request.edit))
    edit = parse_edit(said) if said else edit_of_column(found.edit)
    ways = ways_by_table(edit, [pair.cells for pair in found.pairs], found.table)
    fit = [at for at in range(len(found.pairs)) if not ways or edit.way in (0, ways[at])]
    if not fit:
        raise DistillError(f"{path_text(found.table)}: every source has {edit.text} already: none is to edit")
    pairs = [found.pairs[at] for at in fit]
    left_out = {
        f"less than {LEAST_YEARS:g} years apart": found.too_close,
        f"the source has {edit.text} already": len(found.pairs) - len(pairs),
    }
    plan = PhotoPlan(
        edit=edit,
        photos=[pair.source for pair in pairs],
        truths=[pair.truth for pair in pairs],
        ways=[ways[at] for at in fit] if ways else None,
        left_out={why: count for why, count in left_out.items() if count},
        asked={},
        align=request.align,
        limit=request.limit,
    )
    check_names(plan.photos)
    if request.align == "none":
        check_one_size([path for pair in pairs for path in (pair.source, pair.truth)])
    by_scorer = edit.attribute is not None and not edit.way and ways is None
    if by_scorer and edit.attribute not in judge.scorer.kinds:
        raise DistillError(
            f"{path_text(found.table)}: no column {edit.attribute}, and the scorer {judge.name} does not tell it:"
            " add the column, or another --scorer"
        )
    asked = _asked(request, plan, judge if by_scorer else None)
    if plan.ways is not None:
        asked["labels_sha256"] = hashlib.sha256(canonical_json(list(plan.ways)).encode()).hexdigest()
    return replace(plan, asked=asked)


def _files(folder: Path, out: Path) -> list[Path]:
    if not folder.is_dir():
        raise DistillError(f"{path_text(folder)}: no such folder of photographs")
    return list(find_photos([folder], out).complete())


def _asked(request: CompareRequest, plan: PhotoPlan, judge: Judge | None) -> dict[str, Any]:
    """What the list depends on; `judge` where a scorer decides. The size is added when it is known."""
    folder = request.truth or request.photos
    assert folder is not None
    return {
        "edit": plan.edit.text,
        "align": plan.align,
        "limit": plan.limit,
        "labels_sha256": file_sha256(request.labels) if request.labels else None,
        "scorer_sha256": judge.scorer.sha256 if judge else None,
        "photos": _hashes(plan.photos, folder),
        "real": _hashes(plan.real or plan.truths or (), request.real or folder),
    }


def _hashes(files: Sequence[Path], folder: Path) -> list[dict[str, str]]:
    return [
        {"file": path_text(path.relative_to(folder), line=False), "sha256": file_sha256(path)}
        for path in files
    ]


def check_names(photos: Sequence[Path]) -> None:
    """Raise DistillError where two photographs have one stem, by which pictures are matched, or it is no text."""
    for path in photos:
        if path_text(path.stem) != path.stem:
            raise DistillError(f"{path_text(path)}: the name is not plain text: rename it")
    counts = Counter(path.stem for path in photos)
    if twice := [path for path in photos if counts[path.stem] > 1]:
        raise DistillError(
            f"{path_text(twice[0])} and {path_text(twice[1])} are both called {twice[0].stem}: pictures are matched"
            " by that name, rename one"
        )


def check_sides(edit: AskedEdit, has: Sequence[bool | None], real: Sequence[Path] | None, where: str) -> None:
    """Raise DistillError where there is nothing to edit, nothing real, or too little for the kernel distance."""
    with_it, without = sum(each is True for each in has), sum(each is False for each in has)
    pictures = with_it if real is None else len(real)
    if not without:
        raise DistillError(f"{where}: no photograph is without {edit.text}, so there is none to edit")
    if not pictures:
        raise DistillError(
            f"{where}: no photograph has {edit.text}: name real pictures of it with --real FOLDER"
        )
    check_enough(without, pictures)


def check_enough(edited: int, real: int) -> None:
    """Raise DistillError for fewer pictures than the kernel distance needs."""
    if edited < LEAST_EDITED or real < LEAST_REAL:
        raise DistillError(
            f"{plural(edited, 'photograph')} to edit and {real} real ones: the kernel distance needs at least"
            f" {LEAST_EDITED} and {LEAST_REAL}; a few hundred make it meaningful"
        )


def check_one_size(photos: Sequence[Path]) -> None:
    """Raise DistillError unless all pictures are squares of one size."""
    first: tuple[int, int] | None = None
    for path in photos:
        try:
            height, width = photo_size(path)
        except PhotoError as error:
            raise DistillError(f"{path_text(path)}: no picture: {error.reason} ({error.detail})") from error
        first = first or (height, width)
        if height != width or (height, width) != first:
            also = "" if height != width else f", {path_text(photos[0])} {first[1]}x{first[0]}"
            raise DistillError(
                f"{path_text(path)} has {width}x{height} px{also}: --align none takes squares of one size; leave it"
                " out to have all faces aligned"
            )
