"""A student as a method of the comparison: at its own size, in its batches, timed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from distill.editing.latent_edit import resized
from distill.editing.translator import Translator, make_translator
from distill.errors import DistillError
from distill.evaluation.comparison.edits import AskedEdit
from distill.evaluation.comparison.photo_list import FrozenFace
from distill.evaluation.comparison.request import CompareRequest
from distill.evaluation.times import student_time
from distill.faces.alignment import Pixels
from distill.files import path_text
from distill.networks.student import Student, load_student, student_file
from distill.networks.student_kinds import kind_of_file
from distill.pixels import to_float
from distill.timing import ImageTime
from distill.weights.by_name import path_by_name
from distill.weights.checkpoint import file_sha256
from distill.weights.state_files import read_state


@dataclass(frozen=True, kw_only=True, eq=False)
class StudentDrawer:
    """Draws by a student; `identity`: what its pictures depend on.

    `translators`: by the way of a face's score; all the same of a student that makes one change alone.
    """

    translators: Mapping[int, Translator]
    identity: Mapping[str, Any]

    @property
    def translate(self) -> Translator:
        return next(iter(self.translators.values()))

    @property
    def student(self) -> Student:
        return self.translate.student

    @property
    def size(self) -> int:
        return self.translate.size

    def draw(self, faces: Sequence[FrozenFace]) -> list[Pixels]:
        """Edit faces; pictures of their size come back, scaled where the student works at another."""
        outputs: dict[str, Pixels] = {}
        for way in {face.way for face in faces}:
            some = [face for face in faces if face.way == way]
            photos = [face.pixels() for face in some]
            drawn = self.translators[way]([resized(photo, self.size, self.size) for photo in photos])
            for face, photo, image in zip(some, photos, drawn, strict=True):
                outputs[face.name] = resized(image, *photo.shape[:2])
        return [outputs[face.name] for face in faces]

    def time(self, faces: Sequence[FrozenFace]) -> ImageTime:
        """Time the network alone, on a batch."""
        some = faces[: self.translate.batch]
        pixels = np.stack([resized(face.pixels(), self.size, self.size) for face in some])
        return student_time(self.student, to_float(torch.from_numpy(pixels)).to(self.student.device))


def open_student(
    source: str, request: CompareRequest, edit: AskedEdit, *, own: str | None = None, reverse: bool = False
) -> StudentDrawer:
    """Load a student, of a CycleGAN's run in `reverse` the second translator.

    A student that makes several changes is told the `edit`, or its `own` name for it. Raises DistillError for a
    student of two inputs, and for an edit that it does not know.
    """
    words = edits_for(source, edit, own, reverse=reverse)
    translators = {}
    for way, text in words.items():
        student = load_student(
            source,
            device=request.device,
            precision=request.precision,
            norm_statistics=request.norm_statistics,
            reverse=reverse,
            edit=text,
        )
        if student.input_count > 1:
            raise DistillError(
                f"{path_text(student.path)}: it takes two faces; this table is of edits of one"
            )
        translators[way] = make_translator(student, style=None, size=None, batch=request.batch)
    some = next(iter(translators.values()))
    identity = {
        "sha256": file_sha256(some.student.path),
        "size": some.size,
        "precision": some.student.precision,
        "norm_statistics": some.student.norm_statistics,
        "edits": sorted({each.student.edit for each in translators.values()} - {""}),
    }
    same = len(set(words.values())) == 1
    ways = (-1, 0, 1)
    return StudentDrawer(translators=dict.fromkeys(ways, some) if same else translators, identity=identity)


def edits_for(source: str, edit: AskedEdit, own: str | None, *, reverse: bool) -> dict[int, str | None]:
    """Say for each way of a score what a student is told; nothing where it makes one change alone.

    Raises DistillError where its `own` word is given and it takes none, and where it makes several changes and the
    comparison says none.
    """
    path = student_file(path_by_name(source, "student"), reverse=reverse)
    if kind_of_file(read_state(path)).with_edit is None:
        if own is not None:
            raise DistillError(f"{path_text(path)}: it makes one change alone: leave out :{own}")
        return {edit.way: None}
    if own is not None:
        return {edit.way: own}
    if edit.attribute is None:
        raise DistillError(
            f"{path_text(path)}: it must be told what to change: add it, as in FILE:gender=female"
        )
    return {way: edit.word(way) for way in ([edit.way] if edit.way else [1, -1])}
