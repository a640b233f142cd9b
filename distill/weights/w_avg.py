"""The mean of w, where a file has none: that of a fixed sample of z."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from distill.errors import UnsupportedCheckpoint
from distill.weights.state import few

W_AVG_SAMPLES = 10_000
MAX_WIDTH = 2048  # of z: the sample takes 160 MB then
ESTIMATED = f"estimated from {W_AVG_SAMPLES} samples"
Floats = NDArray[np.float32]


def w_avg_of(public: Mapping[str, Floats], layers: int, *, lr_multiplier: float = 0.01) -> Floats:
    """Estimate `mapping.w_avg` [D] from the mapping layers among tensors of public names."""
    mapping = [(public[f"mapping.fc{i}.weight"], public[f"mapping.fc{i}.bias"]) for i in range(layers)]
    return estimated_w_avg(mapping, lr_multiplier=lr_multiplier)


def estimated_w_avg(
    mapping: list[tuple[Floats, Floats]], *, lr_multiplier: float = 0.01, samples: int = W_AVG_SAMPLES
) -> Floats:
    """Average w over `samples` z from a fixed Philox stream (key 0), computed in float64; [D].

    Raises UnsupportedCheckpoint where the layers do not follow each other, or are beyond 2,048 wide.
    """
    widths = [weight.shape for weight, _ in mapping]
    chained = all(len(shape) == 2 for shape in widths) and all(
        before[0] == after[1] for before, after in itertools.pairwise(widths)
    )
    if not chained or any(bias.shape != shape[:1] for (_, bias), shape in zip(mapping, widths, strict=True)):
        raise UnsupportedCheckpoint(f"mapping layers of shapes {few(str(list(shape)) for shape in widths)}")
    if max(max(shape) for shape in widths) > MAX_WIDTH:
        raise UnsupportedCheckpoint(
            f"no mean of w, and mapping layers too wide to estimate it: {few(map(str, widths))}"
        )
    x_NZ = normal_numbers(samples, widths[0][1])
    x_NZ /= np.sqrt(np.square(x_NZ).mean(axis=1, keepdims=True) + 1e-8)
    for weight, bias in mapping:
        gain = lr_multiplier / np.sqrt(weight.shape[1])
        x_NZ = x_NZ @ (weight.T.astype(np.float64) * gain) + bias.astype(np.float64) * lr_multiplier
        x_NZ = np.where(x_NZ < 0, 0.2 * x_NZ, x_NZ) * np.sqrt(2.0)
    w_avg_D: NDArray[np.float32] = x_NZ.mean(axis=0).astype(np.float32)
    return w_avg_D


def normal_numbers(rows: int, columns: int, *, key: int = 0) -> NDArray[np.float64]:
    """Draw standard normal numbers [rows, columns] from raw Philox words by Box and Muller's method."""
    words = np.random.Philox(key=key).random_raw(2 * rows * columns)
    uniform = ((words >> np.uint64(11)) + np.uint64(1)).astype(np.float64) * 2.0**-53  # in (0, 1]
    radius, angle = np.sqrt(-2.0 * np.log(uniform[::2])), 2.0 * np.pi * uniform[1::2]
    return (radius * np.cos(angle)).reshape(rows, columns)
