"""What the values of a column must be, beyond its type: checked by the writer and by whoever believes a file."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]


def column_problem(name: str, values: Array) -> str | None:
    """Say which value a column of this name cannot have, or None."""
    if name == "weight":
        numbers = values.astype(np.float64)
        bad = np.flatnonzero(~(np.isfinite(numbers) & (numbers > 0)))
        if len(bad):
            return f"weight {numbers[bad[0]]:g} of row {bad[0]}: weights are above 0 and finite"
    if name.startswith("latents/") and not np.isfinite(values.astype(np.float64)).all():
        return f"column {name!r} holds values that are not finite"
    if values.dtype.kind == "S":
        return _text_problem(name, values)
    return None


def texts_of(values: Array) -> NDArray[np.str_]:
    """Decode a column of texts."""
    return np.array([bytes(value).decode() for value in values.tolist()], dtype=np.str_)


def _text_problem(name: str, values: Array) -> str | None:
    for row, value in enumerate(values.tolist()):
        try:
            bytes(value).decode()
        except UnicodeDecodeError:
            return f"{name!r} of row {row} is not utf-8 text"
    return None
