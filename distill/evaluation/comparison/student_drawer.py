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
from distill.evaluation.comparison.photo_list import FrozenFace
from distill.evaluation.comparison.request import CompareRequest
from distill.evaluation.times import student_time
from distill.faces.alignment import Pixels
from distill.files import path_text
from distill.networks.student import Student, load_student
from distill.pixels import to_float
from distill.timing import ImageTime
from distill.weights.checkpoint import file_sha256


@dataclass(frozen=True, kw_only=True, eq=False)
class StudentDrawer:
    """Draws by a student; `identity`: what its pictures depend on."""

    translate: Translator
    identity: Mapping[str, Any]

    @property
    def student(self) -> Student:
        return self.translate.student

    @property
    def size(self) -> int:
        return self.translate.size

    def draw(self, faces: Sequence[FrozenFace]) -> list[Pixels]:
        """Edit faces; pictures of their size come back, scaled where the student works at another."""
        photos = [face.pixels() for face in faces]
        outputs = self.translate([resized(photo, self.size, self.size) for photo in photos])
        return [resized(output, *photo.shape[:2]) for output, photo in zip(outputs, photos, strict=True)]

    def time(self, faces: Sequence[FrozenFace]) -> ImageTime:
        """Time the network alone, on a batch."""
        some = faces[: self.translate.batch]
        pixels = np.stack([resized(face.pixels(), self.size, self.size) for face in some])
        return student_time(self.student, to_float(torch.from_numpy(pixels)).to(self.student.device))


def open_student(source: str, request: CompareRequest, *, reverse: bool = False) -> StudentDrawer:
    """Load a student, of a CycleGAN's run in `reverse` the second translator. Raises DistillError for two inputs."""
    student = load_student(
        source,
        device=request.device,
        precision=request.precision,
        norm_statistics=request.norm_statistics,
        reverse=reverse,
    )
    if student.input_count > 1:
        raise DistillError(
            f"{path_text(student.path)}: the student takes two faces; this table is of edits of one"
        )
    translate = make_translator(student, style=None, size=None, batch=request.batch)
    identity = {
        "sha256": file_sha256(student.path),
        "size": translate.size,
        "precision": student.precision,
        "norm_statistics": student.norm_statistics,
    }
    return StudentDrawer(translate=translate, identity=identity)
