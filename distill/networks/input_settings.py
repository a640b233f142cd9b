"""What a user's file says of the input of a network, and how such a file is checked."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, Field, StringConstraints, ValidationError, model_validator

from distill.errors import DistillError
from distill.schema import Frozen
from distill.weights.safe_pickle.machine import shown

PADDING = 0.25  # of a chip where nothing else is said, as in dlib.get_face_chip

Text = Annotated[str, StringConstraints(max_length=1000, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
Number = Annotated[float, Field(allow_inf_nan=False, strict=False)]
Side = Annotated[int, Field(ge=1, le=2048)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=False)]
T = TypeVar("T", bound=BaseModel)


class InputSettings(Frozen):
    """How an image becomes the network's input.

    `crop`: "whole" image (its middle, in the shape of the input), dlib's "chip" of the face with `padding`, placed
    by 68 or 5 `points`, or the "ffhq" crop. `size`: a side, or (height, width), in px; None is the network's own.
    A pixel p of 0 to 255 enters as (p / 255 × `white` - `mean`) / `std`, for each of the `channels` or one for all.
    """

    crop: Literal["whole", "chip", "ffhq"]
    size: Side | tuple[Side, Side] | None = None
    padding: Annotated[Number, Field(ge=0, le=10)] = PADDING
    points: Literal[5, 68] = 68
    channels: Literal["rgb", "bgr", "grey"] = "rgb"
    white: Literal[1, 255] = 1
    mean: Number | tuple[Number, ...]
    std: Positive | tuple[Positive, ...]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.crop != "chip" and (stray := {"padding", "points"} & self.model_fields_set):
            raise ValueError(f"{min(stray)} is for crop 'chip', not {self.crop!r}")
        if self.crop != "whole" and len(set(self.sides or (1,))) > 1:
            raise ValueError(f"crop {self.crop!r} is square, size {list(self.sides or ())} is not")
        for key, value in (("mean", self.mean), ("std", self.std)):
            if isinstance(value, tuple) and len(value) != self.planes:
                raise ValueError(
                    f"{key} has {len(value)} numbers, channels {self.channels!r} are {self.planes}"
                )
        return self

    @property
    def planes(self) -> int:
        return 1 if self.channels == "grey" else 3

    @property
    def sides(self) -> tuple[int, int] | None:
        """Height and width."""
        return (self.size, self.size) if isinstance(self.size, int) else self.size


def settings_of(model: type[T], values: Any, what: str) -> T:
    """Check plain values. Raises DistillError in one line: `what`, the key, what is wrong with it."""
    try:  # by way of JSON: a list there may stand for a tuple
        return model.model_validate_json(json.dumps(values, default=str))
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in found["loc"] if not _of_a_union(part))
        message = found["msg"].removeprefix("Value error, ")
        place = f"{shown(key, 100)}: " if key else ""
        raise DistillError(f"{what}: {place}{shown(message, 300)}") from error


def _of_a_union(part: int | str) -> bool:
    """Tell whether a part of a place is pydantic's name of an alternative, and no key of the file."""
    return isinstance(part, str) and ("[" in part or "-" in part or part in ("int", "float"))
