"""Students as somebody may try them: what they are called, what is said of them, the faces that they get."""

from __future__ import annotations

from distill.editing.translator import MOST_SIZE, image_sides
from distill.errors import DistillError
from distill.networks.student import Student
from distill.weights.registry import WeightsEntry, weights_entries

ENDS = {  # of the ranges of changes, for a person
    "gender": ("male", "female"),
    "age": ("younger", "older"),
}


def face_side(student: Student) -> int:
    """Return the side of the faces that a student gets, px.

    Raises DistillError for a student of oblong or too large images, and for one of more than two.
    """
    height, width = image_sides(student, None)
    height, width = student.architecture.sides or (height, width)
    if width != height:
        raise DistillError(
            f"{student.name}: the student takes pictures of {width}×{height} px, and the page cuts out squares"
        )
    if height > MOST_SIZE:
        raise DistillError(f"{student.name}: trained at {height} px, but faces have {MOST_SIZE} px at most")
    if student.input_count > 2:
        raise DistillError(
            f"{student.name}: the student takes {student.input_count} images; the page gives 1 or 2"
        )
    student.architecture.check_sides(height, width)
    return height


def entry_of_student(student: Student) -> WeightsEntry | None:
    """Return what the table says of a student that comes with the package."""
    return next((entry for entry in weights_entries("student") if entry.path == student.path), None)


def about_student(student: Student, size: int) -> str:
    """Say in one sentence what a student does."""
    entry = entry_of_student(student)
    about = entry.summary.partition(": ")[2] if entry else f"a student of {size} px"
    return f"{about[:1].upper()}{about[1:]}."
