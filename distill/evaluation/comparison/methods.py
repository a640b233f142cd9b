"""The methods of a comparison: students, edits in latent space, and folders of pictures that were made elsewhere."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from distill.editing.embedding import Space
from distill.editing.space_edit import open_space_edit
from distill.errors import DistillError
from distill.evaluation.comparison.edits import AskedEdit
from distill.evaluation.comparison.photo_list import FrozenFace
from distill.evaluation.comparison.picture_folder import PictureFolder, open_picture_folder
from distill.evaluation.comparison.request import COPIED, CompareRequest, NamedMethod
from distill.evaluation.comparison.run_stats import run_minutes
from distill.evaluation.comparison.student_drawer import StudentDrawer, open_student
from distill.evaluation.in_teacher import direction_of
from distill.faces.alignment import Pixels
from distill.files import path_text, user_path
from distill.generation.edits.along_direction import AlongDirection
from distill.generation.recipe import TaskRecipe
from distill.networks.student_kinds import KINDS
from distill.schema import canonical_json
from distill.stylegan2.load import load_generator
from distill.timing import ImageTime
from distill.weights.registry import entry_of, entry_of_kind

SPACES = get_args(Space)
DIRECTIONS = {"a2b": False, "b2a": True}  # of a CycleGAN's run: is it the second translator


@dataclass(frozen=True, kw_only=True, eq=False)
class ComparedMethod:
    """One row: `draw` edits faces, `identity` says what its pictures depend on, beside the photographs.

    `size`: px of its own, None for any. `few`: it is slow and gets a part of the photographs. `samples`, `minutes`:
    of its training, `init`: the file that this began from. `selected_by`: what its file says of the scorer that chose
    its data; None: not known. `notes`: what a reader should know of it.
    """

    name: str
    what: str
    kind: str
    draw: Callable[[Sequence[FrozenFace]], list[Pixels]]
    identity: Callable[[Sequence[FrozenFace]], Mapping[str, Any]]
    size: int | None = None
    batch: int = 1
    few: bool = False
    time: Callable[[Sequence[FrozenFace]], ImageTime] | None = None
    how: str = ""  # its pictures are timed as they are made
    samples: float | None = None
    minutes: float | None = None
    init: str | None = None
    selected_by: Mapping[str, str] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()
    check: Callable[[Sequence[FrozenFace]], None] = lambda faces: None

    def key(self, faces: Sequence[FrozenFace], photos: str) -> str:
        """Return the sha256 of the method and the list of photographs `photos`."""
        facts = {"photos": photos, "method": self.kind, **self.identity(faces)}
        return hashlib.sha256(canonical_json(facts).encode()).hexdigest()


def copied_input() -> ComparedMethod:
    """The method that changes nothing."""
    return ComparedMethod(
        name=COPIED,
        what="",
        kind="copy",
        draw=lambda faces: [face.pixels() for face in faces],
        identity=lambda faces: {},
        batch=8,
    )


def open_methods(
    request: CompareRequest, edit: AskedEdit, recipes: Mapping[str, TaskRecipe]
) -> list[ComparedMethod]:
    """Open what was named, in its order, after the copy of the input. Raises DistillError that names the method."""
    found = [copied_input()]
    for method in request.methods:
        try:
            found.append(_open(method, request, edit, recipes))
        except DistillError as error:
            raise type(error)(f"--method {method.name}: {error}") from error
    return found


def _is_known(source: str) -> bool:
    """Tell whether a file, a folder or an entry of the table has this name."""
    return user_path(source).exists() or entry_of(source) is not None


def _open(
    method: NamedMethod, request: CompareRequest, edit: AskedEdit, recipes: Mapping[str, TaskRecipe]
) -> ComparedMethod:
    source, _, last = method.what.rpartition(":")
    if source and last in SPACES:
        return _latent(method, source, last, request, edit, recipes)
    if source and last in DIRECTIONS:
        return _student(method, open_student(source, request, edit, reverse=DIRECTIONS[last]))
    if source and re.search("[=<>]", last):
        return _student(method, open_student(source, request, edit, own=last))
    path = user_path(method.what)
    if source and not path.exists() and _is_known(source):
        raise DistillError(
            f"{source} has no :{last}: a generator takes {', '.join(SPACES)} after the colon, the run of a CycleGAN"
            f" {' or '.join(DIRECTIONS)}, a student of several edits NAME=VALUE"
        )
    named = entry_of_kind(method.what, "student") is not None
    if not named and path.is_dir() and not is_run(path):
        return _folder(method, open_picture_folder(path))
    return _student(method, open_student(method.what, request, edit))


def is_run(folder: Path) -> bool:
    """Tell whether a folder is that of a training run, with a student in it."""
    return any((folder / name).is_file() for kind in KINDS for name in kind.in_run)


def _student(method: NamedMethod, drawer: StudentDrawer) -> ComparedMethod:
    student, facts = drawer.student, drawer.student.facts
    return ComparedMethod(
        name=method.name,
        what=method.what,
        kind="student",
        draw=drawer.draw,
        identity=lambda faces: drawer.identity,
        size=drawer.size,
        batch=drawer.translate.batch,
        time=drawer.time,
        samples=None if facts.kimg is None else 1000 * facts.kimg,
        minutes=run_minutes(student.path.parent, facts.kimg),
        init=facts.init,
        selected_by=facts.selected_by,
        notes=drawer.notes,
        facts={
            "file": path_text(student.path, line=False),
            "task": facts.task,
            "preset": facts.preset,
            "device": str(student.device),
            **drawer.identity,
        },
    )


def _latent(
    method: NamedMethod,
    source: str,
    space: str,
    request: CompareRequest,
    edit: AskedEdit,
    recipes: Mapping[str, TaskRecipe],
) -> ComparedMethod:
    if edit.attribute is None:
        raise DistillError(f"no direction is known that makes {edit.text!r}")
    generator = load_generator(source, device=request.device, precision="fp32")
    name: Space = next(each for each in SPACES if each == space)
    hint = "take a generator that has one"
    direction = direction_of(edit.attribute, source, generator.sha256, asked=method.what, hint=hint)
    strength = request.strength or strength_of(edit.attribute, recipes)
    move = open_space_edit(generator, name, direction, strength)
    facts = {
        "generator": path_text(source, line=False),
        "generator_sha256": generator.sha256,
        "space": space,
        "procedure": move.embedder.procedure(name),
        "steps": move.embedder.search_steps(name),
        "tuning_steps": move.embedder.tuning_steps if space == "pti" else 0,
        "distance": move.embedder.distance.name,
        "direction": direction.name,
        "direction_sha256": direction.sha256,
        "strength": strength,
    }
    return ComparedMethod(
        name=method.name,
        what=method.what,
        kind="latent",
        draw=lambda faces: [move(face.pixels(), face.way) for face in faces],
        identity=lambda faces: facts,
        size=generator.resolution,
        few=True,
        how=f"embedding and edit, batch 1, {generator.resolution} px, fp32, {generator.device.type}",
        facts=facts,
    )


def strength_of(attribute: str, recipes: Mapping[str, TaskRecipe]) -> float:
    """Return how far the tasks move a face along this attribute. Raises DistillError where no task does."""
    for recipe in recipes.values():
        if isinstance(recipe.edit, AlongDirection) and recipe.edit.attribute == attribute:
            return recipe.edit.strength
    raise DistillError(f"no task edits {attribute!r}: say how far to move with --strength")


def _folder(method: NamedMethod, pictures: PictureFolder) -> ComparedMethod:
    return ComparedMethod(
        name=method.name,
        what=method.what,
        kind="folder",
        draw=lambda faces: [pictures.read(face.name, face.pixels().shape[0]) for face in faces],
        identity=lambda faces: {"pictures": pictures.hashes([face.name for face in faces])},
        size=None,
        batch=8,
        facts={"folder": path_text(pictures.folder, line=False), "size": pictures.side},
        check=lambda faces: pictures.check([face.name for face in faces]),
    )
