"""A 3x3 convolution to twice the size, and the low-pass filter behind it.

The sum is that of `conv_transpose2d(stride=2)`, filtered: of the nine taps an output pixel sees four, two, two or
one, according to whether its row and column are even. Five ways to compute it:

- "transposed": one transposed convolution, then the filter as a convolution with a channel to a group.
- "phases": four ordinary convolutions with 2x2, 2x1, 1x2 and 1x1 taps, one for each kind of pixel, written into
  every second row and column, then the same filter. The same number of products, and each at the speed of an
  ordinary convolution.
- "stencil": one transposed convolution, and the filter as a sum of shifted images: for a compiler, which makes one
  pass of it and of what comes behind.
- "polyphase": the convolutions of "phases", and the filter for each kind of pixel by itself (see `polyphase`), for a
  compiler too.
- "folded": the filter is worked into the weight beforehand; then each kind of pixel sees 3x3 taps, and one ordinary
  convolution gives all four, as four times the channels. Four times the products and no filter.

Measured (AMX, one thread, channels last): in bfloat16 phases with their copies take 0.5 of the transposed
convolution at 128 -> 64 channels to 512 px, 0.4 at 256 -> 128 to 256 px and 0.3 at 512 -> 512 to 32 px; in float32
1.15, 1.1 and 0.95. Without AMX a whole triplet of 64 to 1024 px takes 2 to 5 % longer by phases in bfloat16, and
between 1 % less and 4 % longer in float32; folded 1.4 to 1.8 times as long in either. Compiled, by stencil, it takes
10, 2 and 2 % less in float32 at 64, 512 and 1024 px, and in bfloat16 6 % longer, 2 % less and 3 % longer at 64, 256
and 1024 px. By polyphase it takes, in bfloat16, 11, 6, 6 and 12 % less than by phases at 64, 256, 512 and 1024 px,
and within 2 % what it takes by transposed convolutions: so it is for CPUs with AMX, where phases win uncompiled.

Not measured, on GPUs: a convolution with a channel to a group is one for which cuDNN has no fast kernel in channels
last, least of all in float16, and the filter is bound by memory even with one. So it is left to the compiler there,
or else folded: dense products are what a GPU does best.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from distill.stylegan2.fused.polyphase import Term, quarters, terms_of

UpForm = Literal["transposed", "phases", "stencil", "polyphase", "folded"]
Taps = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Doubling:
    """How an up-convolution is computed, and its filter: in the working format, as numbers, or nothing to apply."""

    form: UpForm
    filters: Tensor | None = None  # [O, 1, taps, taps]
    taps: Taps = ()
    terms: tuple[Term, ...] = ()

    @classmethod
    def of(cls, form: UpForm, filter_hw: Tensor, outputs: int, dtype: torch.dtype) -> Doubling:
        """Take the filter [taps, taps] as it is applied, its gain of four included."""
        if form == "folded":
            return cls(form)
        if form == "stencil":
            return cls(form, taps=tuple(map(tuple, filter_hw.tolist())))
        if form == "polyphase":
            return cls(form, terms=terms_of(filter_hw))
        return cls(form, filters=filter_hw.to(dtype).expand(outputs, 1, -1, -1).contiguous())


def form_for(device: torch.device, dtype: torch.dtype, *, compiled: bool) -> UpForm:
    """Choose the fastest: on a CPU by measurement, on a GPU by what is said above."""
    if device.type != "cpu":
        return "stencil" if compiled else "folded"
    if dtype == torch.float32:
        return "stencil" if compiled else "transposed"
    if not torch.cpu._is_amx_tile_supported():
        return "transposed"
    return "polyphase" if compiled else "phases"


def convolve_up(
    x: Tensor, weights: Sequence[Tensor], up: Doubling, bias: Tensor | None = None
) -> list[Tensor]:
    """x [N, I, H, W] -> [N, O, 2H, 2W], filtered; the weights as `arranged_for` orders them, in the format of x.

    Or the four kinds of its pixels, "polyphase": [N, O, H, W] each, in float32 at least, for `woven`.
    """
    if up.form == "folded":
        biases = None if bias is None else bias.repeat(4)
        return [interleaved(F.conv2d(x, weights[0], biases, padding=weights[0].shape[-1] // 2))]
    if up.form == "polyphase":
        kinds = quarters(x, weights, up.terms, margins(len(up.terms[0][0]))[0])
        return kinds if bias is None else [kind + bias[:, None, None] for kind in kinds]
    y = by_phases(x, weights) if up.form == "phases" else F.conv_transpose2d(x, weights[0], stride=2)
    if up.filters is not None:
        return [low_pass(y, up.filters, bias)]
    y = shifted_sum(y, up.taps)
    return [y if bias is None else y + bias[:, None, None]]


def by_phases(x: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """The transposed convolution, [N, O, 2H + 1, 2W + 1], from the weights of the four kinds of pixels."""
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
    before, after = margins(filters.shape[-1])
    if before == after:
        return F.conv2d(y, filters, bias, padding=before, groups=len(filters))
    return F.conv2d(F.pad(y, [before, after] * 2), filters, bias, groups=len(filters))


def shifted_sum(y: Tensor, taps: Taps) -> Tensor:
    """The same for all channels, without a convolution; added up in float32 at least."""
    before, after = margins(len(taps))
    height, width = y.shape[2] - 1, y.shape[3] - 1
    padded = F.pad(y, [before, after] * 2)
    if y.dtype in (torch.float16, torch.bfloat16):
        padded = padded.float()
    total = sum(
        tap * padded[:, :, i : i + height, j : j + width]
        for i, row in enumerate(taps)
        for j, tap in enumerate(row)
    )
    return torch.as_tensor(total).to(y.dtype)


def margins(taps: int) -> tuple[int, int]:
    """Return how many zeros the filter sees before and behind the 2H + 1 pixels."""
    return 1 + (taps + 1) // 2 - 2, 1 + (taps - 2) // 2 - 1


def interleaved(y: Tensor) -> Tensor:
    """The four kinds of pixels [N, 4 * O, H, W] to their places: [N, O, 2H, 2W], channels last."""
    n, channels, height, width = y.shape
    y = y.permute(0, 2, 3, 1).reshape(n, height, width, 2, 2, channels // 4)
    return y.permute(0, 1, 3, 2, 4, 5).reshape(n, 2 * height, 2 * width, -1).permute(0, 3, 1, 2)


def arranged_for(form: UpForm, weight: Tensor, filter_hw: Tensor) -> list[Tensor]:
    """Order a weight [O, I, 3, 3] for `convolve_up`; the filter as it is applied, its gain of four included."""
    if form in ("transposed", "stencil"):
        return [weight.transpose(0, 1)]
    if form in ("phases", "polyphase"):
        return [weight[:, :, a::2, b::2].flip([2, 3]) for a in (0, 1) for b in (0, 1)]
    return [folded(weight, filter_hw)]


def for_weights(form: UpForm, factors_OI: Tensor) -> Tensor:
    """Order factors of a weight [O, I] as `arranged_for` does its numbers, for each of the parts."""
    match form:
        case "transposed" | "stencil":
            return factors_OI.t()
        case "folded":
            return factors_OI.repeat(4, 1)
        case "phases" | "polyphase":
            return factors_OI


def folded(weight: Tensor, filter_hw: Tensor) -> Tensor:
    """Work the filter into a weight [O, I, 3, 3]: one ordinary weight [4 * O, I, K, K] for the four kinds of pixels.

    In float64, to be rounded once. With the usual filter of four taps K is 3.
    """
    outputs, inputs = weight.shape[:2]
    taps = filter_hw.shape[-1]
    both = F.conv2d(
        weight.double().reshape(-1, 1, 3, 3), filter_hw.double()[None, None], padding=taps - 1
    ).reshape(outputs, inputs, taps + 2, taps + 2)
    kinds = [seen_by(kind, taps) for kind in (0, 1)]
    reach = max(int(offsets.abs().max()) for _, offsets in kinds)
    size = 2 * reach + 1
    result = both.new_zeros(2, 2, outputs, inputs, size, size)
    for (a, (rows, row_offsets)), (b, (columns, column_offsets)) in product(enumerate(kinds), repeat=2):
        result[a, b][:, :, reach + row_offsets[:, None], reach + column_offsets] = both[
            :, :, rows[:, None], columns
        ]
    return result.reshape(4 * outputs, inputs, size, size)


def seen_by(kind: int, taps: int) -> tuple[Tensor, Tensor]:
    """For even (0) or odd (1) rows: taps of weight and filter in one, and the input row that each multiplies.

    Output row i is the sum over weight tap k and filter tap j of input row (i + j - before - k) / 2 where that is
    whole; k - j is the number of the tap in one less taps - 1. Input rows are counted from i // 2.
    """
    before, _ = margins(taps)
    in_one = torch.arange(taps + 2)
    twice = kind - (in_one - (taps - 1) + before)
    whole = twice % 2 == 0
    return in_one[whole], twice[whole] // 2
