"""What the settings of all trainers have in common: frozen, validated, changed by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar, get_args

from pydantic import BeforeValidator, Field, ValidationError

from distill.errors import DistillError
from distill.files import path_text
from distill.schema import Frozen, first_problem

Positive = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]
FromZero = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
CountFromZero = Annotated[int, Field(ge=0, le=1_000_000)]


def _split(value: Any) -> Any:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",")) if value != "none" else ()
    return value


Names = Annotated[tuple[str, ...], BeforeValidator(_split)]  # as text: with commas between, or none


class TrainerSettings(Frozen):
    """Everything that a model's training is to do, data and machine aside; a preset is one of these.

    `free` names what a resumed run may have otherwise: schedule, memory, what is only looked at.
    """

    batch: Count  # samples of one update, over all processes
    lr: Annotated[float, Field(gt=0, le=1)]

    free: ClassVar[frozenset[str]] = frozenset()

    def shared(self) -> dict[str, Any]:
        """Plain values that a resumed run must share, by name."""
        return self.model_dump(mode="json", exclude=set(self.free))


S = TypeVar("S", bound=TrainerSettings)


def changed(settings: S, changes: Mapping[str, object]) -> S:
    """Return the settings with changes by name, given as values or as text. Raises DistillError in one line."""
    fields = type(settings).model_fields
    for name in changes:
        if name not in fields:
            raise DistillError(f"no setting {name!r}; the settings are {', '.join(sorted(fields))}")
    for name, value in changes.items():
        if isinstance(value, bool) and fields[name].annotation is not bool:
            raise DistillError(f"setting {name}: {value} is not a value for it")
        if value == "":
            raise DistillError(f"setting {name} is empty: give a value, or leave it out")
    values = {
        name: None if value == "none" and type(None) in get_args(fields[name].annotation) else value
        for name, value in changes.items()
    }
    try:
        return type(settings).model_validate(settings.model_dump() | values, strict=False)
    except ValidationError as error:
        raise DistillError(f"setting {first_problem(error)}") from error


def parse_changes(texts: tuple[str, ...]) -> dict[str, object]:
    """Read NAME=VALUE texts, the last of a name counts. Raises DistillError for anything else."""
    changes: dict[str, object] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise DistillError(f"--set {text[:80]!r}: NAME=VALUE is needed, such as batch=16")
        changes[name] = value
    return changes


def init_name(file: Path | None) -> str | None:
    """Return the name of the file that a run began from, as its students tell it; None where it began from none."""
    return None if file is None else path_text(file.resolve().name)[:300]
