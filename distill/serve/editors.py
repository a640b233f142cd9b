"""What can be done to a face, with one interface for students and for edits in the latent space of a generator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Protocol

import numpy as np
import torch

from distill.directions.file import Direction, read_direction, shipped_directions
from distill.editing.latent_edit import resized
from distill.editing.space_edit import shipped_encoder
from distill.editing.translator import Translator
from distill.errors import DistillError
from distill.faces.alignment import Pixels
from distill.files import path_text
from distill.networks.edits import EditCondition, parse_edit
from distill.networks.encoder_files import Encoder
from distill.networks.student import Student, load_student, needed_edit
from distill.pixels import to_float, to_numpy, to_uint8
from distill.serve.students import ENDS, about_student, face_side
from distill.stylegan2.encoding import encode
from distill.stylegan2.generator import Generator
from distill.stylegan2.spread import WSpread, measure_spread
from distill.weights.by_name import generator_name
from distill.weights.registry import weights_entries

FARTHEST = 4.0  # strength of a direction that is offered, in deviations of w
STEPS = 40  # of a slider, in a range that has no steps of its own


@dataclass(frozen=True, kw_only=True)
class EditSlider:
    """A change of any strength, from `low` to `high` in steps, and 0 for none; `unit` may be ""."""

    name: str
    unit: str
    low: float
    high: float
    step: float

    @property
    def label(self) -> str:
        ends = f": {' to '.join(ENDS[self.name])}" if self.name in ENDS else ""
        return f"{self.name}{ends}{f', {self.unit}' if self.unit else ''}"


class FaceEditor(Protocol):
    """Turns aligned faces [size, size, 3] into others. `edit` is text as `--edit` takes it, "" for none.

    `sliders` and `choices` are what an edit may say: so much of something, or words such as gender=female. `credit`:
    how the marks of its pictures name it.
    """

    @property
    def name(self) -> str: ...
    @property
    def about(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def takes_style(self) -> bool: ...
    @property
    def sliders(self) -> Sequence[EditSlider]: ...
    @property
    def choices(self) -> Sequence[str]: ...
    @property
    def credit(self) -> str: ...
    def __call__(self, faces: Sequence[Pixels], style: Pixels | None, edit: str) -> list[Pixels]: ...


@dataclass(frozen=True, kw_only=True, eq=False)
class StudentEditor:
    """A student: one pass a face."""

    name: str
    about: str
    size: int
    student: Student

    @property
    def takes_style(self) -> bool:
        return self.student.input_count == 2

    @property
    def sliders(self) -> Sequence[EditSlider]:
        return [_slider(condition) for condition in self.student.facts.conditions]

    @property
    def choices(self) -> Sequence[str]:
        attributes = self.student.facts.attributes
        return list(dict.fromkeys(choice for attribute in attributes for choice in attribute.choices))

    @property
    def credit(self) -> str:
        return self.student.credit

    def __call__(self, faces: Sequence[Pixels], style: Pixels | None, edit: str) -> list[Pixels]:
        """Raise DistillError for an edit that the student does not know, and a style that is missing."""
        if self.takes_style and style is None:
            raise DistillError(f"{self.name} takes two pictures: choose a style photo too")
        try:
            student = self.student.edited(edit) if edit else self.student
        except DistillError as error:
            raise DistillError(str(error).replace(self.student.name, self.name)) from error
        return Translator(student=student, size=self.size, style=style if self.takes_style else None)(faces)


@dataclass(frozen=True, kw_only=True, eq=False)
class LatentEditor:
    """A generator with its encoder: a face is put into w+ and moved along directions, and the generator draws it."""

    name: str
    generator: Generator
    encoder: Encoder
    spread: WSpread
    directions: Sequence[Direction]
    takes_style: bool = False
    choices: Sequence[str] = ()

    @property
    def about(self) -> str:
        return (
            f"The face as the generator {self.name.partition(' ')[0]} draws it ({self.size} px), moved along"
            " directions of its latent space. Strength 1 is one standard deviation."
        )

    @property
    def size(self) -> int:
        return self.generator.resolution

    @property
    def sliders(self) -> Sequence[EditSlider]:
        return direction_sliders(self.directions)

    @property
    def credit(self) -> str:
        sha256 = self.generator.sha256
        return f"the generator {generator_name(sha256) or f'of sha256 {sha256[:12]}'}"

    @torch.inference_mode()
    def __call__(self, faces: Sequence[Pixels], style: Pixels | None, edit: str) -> list[Pixels]:
        """Raise DistillError for an unknown direction, and for a strength beyond FARTHEST."""
        images = to_float(torch.from_numpy(np.stack([resized(face, self.size, self.size) for face in faces])))
        network, rounds = self.encoder.network, self.encoder.rounds
        ws_NLD = encode(network, self.generator, images, rounds=rounds, spread=self.spread).ws
        moved_NLD = ws_NLD + offset_of(self.directions, strengths_of(edit)).to(ws_NLD)
        return list(to_numpy(to_uint8(self.generator.synthesize(moved_NLD))))


def open_students(sources: Sequence[str | PathLike[str]], *, device: str = "cpu") -> list[FaceEditor]:
    """Open students by names, runs and files; without any, all that come with the package.

    Raises DistillError for what is not a student, one given twice, and as `face_side` for those that take no faces.
    """
    found: list[FaceEditor] = []
    for source in sources or [entry.name for entry in weights_entries("student")]:
        student = load_student(source, device=device, edit=needed_edit(source))
        name, size = path_text(source), face_side(student)
        if any(other.name == name for other in found):
            raise DistillError(f"{name} is given twice; once is enough")
        found.append(StudentEditor(name=name, about=about_student(student, size), size=size, student=student))
    return found


def open_latent_editor(generator: Generator) -> LatentEditor:
    """Bring a generator together with what ships for it. Raises DistillError where no encoder does."""
    return LatentEditor(
        name=f"{generator_name(generator.sha256) or 'given'} (latent edit)",
        generator=generator,
        encoder=shipped_encoder(generator),
        spread=measure_spread(generator),
        directions=directions_of(generator),
    )


def directions_of(generator: Generator) -> list[Direction]:
    """Return the directions that come with the package for a generator."""
    found = map(read_direction, shipped_directions())
    return [direction for direction in found if direction.generator_sha256 == generator.sha256]


def direction_sliders(directions: Sequence[Direction]) -> list[EditSlider]:
    return [
        EditSlider(name=direction.attribute, unit="", low=-FARTHEST, high=FARTHEST, step=0.1)
        for direction in directions
    ]


def strengths_of(edit: str) -> dict[str, float]:
    """Read "age=+2,smile=-1" as strengths of directions. Raises DistillError."""
    found = {}
    for term in parse_edit(edit) if edit else ():
        try:
            found[term.name] = float(term.value)
        except ValueError:
            found[term.name] = float("nan")
        if term.sign != "=" or not abs(found[term.name]) <= FARTHEST:
            raise DistillError(f"{term}: a strength from -{FARTHEST:g} to +{FARTHEST:g} is needed")
    return found


def offset_of(directions: Sequence[Direction], strengths: dict[str, float]) -> torch.Tensor:
    """Add directions up by their strengths: [L, D], or 0 without any. Raises DistillError for an unknown one."""
    known = {direction.attribute: direction.vector for direction in directions}
    if unknown := next((name for name in strengths if name not in known), None):
        raise DistillError(f"no direction {unknown!r}; the directions are {', '.join(known) or 'none'}")
    return sum((strength * known[name] for name, strength in strengths.items()), start=torch.zeros(()))


def edit_of_sliders(sliders: Sequence[EditSlider], values: Sequence[float]) -> str:
    """Write what sliders stand at as an edit: "age=+20,smile=+0.5"; those at 0 are left out."""
    pairs = zip(sliders, values, strict=True)
    return ",".join(f"{slider.name}={value:+.6g}" for slider, value in pairs if value)


def _slider(condition: EditCondition) -> EditSlider:
    whole = condition.kind == "value" and condition.high >= 5
    step = 1.0 if whole else round(2 * condition.high / STEPS, 6)
    unit = condition.unit if condition.kind == "value" else ""
    return EditSlider(name=condition.name, unit=unit, low=condition.low, high=condition.high, step=step)
