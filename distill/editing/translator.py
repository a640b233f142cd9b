"""A student that is ready for faces: its size, its batches, and the style image of a two-input one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from distill.errors import DistillError
from distill.faces.alignment import Pixels
from distill.faces.photos import cut_largest_face, photo_detector
from distill.networks.student import Student
from distill.pixels import to_float, to_numpy, to_uint8
from distill.progress import command_text

MOST_SIZE = 2048  # px
DEFAULT_SIZE = 256  # px, where the file does not say what the student was trained at


@dataclass(frozen=True, kw_only=True, eq=False)
class Translator:
    """A student with everything it needs beside the face: the style image [size, size, 3] of a two-input one."""

    student: Student
    size: int
    style: Pixels | None = None
    batch: int = 8

    @property
    def roles(self) -> tuple[str, ...]:
        """Names of the inputs, in the order of the channels, of a student that learnt pairs in reverse too."""
        if self.student.facts.inputs == ("target",):
            return ("source",)
        return self.student.facts.inputs or ("photo", "style")[: self.student.input_count]

    def inputs(self, face: Pixels) -> list[Pixels]:
        """The images of one sample in the order of `roles`: the style where a role is called so, else last."""
        if self.style is None:
            return [face]
        return [self.style, face] if self.roles[0] == "style" else [face, self.style]

    def __call__(self, faces: Sequence[Pixels]) -> list[Pixels]:
        """Translate aligned faces [size, size, 3], `batch` at a time. Raises DistillError where memory ends."""
        found: list[Pixels] = []
        for start in range(0, len(faces), self.batch):
            samples = [np.stack(self.inputs(face)) for face in faces[start : start + self.batch]]
            images = to_float(torch.from_numpy(np.concatenate(samples)))  # [N * inputs, 3, H, W]
            joined = images.reshape(len(samples), -1, self.size, self.size)
            found.extend(to_numpy(to_uint8(self._run(joined))))
        return found

    def _run(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        try:
            return self.student(images_NCHW)
        except torch.OutOfMemoryError as error:
            count = len(images_NCHW)
            advice = f"use --batch {count // 2}" if count > 1 else "use a smaller --size, or --device cpu"
            raise DistillError(
                f"a batch of {count} at {self.size} px does not fit the GPU's memory: {advice}"
            ) from error


def make_translator(student: Student, *, style: Path | None, size: int | None, batch: int) -> Translator:
    """Bring a student and its options together; `size` None is the size it was trained at, else 256 px.

    Raises DistillError for a missing or superfluous style image, one without a face, and a size that is too large or
    that the network does not take.
    """
    wanted = student.input_count
    if wanted > 2:
        raise DistillError(f"{student.path}: the student takes {wanted} images; 1 or 2 can be given")
    if wanted == 2 and style is None:
        raise DistillError(
            f"{student.path}: the student takes 2 images (6 channels), a photo and a style: add --style IMAGE"
        )
    if wanted == 1 and style is not None:
        raise DistillError(
            f"{student.path}: the student takes 1 image (3 channels): leave out {command_text('--style', style)}"
        )
    side = size or student.facts.resolution or DEFAULT_SIZE
    if side > MOST_SIZE:
        said = "" if size else "the file says that it was trained at "
        raise DistillError(
            f"{student.path}: {said}{side} px, and faces have {MOST_SIZE} at most: translate takes another by --size"
        )
    student.architecture.check_sides(side, side)
    style_face = None if style is None else cut_largest_face(style, photo_detector(), size=side).pixels
    return Translator(student=student, size=side, style=style_face, batch=batch)
