"""A student that is ready for faces: its size, its batches, and the style image of a two-input one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from distill.editing.strip import StripStudents, open_strip
from distill.errors import DistillError
from distill.faces.alignment import Pixels
from distill.faces.decode import read_photo
from distill.faces.photos import cut_largest_face, middle_cut, photo_detector
from distill.networks.edits import conditions_text
from distill.networks.student import Student
from distill.pixels import to_float, to_numpy, to_uint8
from distill.progress import command_text

MOST_SIZE = 2048  # px
DEFAULT_SIZE = 256  # px, where the file does not say what the student was trained at
SECOND_FACES = ("style", "reference")  # roles that a style image takes


@dataclass(frozen=True, kw_only=True, eq=False)
class Translator:
    """A student with everything it needs beside the face: the style image [H, W, 3] of a two-input one.

    `size` is the height of its images; `width` None: as wide, which faces always are. `along`: the same student with
    several changes, for a strip of each face.
    """

    student: Student
    size: int
    style: Pixels | None = None
    batch: int = 8
    width: int | None = None
    along: StripStudents | None = None

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width."""
        return self.size, self.width or self.size

    @property
    def roles(self) -> tuple[str, ...]:
        """Names of the inputs, in the order of the channels, of a student that learnt pairs in reverse too."""
        return input_roles(self.student)

    @property
    def style_first(self) -> bool:
        """Whether a two-input student gets the style image before the face."""
        return self.roles[0] in SECOND_FACES

    def notes(self, *, chosen: bool) -> list[str]:
        """What its user may not expect, at a size that was `chosen` or not."""
        student = self.student
        lines = student.notes(self.size, chosen=chosen)
        if student.facts.conditions and not student.edit and not self.along:
            lines.append(
                f"no --edit, so nothing is changed; --edit can ask for {conditions_text(student.facts.conditions)}"
            )
        return lines

    def inputs(self, face: Pixels) -> list[Pixels]:
        """The images of one sample in the order of `roles`: the style where a role is a second face, else last."""
        if self.style is None:
            return [face]
        return [self.style, face] if self.style_first else [face, self.style]

    def __call__(
        self, faces: Sequence[Pixels], changes_NK: NDArray[np.float32] | None = None
    ) -> list[Pixels]:
        """Translate aligned faces or pictures [H, W, 3], `batch` at a time. Raises DistillError where memory ends.

        `changes_NK`: of each, in place of the edit of a student of any strength, in its units.
        """
        found: list[Pixels] = []
        for start in range(0, len(faces), self.batch):
            samples = [np.stack(self.inputs(face)) for face in faces[start : start + self.batch]]
            images = to_float(torch.from_numpy(np.concatenate(samples)))  # [N * inputs, 3, H, W]
            joined = images.reshape(len(samples), -1, *self.sides)
            some = None if changes_NK is None else torch.from_numpy(changes_NK[start : start + self.batch])
            found.extend(to_numpy(to_uint8(self._run(joined, some))))
        return found

    def strips(self, faces: Sequence[Pixels]) -> list[list[Pixels]]:
        """Translate each face by each change of `along`; [] each where there are none."""
        students = self.along.students if self.along else ()
        rows = [replace(self, student=student)(faces) for student in students]
        return [[row[place] for row in rows] for place in range(len(faces))]

    def _run(self, images_NCHW: torch.Tensor, changes_NK: torch.Tensor | None) -> torch.Tensor:
        try:
            return self.student(images_NCHW, changes_NK)
        except torch.OutOfMemoryError as error:
            count = len(images_NCHW)
            advice = f"use --batch {count // 2}" if count > 1 else "use a smaller --size, or --device cpu"
            raise DistillError(
                f"a batch of {count} at {self.size} px does not fit the GPU's memory: {advice}"
            ) from error


def make_translator(
    student: Student,
    *,
    style: Path | None,
    size: int | None,
    batch: int,
    whole: bool = False,
    strip: str | None = None,
) -> Translator:
    """Bring a student and its options together; `size` None is the size it was trained at, else 256 px.

    `whole`: it gets pictures, not faces that are cut out of them. `strip`: see `open_strip`. Raises DistillError for
    a missing or superfluous style image, one without a face, a size that is too large or that the network does not
    take, for faces where it takes oblong ones, and as `open_strip`.
    """
    _check_style(student, style)
    height, width = image_sides(student, size)
    if max(height, width) > MOST_SIZE:
        said = "" if size else "the file says that it was trained at "
        raise DistillError(
            f"{student.name}: {said}{max(height, width)} px, but faces have {MOST_SIZE} px at most: choose"
            " another with --size"
        )
    if width != height and not whole:
        raise DistillError(
            f"{student.name}: the student takes pictures of {width}×{height} px, and faces are squares: give it whole"
            " pictures, distill translate --align none"
        )
    student.architecture.check_sides(height, width)
    return Translator(
        student=student,
        size=height,
        style=None if style is None else _style(style, height, width, whole=whole),
        batch=batch,
        width=None if width == height else width,
        along=open_strip(strip, student) if strip else None,
    )


def input_roles(student: Student) -> tuple[str, ...]:
    """Return the names of a student's inputs, in the order of the channels; see `Translator.roles`."""
    if student.facts.inputs == ("target",):
        return ("source",)
    return student.facts.inputs or ("photo", "style")[: student.input_count]


def _check_style(student: Student, style: Path | None) -> None:
    """Raise DistillError for a style image that is missing or superfluous."""
    wanted = student.input_count
    if wanted > 2:
        raise DistillError(f"{student.name}: the student takes {wanted} images; 1 or 2 can be given")
    if wanted == 2 and style is None:
        first, second = input_roles(student)
        wanted_role = first if first in SECOND_FACES else second
        raise DistillError(
            f"{student.name}: the student takes 2 images (6 channels), a {first} and a {second}: add --style IMAGE,"
            f" the {wanted_role}"
        )
    if wanted == 1 and style is not None:
        raise DistillError(
            f"{student.name}: the student takes 1 image (3 channels): leave out {command_text('--style', style)}"
        )


def image_sides(student: Student, size: int | None) -> tuple[int, int]:
    """Return height and width of what a student is to get: of the shape that it was trained on, `size` px high."""
    facts = student.facts
    height = size or facts.resolution or DEFAULT_SIZE
    if not facts.width or not facts.resolution:
        return height, height
    multiple = student.architecture.side_multiple
    wanted = round(height * facts.width / facts.resolution / multiple) * multiple
    return height, facts.width if height == facts.resolution else wanted


def _style(path: Path, height: int, width: int, *, whole: bool) -> Pixels:
    if whole:
        return middle_cut(read_photo(path), (height, width))
    return cut_largest_face(path, photo_detector(), size=height).pixels
