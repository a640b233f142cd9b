"""What `distill serve` is asked for, and what it opens of it before anybody comes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from distill.devices import resolve_device
from distill.errors import DistillError
from distill.progress import plural
from distill.serve.browse import DataTable, open_table
from distill.serve.editors import FaceEditor, directions_of, open_latent_editor, open_students
from distill.serve.listen import LOOPBACK
from distill.serve.teacher import TeacherView
from distill.stylegan2.load import load_generator
from distill.weights.by_name import encoder_of


@dataclass(frozen=True, kw_only=True)
class ServeRequest:
    """Students by names, runs and files (none: all that come with the package), data sets, and a generator."""

    students: tuple[str | PathLike[str], ...] = ()
    data: tuple[Path, ...] = ()
    generator: str | None = None
    host: str = LOOPBACK
    port: int = 7860
    token: str | None = None
    device: str = "auto"


@dataclass(frozen=True, kw_only=True, eq=False)
class Offer:
    """What a visitor can try: editors of faces, data sets by name, and a generator."""

    editors: Sequence[FaceEditor]
    data: dict[str, Path]
    teacher: TeacherView | None
    notes: Sequence[str]

    @property
    def lines(self) -> list[str]:
        """What is offered, for a person."""
        names = ", ".join(editor.name for editor in self.editors)
        found = [f"photos: {names}"]
        if self.teacher:
            found.append(f"teacher: {self.teacher.name}, {plural(len(self.teacher.directions), 'direction')}")
        return [*found, *(f"data: {name} ({folder})" for name, folder in self.data.items())]

    def table(self, name: str) -> DataTable:
        """Return a data set as it is now. Raises DistillError for a name that is not offered."""
        if name not in self.data:
            raise DistillError(
                f"no data set {name[:80]!r}; the data sets are {', '.join(self.data) or 'none'}"
            )
        return open_table(self.data[name])

    def editor(self, name: str) -> FaceEditor:
        """Return an editor. Raises DistillError for a name that is not offered."""
        for editor in self.editors:
            if editor.name == name:
                return editor
        raise DistillError(
            f"no student {name[:80]!r}; the students are {', '.join(e.name for e in self.editors)}"
        )


def open_offer(request: ServeRequest) -> Offer:
    """Open everything. Raises DistillError for the first thing that is not there, or is not what it should be."""
    data = _named(request.data)
    for folder in data.values():
        open_table(folder)
    device = resolve_device(request.device)
    editors, teacher, notes = open_students(request.students, device=device), None, []
    if request.generator:
        generator = load_generator(request.generator, device=device, precision="fp32")
        directions = directions_of(generator)
        teacher = TeacherView(name=request.generator, generator=generator, directions=directions)
        if encoder_of(generator.sha256):
            editors.append(open_latent_editor(generator))
        else:
            notes.append(
                f"no encoder comes with distill for {request.generator}: only students can edit photos"
            )
    return Offer(editors=editors, data=data, teacher=teacher, notes=notes)


def _named(folders: Sequence[Path]) -> dict[str, Path]:
    """Call each data set by the name of its folder, those of one name by their paths."""
    names = [folder.absolute().name for folder in folders]
    found = {
        name if names.count(name) == 1 else str(folder): folder
        for name, folder in zip(names, folders, strict=True)
    }
    if len(found) < len(folders):
        raise DistillError("--data: one folder is given twice; once is enough")
    return found
