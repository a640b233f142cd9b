"""What a data set is: a full, immutable description, and a digest that names it.

A `TaskRecipe` holds the choices of a task; `bind` joins it with a teacher into a `Recipe`, in which every choice
is a number. A recipe says WHAT, nothing about where or how: devices, precision, batch size, workers and paths are
arguments of a run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from distill.errors import DistillError
from distill.generation.edits import AnyEdit
from distill.generation.edits.along_several import AlongSeveral
from distill.generation.edits.style_mix import StyleMix
from distill.generation.faces import FaceSearch
from distill.generation.filters import AnyFilter
from distill.generation.recipe_keys import INFORMED, file_of, option_of
from distill.generation.selections import AnySelection
from distill.generation.selections.measured import MeasuredChanges
from distill.schema import Frozen, canonical_json, first_problem, flat, validated
from distill.shards.digest import digest_of
from distill.stylegan2.facts import Teacher
from distill.stylegan2.sampling import MAX_SEED

if TYPE_CHECKING:
    from distill.directions.file import Direction

Align = Literal["gate", "ffhq", "chip", "none"]
Codec = Literal["raw", "jpeg", "webp"]

LEAST_SIDE = 4  # px
RAW_UP_TO = 128  # px: above this, "auto" stores JPEG (raw triplets of 512 px take 2.3 MB each)


class TaskRecipe(Frozen):
    """The choices of a task before a teacher is known."""

    task: str
    inputs: tuple[str, ...]
    target: str
    edit: AnyEdit = StyleMix()
    truncation_psi: float = Field(default=0.7, ge=0, le=2)
    truncation_cutoff: int | None = Field(default=None, ge=1)
    noise: Literal["const", "none"] = "const"
    select: AnySelection | None = None
    faces: FaceSearch | None = FaceSearch()
    filters: tuple[AnyFilter, ...] = ()
    align: Align = "gate"
    resolution: int | None = None
    codec: Literal["auto", "raw", "jpeg", "webp"] = "auto"
    latents: Literal["float16", "float32"] = "float32"
    seed: int = Field(default=0, ge=0, le=MAX_SEED)
    shard_size: int = Field(default=256, ge=1, le=100_000)

    def revised(self, **choices: Any) -> Self:
        """Return a copy with some choices changed, validated; None leaves a choice as it is.

        The choices of the edit, such as `crossover` and `strength`, go by their own names.
        """
        fields = self.model_dump()
        of_edit = type(self.edit).model_fields
        for key, value in choices.items():
            if value is not None:
                place = fields["edit"] if key in of_edit and key not in fields else fields
                place[key] = value
        return validated(type(self), fields)

    def refiltered(self, name: str, **settings: Any) -> Self:
        """Return a copy in which the filter of that name has some settings changed; None leaves one as it is.

        A filter that is not there yet is put last.
        """
        given = {key: value for key, value in settings.items() if value is not None}
        filters = [item.model_dump() for item in self.filters]
        if name not in [item["name"] for item in filters]:
            filters.append({"name": name})
        changed = (item | given if item["name"] == name else item for item in filters)
        return self.revised(filters=tuple(changed))

    def reselected(self, **settings: Any) -> Self:
        """Return a copy in which some settings of `select` are changed; None leaves one as it is."""
        given = {key: value for key, value in settings.items() if value is not None}
        return self.revised(select=(self.select.model_dump() if self.select else {}) | given)

    def without_faces(self) -> Self:
        """Return a copy for a teacher that does not draw faces: no filter of faces, no alignment."""
        kept = tuple(item.model_dump() for item in self.filters if not item.needs_faces)
        return self.revised(filters=kept, align="none")

    @property
    def looks_for_faces(self) -> bool:
        """Whether the edit, the selection or a filter needs to know the faces."""
        selects = self.select is not None and self.select.find_faces
        return selects or self.edit.find_faces or any(item.needs_faces for item in self.filters)

    def bind(self, teacher: Teacher, *, directions: Sequence[Direction] = (), **models: str) -> Recipe:
        """Join with a teacher: resolve edit, resolution and codec to numbers and names.

        `directions`: those of the attributes that the edit moves, in their order. `models`: the sha256 of what
        selection and filters look with: landmarks_sha256, descriptor_sha256, scorer_sha256.
        """
        smallest = min(teacher.resolution, (self.edit.second or teacher).resolution)
        resolution = checked_resolution(smallest if self.resolution is None else self.resolution, smallest)
        codec = self.codec
        if codec == "auto":
            codec = "raw" if resolution <= RAW_UP_TO else "jpeg"
        named = with_models(self.model_dump(), models)
        bound = {
            **named,
            "generator": teacher.model_dump(),
            "edit": self.edit.settled(teacher, directions).model_dump(),
            "faces": named["faces"] if self.looks_for_faces else None,
            "resolution": resolution,
            "codec": codec,
        }
        return validated(Recipe, bound)


def with_models(fields: Any, models: Mapping[str, str]) -> Any:
    """Put the sha256 of each model wherever a setting asks for it."""
    if isinstance(fields, dict):
        return {key: models.get(key, with_models(value, models)) for key, value in fields.items()}
    if isinstance(fields, tuple):
        return tuple(with_models(value, models) for value in fields)
    return fields


class Recipe(Frozen):
    """A task bound to a teacher: everything that decides what a data set shows but its length."""

    schema_version: Literal[2] = 2
    task: str
    inputs: tuple[str, ...]
    target: str
    generator: Teacher
    edit: AnyEdit
    truncation_psi: float
    truncation_cutoff: int | None
    noise: Literal["const", "none"]
    select: AnySelection | None
    faces: FaceSearch | None
    filters: tuple[AnyFilter, ...]
    align: Align
    resolution: int
    codec: Codec
    latents: Literal["float16", "float32"]
    seed: int
    shard_size: int

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.truncation_cutoff is not None and self.truncation_cutoff > self.generator.num_ws:
            raise ValueError(
                f"truncation_cutoff {self.truncation_cutoff} exceeds the {self.generator.num_ws} w+ layers"
            )
        if self.roles != self.edit.roles:
            raise ValueError(f"the edit {self.edit.name!r} has the roles {', '.join(self.edit.roles)}")
        if self.edit.second_role and self.edit.second is None:
            raise ValueError("the second generator is named without its facts")
        names = [item.name for item in self.filters]
        if self.align != "none" and "face" not in names:
            raise ValueError(f"align {self.align!r} needs the face filter, which finds the landmarks")
        for place, item in enumerate(self.filters):
            if (side := self.smallest_drawn) < item.least_side:
                raise ValueError(
                    f"the filter {item.name!r} needs images of {item.least_side} px or more, the generator"
                    f" draws {side}: take another generator or task"
                )
            if item.needs_faces and "face" not in names[: place + 1]:
                raise ValueError(
                    f"the filter {item.name!r} needs the face filter before it, which finds the landmarks"
                )
        self._check_selection()
        return self

    def _check_selection(self) -> None:
        """An edit along directions needs a selection that measures the same attributes; no other edit has one."""
        if not self.edit.moves:
            if self.select:
                raise ValueError(f"the selection {self.select.name!r} is for edits along a direction")
            return
        if self.select is None:
            raise ValueError("an edit along a direction needs `select`, which chooses its pair")
        if self.select.scored != self.edit.moves:
            moved, scored = (", ".join(map(repr, names)) for names in (self.edit.moves, self.select.scored))
            raise ValueError(
                f"the direction moves {moved}, but the selection scores {scored}: both must be the same"
            )
        if isinstance(self.edit, AlongSeveral) != isinstance(self.select, MeasuredChanges):
            raise ValueError(f"the selection {self.select.name!r} is not for the edit {self.edit.name!r}")

    @property
    def roles(self) -> tuple[str, ...]:
        return (*self.inputs, self.target)

    @property
    def face_roles(self) -> tuple[str, ...]:
        """The roles in which faces are looked for: all but what a second generator draws, which may be no face."""
        return tuple(role for role in self.roles if role != self.edit.second_role)

    @property
    def smallest_drawn(self) -> int:
        """The side of the smallest image that is drawn, px."""
        return min(self.generator.resolution, (self.edit.second or self.generator).resolution)

    @property
    def largest_drawn(self) -> int:
        """The side of the largest image that is drawn, px."""
        return max(self.generator.resolution, (self.edit.second or self.generator).resolution)

    def drawn_by(self, role: str) -> Teacher:
        """The generator that draws a role."""
        return self.edit.second if self.edit.second and role == self.edit.second_role else self.generator

    @property
    def reasons(self) -> dict[str, str]:
        """Every reason to drop a candidate, in the order in which they are given -> what to do about it."""
        found = dict(self.edit.reasons)
        for item in (self.select, *self.filters) if self.select else self.filters:
            for reason, advice in item.reasons.items():
                found.setdefault(reason, advice)
        return found

    @property
    def shows_one_face(self) -> bool:
        """Whether every one of `face_roles` shows exactly one face, whose landmarks are known."""
        return any(item.name == "face" for item in self.filters)

    @property
    def digest(self) -> str:
        """First 12 hex digits of sha256 over the canonical JSON, without what only informs."""
        return digest_of(self.model_dump(mode="json"))

    def to_json(self) -> str:
        return canonical_json(self.model_dump(mode="json"))

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """Read a recipe. Raises DistillError for one that does not parse, and for one of an earlier version."""
        try:
            fields = json.loads(text)
            if isinstance(fields, dict) and fields.get("schema_version") == 1:
                raise DistillError(
                    "the data set was made by an earlier version of distill (schema 1): it must be made again"
                )
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise DistillError(f"not a recipe of this version: {first_problem(error)}") from error
        except (ValueError, RecursionError) as error:
            raise DistillError(f"not a recipe: {error}") from error

    def difference(self, other: Recipe) -> str | None:
        """Name the first key that differs from `other`, with both values; None where the digests agree."""
        if self.digest == other.digest:
            return None
        if self.task != other.task:
            return f"task is {other.task!r} there and {self.task!r} here"
        mine, theirs = (recipe.by_name() for recipe in (self, other))
        keys = sorted(mine.keys() | theirs.keys(), key=lambda key: (option_of(key) is None, key))
        for key in keys:
            if mine.get(key) != theirs.get(key) and key not in INFORMED:
                there, here = (repr(fields[key]) if key in fields else "not set" for fields in (theirs, mine))
                if file := file_of(key):
                    return f"{file} is another file: sha256 {there} there and {here} here"
                return f"{option_of(key) or key} is {there} there and {here} here"
        return "the digests differ"

    def by_name(self) -> dict[str, Any]:
        """Return every setting by a dotted name; a filter's begins with "filters." and its name.

        That of one of several directions begins with "edit.directions." and its attribute.
        """
        fields = self.model_dump(mode="json")
        edit = fields["edit"]
        if hasattr(self.edit, "pairing"):
            edit.setdefault("pairing", self.edit.pairing.model_dump())  # left out where it is the default
        if "directions" in edit:
            edit["directions"] = {item["attribute"]: item for item in edit["directions"]}
        return flat({**fields, "filters": {item["name"]: item for item in fields["filters"]}})


def checked_resolution(resolution: int, drawn: int) -> int:
    """Refuse a stored resolution that area-averaging cannot reach from what the (smaller) teacher draws."""
    if resolution > drawn:
        raise DistillError(f"resolution {resolution} is above the teacher's {drawn} px; use {drawn} or less")
    if resolution < LEAST_SIDE:
        raise DistillError(
            f"resolution {resolution} is too small: {LEAST_SIDE} px is the least that is stored"
        )
    if drawn % resolution:
        raise DistillError(
            f"resolution {resolution} does not divide the teacher's {drawn} px; use a power of two"
        )
    return resolution
