"""What a data set is: a full, immutable description, and a digest that names it.

A `TaskRecipe` holds the choices of a task; `bind` joins it with a teacher into a `Recipe`, in which every choice
is a number. A recipe says nothing about where or how fast: devices, workers and paths are arguments of a run.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from distill.edits import StyleMix, parse_crossover
from distill.errors import DistillError
from distill.sampling import MAX_SEED

Align = Literal["gate", "ffhq", "chip", "none"]
Codec = Literal["raw", "jpeg", "webp"]

INFORMATIVE = ("generator.name", "generator.licence", "generator.origin")  # left out of the digest
RAW_UP_TO = 128  # px: above this, "auto" stores JPEG (raw triplets of 512 px take 2.3 MB each)


T = TypeVar("T", bound=BaseModel)


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ChangeFilter(Frozen):
    """Drop a mix that changed nothing (SSIM with its content above `max_ssim`) or everything (below `min_ssim`).

    SSIM is taken on copies of at most 256 px, so that one window serves every resolution.
    """

    name: Literal["change"] = "change"
    min_ssim: float = Field(ge=-1, le=1)
    max_ssim: float = Field(ge=-1, le=1)


class FaceFilter(Frozen):
    """Keep a candidate when dlib sees exactly one face, framed as in FFHQ, in every role.

    `min_confidence` is the HOG detector's score; `max_framing_error` the largest distance of a corner of the
    FFHQ crop from the image's own corner, as a share of its side; `landmarks_sha256` names the landmark model.
    """

    name: Literal["face"] = "face"
    min_confidence: float
    max_framing_error: float = Field(gt=0)
    detect_size: int = Field(default=256, ge=80, le=1024)
    landmarks_sha256: str = ""


AnyFilter = Annotated[ChangeFilter | FaceFilter, Field(discriminator="name")]


class Teacher(Frozen):
    """The generator of a data set. Name, licence and origin inform; the other fields decide the pixels."""

    name: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    resolution: int
    num_ws: int
    z_dim: int
    w_dim: int
    licence: str = "unknown"
    origin: str = "unknown"


class Crossover(Frozen):
    """Lowest and highest crossover, both included."""

    lo: int = Field(ge=1)
    hi: int = Field(ge=1)


class TaskRecipe(Frozen):
    """The choices of a task before a teacher is known."""

    task: str
    inputs: tuple[str, ...]
    target: str
    crossover: str = "half"
    truncation_psi: float = Field(default=0.7, ge=-2, le=2)
    truncation_cutoff: int | None = Field(default=None, ge=1)
    noise: Literal["const", "none"] = "const"
    filters: tuple[AnyFilter, ...] = ()
    align: Align = "gate"
    resolution: int | None = None
    codec: Literal["auto", "raw", "jpeg", "webp"] = "auto"
    latents: Literal["float16", "float32"] = "float32"
    seed: int = Field(default=0, ge=0, le=MAX_SEED)
    shard_size: int = Field(default=256, ge=1, le=100_000)
    batch_size: int = Field(default=16, ge=1, le=1024)

    def revised(self, **choices: Any) -> Self:
        """Return a copy with some choices changed, validated; None leaves a choice as it is."""
        changed = {key: value for key, value in choices.items() if value is not None}
        return validated(type(self), {**self.model_dump(), **changed})

    def without_faces(self) -> Self:
        """Return a copy for a teacher that does not draw faces: no face filter, no alignment."""
        kept = tuple(item.model_dump() for item in self.filters if item.name != "face")
        return self.revised(filters=kept, align="none")

    def bind(self, teacher: Teacher, *, precision: str, landmarks_sha256: str = "") -> Recipe:
        """Join with a teacher: resolve crossover, resolution and codec to numbers and names."""
        low, high = parse_crossover(self.crossover, teacher.num_ws)
        resolution = checked_resolution(self.resolution or teacher.resolution, teacher)
        codec = self.codec
        if codec == "auto":
            codec = "raw" if resolution <= RAW_UP_TO else "jpeg"
        filters = tuple(
            item.model_copy(update={"landmarks_sha256": landmarks_sha256})
            if isinstance(item, FaceFilter)
            else item
            for item in self.filters
        )
        bound = {
            **self.model_dump(),
            "generator": teacher.model_dump(),
            "crossover": {"lo": low, "hi": high},
            "resolution": resolution,
            "codec": codec,
            "filters": tuple(item.model_dump() for item in filters),
            "precision": precision,
        }
        return validated(Recipe, bound)


class Recipe(Frozen):
    """A task bound to a teacher: everything that decides the bytes of a data set but its length."""

    schema_version: Literal[1] = 1
    task: str
    inputs: tuple[str, ...]
    target: str
    generator: Teacher
    crossover: Crossover
    truncation_psi: float
    truncation_cutoff: int | None
    noise: Literal["const", "none"]
    filters: tuple[AnyFilter, ...]
    align: Align
    resolution: int
    codec: Codec
    latents: Literal["float16", "float32"]
    seed: int
    shard_size: int
    batch_size: int
    precision: Literal["fp32", "bf16", "fp16"]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.truncation_cutoff is not None and self.truncation_cutoff > self.generator.num_ws:
            raise ValueError(
                f"truncation_cutoff {self.truncation_cutoff} exceeds the {self.generator.num_ws} w+ layers"
            )
        if self.align != "none" and "face" not in [item.name for item in self.filters]:
            raise ValueError(f"align {self.align!r} needs the face filter, which finds the landmarks")
        return self

    @property
    def roles(self) -> tuple[str, ...]:
        return (*self.inputs, self.target)

    @property
    def edit(self) -> StyleMix:
        return StyleMix(low=self.crossover.lo, high=self.crossover.hi)

    @property
    def digest(self) -> str:
        """First 12 hex digits of sha256 over the canonical JSON, without what only informs."""
        fields = self.model_dump(mode="json")
        for key in INFORMATIVE:
            del fields["generator"][key.removeprefix("generator.")]
        return hashlib.sha256(canonical_json(fields).encode()).hexdigest()[:12]

    def to_json(self) -> str:
        return canonical_json(self.model_dump(mode="json"))

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise DistillError(f"not a recipe of this version: {first_problem(error)}") from error

    def difference(self, other: Recipe) -> str | None:
        """Name the first key that differs from `other`, with both values; None where the digests agree."""
        if self.digest == other.digest:
            return None
        mine, theirs = flat(self.model_dump(mode="json")), flat(other.model_dump(mode="json"))
        for key in sorted(mine.keys() | theirs.keys()):
            if mine.get(key) != theirs.get(key) and key not in INFORMATIVE:
                return f"{key} is {theirs.get(key)!r} there and {mine.get(key)!r} here"
        return "the digests differ"


def checked_resolution(resolution: int, teacher: Teacher) -> int:
    """Refuse a stored resolution that area-averaging cannot reach from the teacher's."""
    if resolution > teacher.resolution:
        raise DistillError(
            f"resolution {resolution} is above the teacher's {teacher.resolution} px;"
            f" use {teacher.resolution} or less"
        )
    if resolution < 4 or teacher.resolution % resolution:
        raise DistillError(
            f"resolution {resolution} does not divide the teacher's {teacher.resolution} px; use a power of two"
        )
    return resolution


def canonical_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Flatten nested dicts and lists to dotted keys."""
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = {str(i): item for i, item in enumerate(value)}.items()
    else:
        return {prefix.removesuffix("."): value}
    result: dict[str, Any] = {}
    for key, item in items:
        result |= flat(item, f"{prefix}{key}.")
    return result


def validated(model: type[T], fields: dict[str, Any]) -> T:
    """Build a model from plain values, or say in one line which field is wrong."""
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise DistillError(first_problem(error)) from error


def first_problem(error: ValidationError) -> str:
    """One line for the first field that does not validate."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    return f"{where}: {message} (got {str(first['input'])[:60]})" if where else message
