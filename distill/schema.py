"""Plain values that do not change: checked when they are made, written as JSON in one way only."""

from __future__ import annotations

import json
import re
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from distill.errors import DistillError
from distill.files import path_text

T = TypeVar("T", bound=BaseModel)
HALF_A_LETTER = re.compile(r"\\u[dD][89a-fA-F]")  # two of them are a whole one


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


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
    return f"{where}: {message} (got {path_text(str(first['input'])[:60])})" if where else message


def canonical_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def parse_json(text: str | bytes) -> Any:
    """Return what a JSON text says.

    Raises ValueError for any other text, for one that is nested too deep, and where half a letter (a lone surrogate)
    is in it.
    """
    try:
        value = json.loads(text)
        if HALF_A_LETTER.search(text if isinstance(text, str) else text.decode(errors="replace")):
            canonical_json(value).encode()
        return value
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    except UnicodeEncodeError as error:
        raise ValueError("a text holds half of a character (a lone surrogate)") from error


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
