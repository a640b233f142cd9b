"""3x3 convolutions from tiles of 6x6 pixels: a quarter of the products. For float32 on a CPU, compiled.

Winograd's F(4x4, 3x3) (Lavin and Gray 2015): in each direction four outputs of a filter of three taps are the
product of two polynomials, which six points decide. So 36 products, one for each pair of points, stand for 144.
With the points 0, 1, -1, 1/2, -2 and infinity rounding is a third smaller than with the usual 0, 1, -1, 2, -2 (after
Barabasz et al. 2018).

Tiles are transformed, multiplied and transformed back a few rows at a time, so that they stay in the cache; style,
demodulation, noise, bias and leaky ReLU ride along. Measured on one thread with AVX-512, of the time of the ordinary
convolution: 0.3 at 512 channels and 32 px, 0.25 at 64 px, 0.4 at 256 channels and 128 px, 0.65 at 128 and 256 px,
0.9 at 64 and 512 px. An up-convolution and its low-pass filter as one convolution to four times the channels take
1.1 to 1.3 times what the transposed convolution takes, and stay as they are.

Shapes: N samples, I and O channels in and out, R rows of T tiles.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from distill.stylegan2.networks import SLOPE, SynthesisLayer

OUT, TAPS = 4, 3  # pixels that a tile gives, taps of the filter, each way
SIDE = OUT + TAPS - 1
SMALLEST = 32  # px; below, a layer has too few tiles for a matrix product
AT_ONCE = 128  # tiles that are transformed and multiplied at once

# A row for each point p: of a filter its value there over the product of p's distances from the other points; of a
# tile the coefficients of the polynomial that is zero at the other points. A column for each point: its powers.
FILTERS = (
    (1, 0, 0),
    (1 / 3, 1 / 3, 1 / 3),
    (-1 / 3, 1 / 3, -1 / 3),
    (-16 / 15, -8 / 15, -4 / 15),
    (1 / 15, -2 / 15, 4 / 15),
    (0, 0, 1),
)
TILES = (
    (1, -1.5, -2, 1.5, 1, 0),
    (0, -1, 0.5, 2.5, 1, 0),
    (0, 1, -2.5, 0.5, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 0.5, -1, -0.5, 1, 0),
    (0, 1, -1.5, -2, 1.5, 1),
)
OUTPUTS = (
    (1, 1, 1, 1, 1, 0),
    (0, 1, -1, 0.5, -2, 0),
    (0, 1, 1, 0.25, 4, 0),
    (0, 1, -1, 0.125, -8, 1),
)

Matrix = Sequence[Sequence[float]]


def suits(layer: SynthesisLayer, *, dtype: torch.dtype) -> bool:
    """Whether tiles are the fast way for a layer on a CPU, once it is compiled."""
    return dtype == torch.float32 and not layer.up and layer.noise_const.shape[-1] >= SMALLEST


def transformed(weight: Tensor) -> Tensor:
    """A weight [O, I, 3, 3] at the pairs of points, [36, I, O]; worked out in float64 and rounded once."""
    transform = torch.tensor(FILTERS, dtype=torch.float64, device=weight.device)
    at_points = torch.einsum("xa,oiab,yb->xyio", transform, weight.double(), transform)
    return at_points.flatten(0, 1).to(weight.dtype).contiguous()


def framed(x_HWI: Tensor, style_I: Tensor) -> Tensor:
    """Multiply by the style and put a frame of zeros around it, one pixel wide."""
    return F.pad(x_HWI * style_I, [0, 0, 1, 1, 1, 1])


def run_strip(
    x_HWI: Tensor,
    weight: Tensor,
    gain_O: Tensor,
    bias_O: Tensor,
    noise_HW: Tensor | None,
    clamp: float | None,
    out_HWO: Tensor,
) -> None:
    """Rows of tiles with their margin, [4R + 2, 4T + 2, I] -> their pixels, written into `out_HWO` [4R, 4T, O]."""
    height, width, outputs = out_HWO.shape
    r, t = height // OUT, width // OUT
    rows = combine([x_HWI[i : i + height - OUT + 1 : OUT] for i in range(SIDE)], TILES)
    tiles = [
        tile
        for row in rows
        for tile in combine([row[:, j : j + width - OUT + 1 : OUT] for j in range(SIDE)], TILES)
    ]
    products = torch.bmm(torch.stack(tiles).reshape(SIDE**2, r * t, -1), weight)
    products = products.reshape(SIDE, SIDE, r, t, outputs)
    pixels = [
        pixel for row in combine(list(products), OUTPUTS) for pixel in combine(list(row), OUTPUTS)
    ]  # the first of every tile, the second of the first row, ...
    y = torch.stack(pixels).reshape(OUT, OUT, r, t, outputs).permute(2, 0, 3, 1, 4)
    y = y.reshape(out_HWO.shape) * gain_O + bias_O
    if noise_HW is not None:
        y = y + noise_HW[:, :, None]
    y = F.leaky_relu(y, SLOPE)
    out_HWO.copy_(y if clamp is None else y.clamp(-clamp, clamp))


def combine(parts: Sequence[Tensor], matrix: Matrix) -> list[Tensor]:
    """Return the sums of `parts` that the rows of a matrix name."""
    return [add_up(parts, row) for row in matrix]


def add_up(parts: Sequence[Tensor], factors: Sequence[float]) -> Tensor:
    terms = [
        part if factor == 1 else part * factor for factor, part in zip(factors, parts, strict=True) if factor
    ]
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total
