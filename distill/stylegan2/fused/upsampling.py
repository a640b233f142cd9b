"""A 3x3 convolution to twice the size with the low-pass filter behind it, in the form that suits a device.

Of the nine taps of the transposed convolution an output pixel sees four, two, two or one, by whether its row and
column are even: four kinds of pixels. There are two forms:

- "phases", for CPUs: for each kind an ordinary convolution with 2x2, 2x1, 1x2 or 1x1 taps, written into every
  second row and column, then the filter. As many products as a transposed convolution, at the speed of ordinary ones.
- "folded", for GPUs: with the filter worked into the weight each kind sees 3x3 taps, and one ordinary convolution
  gives all four as four times the channels. Four times the products, which a GPU does best, and no filter: a
  convolution with a channel to a group is what it does worst. Not measured.

Measured on one thread without AMX in float32: by phases a triplet of 64, 256 and 512 px takes 1.03, 0.91 and 0.93
of its time by transposed convolutions. With AMX in bfloat16 the four take 0.3 to 0.5 of a transposed convolution.

Shapes: N samples, I and O channels in and out, H W the input.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

UpForm = Literal["phases", "folded"]


def form_for(device: torch.device) -> UpForm:
    return "phases" if device.type == "cpu" else "folded"


def arranged_for(form: UpForm, weight: Tensor, filter_hw: Tensor) -> list[Tensor]:
    """Order a weight [O, I, 3, 3] for `convolve_up`; the filter [4, 4] is as it is applied, its gain included.

    For each kind of pixel every second tap each way, turned round: of the weight, or of weight and filter in one.
    """
    if form == "phases":
        return of_kinds(weight)
    outputs, inputs = weight.shape[:2]
    single = weight.double().reshape(-1, 1, 3, 3)  # rounded once, later
    in_one = F.conv2d(single, filter_hw.double()[None, None], padding=3).reshape(outputs, inputs, 6, 6)
    return [torch.cat(of_kinds(in_one))]


def of_kinds(weight: Tensor) -> list[Tensor]:
    return [weight[:, :, row::2, column::2].flip([2, 3]) for row in (0, 1) for column in (0, 1)]


def convolve_up(x: Tensor, weights: tuple[Tensor, ...], filters: Tensor) -> Tensor:
    """x [N, I, H, W] -> [N, O, 2H, 2W], filtered, channels last; `weights` are those of `arranged_for`.

    `filters` [O, 1, 4, 4] has the filter once for each channel; "folded" does not need it.
    """
    if len(weights) == 1:
        return interleaved(F.conv2d(x, weights[0], padding=1))
    return F.conv2d(by_phases(x, weights), filters, padding=1, groups=len(filters))


def by_phases(x: Tensor, weights: tuple[Tensor, ...]) -> Tensor:
    """The transposed convolution, [N, O, 2H + 1, 2W + 1], from the weights of the four kinds of pixels."""
    n, _, height, width = x.shape
    y = torch.empty(
        (n, len(weights[0]), 2 * height + 1, 2 * width + 1),
        dtype=x.dtype,
        device=x.device,
        memory_format=torch.channels_last,
    )
    for kind, weight in enumerate(weights):
        row, column = divmod(kind, 2)
        y[:, :, row::2, column::2] = F.conv2d(x, weight, padding=(1 - row, 1 - column))
    return y


def interleaved(y: Tensor) -> Tensor:
    """The four kinds of pixels [N, 4 * O, H, W] to their places: [N, O, 2H, 2W], channels last."""
    n, channels, height, width = y.shape
    y = y.permute(0, 2, 3, 1).reshape(n, height, width, 2, 2, channels // 4)
    return y.permute(0, 1, 3, 2, 4, 5).reshape(n, 2 * height, 2 * width, -1).permute(0, 3, 1, 2)
