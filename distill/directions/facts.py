"""The facts beside a direction in a file, read strictly: what a terminal or a card shows has the right type."""

from __future__ import annotations

import json
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from distill.errors import UnsupportedCheckpoint
from distill.weights.safe_pickle.machine import shown

MAX_TEXT = 1 << 20  # characters of all facts
MAX_DEPTH = 6  # our own have 2
LONGEST = 500  # characters of one text

Number = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=10**12)]
Two = Annotated[list[Count], Field(min_length=2, max_length=2)]


class _Known(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")


class _HeldOut(_Known):
    faces: Count
    accuracy: Number | None
    balanced: Number | None
    correlation: Number | None
    sure: Number | None = None


class _Facts(_Known):
    """The facts that are read; a file may hold others."""

    teacher: str = ""
    source: str = ""
    method: str = ""
    layers: Two | None = None
    held_out: _HeldOut | None = None
    ends: Two | None = None
    faces: Count = 0
    samples: Count = 0
    confidence: Number = 0.0
    truncation_psi: Number = 0.0
    orthogonal_to: list[str] = []
    turned: bool = False
    oriented: bool = True
    movement: dict[str, Number] = {}
    recommended_strength: Number | None = None
    recommended_share: Number | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.held_out is not None and self.ends is None:
            raise ValueError("held_out without ends")
        return self


def read_facts(text: str) -> dict[str, Any]:
    """Return the facts out of their JSON, every text in them safe to show. Raises UnsupportedCheckpoint."""
    if len(text) > MAX_TEXT:
        raise UnsupportedCheckpoint(
            f"facts of {len(text):,} characters; a direction has {MAX_TEXT:,} at most"
        )
    try:
        facts = _plain(json.loads(text), MAX_DEPTH)
        if not isinstance(facts, dict):
            raise UnsupportedCheckpoint("its facts are not a table")
        _Facts.model_validate(facts)
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in found["loc"])
        raise UnsupportedCheckpoint(f"its facts: {shown(place)}: {shown(found['msg'], 100)}") from error
    except (ValueError, RecursionError) as error:
        raise UnsupportedCheckpoint(f"its facts are not JSON ({type(error).__name__})") from error
    return facts


def _plain(value: Any, depth: int) -> Any:
    if depth == 0:
        raise UnsupportedCheckpoint(f"its facts are nested deeper than {MAX_DEPTH}")
    if isinstance(value, dict):
        return {shown(name, LONGEST): _plain(item, depth - 1) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, depth - 1) for item in value]
    return shown(value, LONGEST) if isinstance(value, str) else value
