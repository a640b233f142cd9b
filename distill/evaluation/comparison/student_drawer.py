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
from distill.evaluation.comparison.ways import Told, told_by_way
from distill.evaluation.times import student_time
from distill.faces.alignment import Pixels
from distill.files import path_text
from distill.networks.student import Student, load_student
from distill.pixels import to_float
from distill.timing import ImageTime
from distill.weights.checkpoint import file_sha256


@dataclass(frozen=True, kw_only=True, eq=False)
class StudentDrawer:
    """Draws by a student; `identity`: what its pictures depend on.

    `translators`: by the way of a face's score; all the same of a student that makes one change alone.
    """

    translators: Mapping[int, Translator]
    identity: Mapping[str, Any]
    notes: Sequence[str] = ()

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
    source: str,
    request: CompareRequest,
    edit: AskedEdit,
    *,
    own: str | None = None,
    reverse: bool | None = None,
) -> StudentDrawer:
    """Load a student; of a CycleGAN's run the translator that `reverse` names, None: the one that fits the face.

    A student that makes several changes is told the `edit`, or its `own` name for it. Raises DistillError for a
    student of two inputs, and for an edit that it does not know.
    """
    told = told_by_way(source, edit, own=own, reverse=reverse)
    loaded = {each: _translator(source, request, each) for each in dict.fromkeys(told.values())}
    students = sorted((each.student for each in loaded.values()), key=lambda student: student.edit)
    some = next(iter(loaded.values()))
    identity = {
        "sha256": sorted({file_sha256(student.path) for student in students}),
        "size": some.size,
        "precision": some.student.precision,
        "norm_statistics": some.student.norm_statistics,
        "edits": [student.edit for student in students if student.edit],
    }
    # A student that makes one change alone is asked no way.
    of_way = {way: loaded[each] for way, each in told.items()}
    ways = of_way if len(loaded) > 1 else dict.fromkeys((-1, 0, 1), some)
    notes = list(dict.fromkeys(each.note for each in told.values() if each.note))
    return StudentDrawer(translators=ways, identity=identity, notes=notes)


def _translator(source: str, request: CompareRequest, told: Told) -> Translator:
    student = load_student(
        source,
        device=request.device,
        precision=request.precision,
        norm_statistics=request.norm_statistics,
        reverse=told.reverse,
        edit=told.edit,
    )
    if student.input_count > 1:
        raise DistillError(f"{path_text(student.path)}: it takes two faces; this table is of edits of one")
    return make_translator(student, style=None, size=None, batch=request.batch)
