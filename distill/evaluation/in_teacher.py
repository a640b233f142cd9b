"""The edit of the teacher that a student is compared with: which teacher, direction and strength."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from distill.attributes.moves import wanted_ways
from distill.directions.file import SUFFIX, Direction, directions_folder, read_direction, shipped_directions
from distill.editing.latent_edit import LatentEdit
from distill.errors import DistillError
from distill.evaluation.faces import FaceJudging
from distill.files import path_text
from distill.generation.edits.along_direction import AlongDirection
from distill.generation.recipe import TaskRecipe
from distill.networks.perceptual import default_perceptual, load_perceptual
from distill.networks.student import Student
from distill.stylegan2.load import load_generator
from distill.weights.by_name import generator_name


class AsksForLatentEdit(Protocol):
    """What a request says about the edit in the teacher."""

    @property
    def teacher(self) -> str | None: ...

    @property
    def strength(self) -> float | None: ...


@dataclass(frozen=True, kw_only=True, eq=False)
class EditInTeacher:
    """The edit, the teacher as it was named, and whether the strength is the task's own."""

    edit: LatentEdit
    teacher: str
    default_strength: bool

    def facts(self) -> dict[str, Any]:
        """What the edit is, as plain values."""
        return {
            "teacher": path_text(self.teacher, line=False),
            "teacher_sha256": self.edit.generator.sha256,
            "direction": self.edit.direction.name,
            "direction_sha256": self.edit.direction.sha256,
            "strength": self.edit.strength,
            "strength_is_the_tasks": self.default_strength,
        }

    def told(self, note: Callable[[str], object]) -> LatentEdit:
        """Return the edit; `note` hears of its steps."""
        return replace(self.edit, on_step=lambda step, steps: note(f"embedding: step {step} of {steps}"))

    def line(self) -> str:
        """The same for people."""
        whose = ", the task's default" if self.default_strength else ""
        return f"{path_text(self.teacher)}, along {self.edit.direction.name} by {self.edit.strength:g}{whose}"


def open_latent_edit(
    request: AsksForLatentEdit, student: Student, judging: FaceJudging, recipes: Mapping[str, TaskRecipe]
) -> EditInTeacher:
    """Make the edit that the student was distilled from, as the task's recipe has it unless the request says more.

    Raises DistillError where the task is not along a direction, and for a teacher or direction that is not here.
    """
    facts, device = student.facts, str(student.device)
    recipe = recipes.get(facts.task or "")
    if recipe is None or not isinstance(recipe.edit, AlongDirection):
        learned = facts.task or "an unknown task"
        raise DistillError(
            f"--latent-edit is for students of an edit along a direction; this one learned {learned}"
        )
    teacher, attribute = request.teacher or facts.generator, recipe.edit.attribute
    if teacher is None:
        raise DistillError("--latent-edit needs the student's teacher: name it with --teacher")
    features = default_perceptual()
    if features == "none":
        raise DistillError("--latent-edit compares perceptual features: pip install 'distill[train]'")
    generator = load_generator(teacher, device=device)
    edit = LatentEdit(
        generator=generator,
        direction=direction_of(attribute, teacher, generator.sha256),
        strength=request.strength or recipe.edit.strength,
        features=load_perceptual(features, device=device),
        way=wanted_ways({"task": facts.task}).get(attribute),
        scorer=judging.judge.scorer if judging.judge else None,
    )
    return EditInTeacher(edit=edit, teacher=teacher, default_strength=request.strength is None)


def direction_of(
    attribute: str,
    teacher: str,
    sha256: str,
    *,
    asked: str = "--latent-edit",
    hint: str = "name a teacher that has one with --teacher",
) -> Direction:
    """Read the shipped direction of an attribute of a generator, known by its sha256, wherever its file lies.

    `asked` and `hint`: for the message, what needs it and what to do. Raises DistillError where none is shipped.
    """
    name = f"{generator_name(sha256)}-{attribute}"
    if name not in shipped_directions():
        have = [known.removesuffix(f"-{attribute}") for known in shipped_directions()
                if known.endswith(f"-{attribute}")]  # fmt: skip
        raise DistillError(
            f"{asked}: no direction {attribute!r} of the teacher {path_text(teacher)} comes with distill;"
            f" {hint}: {', '.join(have) or 'none has'}"
        )
    return read_direction(directions_folder() / f"{name}{SUFFIX}")
