"""The geometry of a direction: its layers, what is taken out of it, and how long strength 1 is.

Shapes: N samples, L w+ layers, D latent width. Rows of layers that a direction leaves alone are zero.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from distill.errors import DistillError

Floats = NDArray[np.float64]

LAYERS = (
    "0-7"  # up to 32x32 pixels: shapes and hair, while fine colours stay (the layers of the published edits)
)
NOTHING = 1e-6  # of a direction's length: what is left of one that lies within others


def layer_range(text: str, num_ws: int) -> tuple[int, int]:
    """Read "all" or "LO-HI" (both included) as layers of w+; the upper end is cut at the last layer.

    Raises DistillError for anything else, and for a range that begins after the last layer.
    """
    if text == "all":
        return 0, num_ws - 1
    match = re.fullmatch(r"(\d{1,4})(?:-(\d{1,4}))?", text)
    if not match:
        raise DistillError(f"layers {text!r}: give all, one number, or LO-HI such as 0-7")
    low, high = int(match[1]), int(match[2] or match[1])
    if low > high or low >= num_ws:
        raise DistillError(f"layers {text!r}: this generator has layers 0 to {num_ws - 1}")
    return low, min(high, num_ws - 1)


def in_layers(vector_D: Floats, num_ws: int, layers: tuple[int, int]) -> Floats:
    """Give the layers LO to HI a copy of a direction in w, the others zeros: [L, D]."""
    rows = np.zeros((num_ws, len(vector_D)))
    rows[layers[0] : layers[1] + 1] = vector_D
    return rows


def orthogonal(vector_LD: Floats, others: Mapping[str, Floats]) -> Floats:
    """Take everything that lies along the others out of each layer, so that the dot products become 0.

    Raises DistillError where nothing is left.
    """
    result = vector_LD.copy()
    for layer, row in enumerate(vector_LD):
        span_DK = np.stack([other[layer] for other in others.values()], axis=1)
        lengths = np.linalg.norm(span_DK, axis=0)
        span_DK = span_DK[:, lengths > 0] / lengths[lengths > 0]
        for _ in range(2 if span_DK.size else 0):  # once more for what rounding left
            row = row - span_DK @ np.linalg.lstsq(span_DK, row, rcond=1e-9)[0]
        result[layer] = row
    if np.linalg.norm(result) < NOTHING * np.linalg.norm(vector_LD):
        raise DistillError(
            f"nothing is left of the direction without {', '.join(others)}: it lies along them"
        )
    return result


def spread(w_ND: Floats, vector_LD: Floats) -> float:
    """Return the standard deviation of w along a direction, over its layers (each weighted by its length)."""
    lengths = np.linalg.norm(vector_LD, axis=1)
    rows = lengths > 0
    if not rows.any():
        return 0.0
    along = (w_ND - w_ND.mean(axis=0)) @ (vector_LD[rows] / lengths[rows, None]).T
    return float(along.std(axis=0) @ lengths[rows] / lengths.sum())


def to_unit(vector_LD: Floats, w_ND: Floats) -> Floats:
    """Scale a direction so that strength 1 is one standard deviation of w (untruncated samples) along it.

    Where every layer has the same row, that row's length is the deviation. Otherwise the lengths keep their
    proportions and come as near to each layer's own deviation as they can (least squares).
    """
    lengths = np.linalg.norm(vector_LD, axis=1)
    if not np.isfinite(vector_LD).all() or not lengths.any():
        raise DistillError("a direction needs finite numbers that are not all 0")
    return np.asarray(vector_LD * (spread(w_ND, vector_LD) * lengths.sum() / (lengths @ lengths)))
