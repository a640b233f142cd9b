"""A 3x3 convolution to twice the size, and the low-pass filter behind it.

The sum is that of `conv_transpose2d(stride=2)`: of the nine taps an output pixel sees four, two, two or one,
according to whether its row and column are even. Two ways to compute it:

- "transposed": one transposed convolution.
- "phases": four ordinary convolutions with 2x2, 2x1, 1x2 and 1x1 taps, one for each kind of pixel, written into
  every second row and column. The same number of products, and each at the speed of an ordinary convolution.

Measured (AMX, one thread, channels last): in bfloat16 phases with their copies take 0.5 of the transposed
convolution at 128 -> 64 channels to 512 px, 0.4 at 256 -> 128 to 256 px and 0.3 at 512 -> 512 to 32 px; in float32
1.15, 1.1 and 0.95. Without AMX a whole triplet of 64 to 1024 px takes 2 to 5 % longer by phases in bfloat16, and
between 1 % less and 4 % longer in float32. One kernel of 6x6 taps with the filter folded in (four times the products)
takes 1.2 to 3 times as long as phases and filter.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from distill.precision import has_amx
from distill.stylegan2.fused.prepared import UpForm


def form_for(device: torch.device, dtype: torch.dtype) -> UpForm:
    """Choose by what was measured: half precision on a CPU with AMX by phases, all else transposed."""
    return "phases" if device.type == "cpu" and dtype != torch.float32 and has_amx() else "transposed"


def convolve_up(x: Tensor, weights: Sequence[Tensor], form: UpForm) -> Tensor:
    """x [N, I, H, W] -> [N, O, 2H + 1, 2W + 1], not yet filtered; the weights as `arrange` orders them."""
    if form == "transposed":
        return F.conv_transpose2d(x, weights[0], stride=2)
    n, _, height, width = x.shape
    y = torch.empty(
        (n, len(weights[0]), 2 * height + 1, 2 * width + 1),
        dtype=x.dtype,
        device=x.device,
        memory_format=torch.channels_last,
    )
    for phase, weight in enumerate(weights):
        row, column = divmod(phase, 2)
        y[:, :, row::2, column::2] = F.conv2d(x, weight, padding=(1 - row, 1 - column))
    return y


def low_pass(y: Tensor, filters: Tensor, bias: Tensor | None) -> Tensor:
    """Filter y [N, O, 2H + 1, 2W + 1] to [N, O, 2H, 2W], every channel with its own filter [O, 1, taps, taps]."""
    taps = filters.shape[-1]
    before, after = 1 + (taps + 1) // 2 - 2, 1 + (taps - 2) // 2 - 1
    if before == after:
        return F.conv2d(y, filters, bias, padding=before, groups=len(filters))
    return F.conv2d(F.pad(y, [before, after] * 2), filters, bias, groups=len(filters))
