"""An up-convolution and its low-pass filter, for each kind of pixel by itself.

An output pixel's kind is whether its row and column are even. The transposed convolution gives each kind by an
ordinary one with 2x2, 2x1, 1x2 or 1x1 taps; here with a frame of zeros, as wide as the filter reaches. The filtered
pixels of a kind are then sums of shifted parts of those four, first along the columns, then along the rows: nothing
has to be put together between convolution and filter, and a compiler makes one pass of the filter, what comes behind
it, and the weaving of the four kinds.

Shapes: N samples, I and O channels in and out, H W the input.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

Line = tuple[float, ...]  # taps along one direction
Term = tuple[Line, Line]  # of a filter: the products of a line down the rows with one along the columns
NEGLIGIBLE = 1e-7  # of the largest tap


def terms_of(filter_hw: Tensor) -> tuple[Term, ...]:
    """Write a filter as a sum of products of lines: one for the usual filter, at most as many as it has rows.

    Each takes the row and the column of the largest tap that is left.
    """
    left = filter_hw.double()
    limit = NEGLIGIBLE * float(left.abs().max())
    terms: list[Term] = []
    for _ in range(len(left)):
        row, column = divmod(int(left.abs().argmax()), left.shape[1])
        if float(left[row, column].abs()) <= limit:
            break
        down, across = left[:, column], left[row] / left[row, column]
        terms.append((tuple(down.tolist()), tuple(across.tolist())))
        left = left - torch.outer(down, across)
    return tuple(terms)


def quarters(x: Tensor, weights: Sequence[Tensor], terms: Sequence[Term], before: int) -> list[Tensor]:
    """x [N, I, H, W] -> the pixels of the four kinds, each [N, O, H, W]; summed in float32 at least.

    `weights` are those of the four kinds, columns changing first; the filter sees `before` zeros before the pixels.
    """
    height, width = x.shape[2:]
    frames = frames_for(len(terms[0][0]), before)
    parts = [
        F.conv2d(x, weight, padding=(frames[phase // 2], frames[phase % 2])).permute(0, 2, 3, 1)
        for phase, weight in enumerate(weights)
    ]
    if x.dtype in (torch.float16, torch.bfloat16):
        parts = [part.float() for part in parts]
    sums: list[list[Tensor]] = [[], [], [], []]
    for down, across in terms:
        even = filtered(parts[:2], across, frames, before, dim=2, count=width)
        odd = filtered(parts[2:], across, frames, before, dim=2, count=width)
        for column in (0, 1):
            rows = filtered([even[column], odd[column]], down, frames, before, dim=1, count=height)
            for row in (0, 1):
                sums[2 * row + column].append(rows[row])
    return [sum(some[1:], some[0]).permute(0, 3, 1, 2) for some in sums]


def woven(kinds: Sequence[Tensor]) -> Tensor:
    """The four kinds [N, O, H, W] to their places: [N, O, 2H, 2W], channels last."""
    n, channels, height, width = kinds[0].shape
    each = [kind.permute(0, 2, 3, 1) for kind in kinds]
    y = torch.stack([torch.stack(each[:2], dim=3), torch.stack(each[2:], dim=3)], dim=2)
    return y.reshape(n, 2 * height, 2 * width, channels).permute(0, 3, 1, 2)


def unwoven(y: Tensor) -> list[Tensor]:
    """The four kinds of pixels of y [N, C, 2H, 2W], as views."""
    return [y[:, :, row::2, column::2] for row in (0, 1) for column in (0, 1)]


def filtered(
    parts: Sequence[Tensor], line: Line, frames: Sequence[int], before: int, *, dim: int, count: int
) -> list[Tensor]:
    """From the even and the odd ones along `dim`, in their frames, the even and the odd ones after the filter."""
    return [
        weighted_sum(
            [
                (tap, parts[parity].narrow(dim, shift + first(parity, frames[parity]), count))
                for parity, shift, tap in seen_from(kind, line, before)
            ]
        )
        for kind in (0, 1)
    ]


def seen_from(kind: int, line: Line, before: int) -> list[tuple[int, int, float]]:
    """What pixel 2 m + kind sees: pixels of which parity, how many pairs after m, and by which tap."""
    places = [divmod(kind + i - before, 2) for i in range(len(line))]
    return [(parity, pairs, tap) for (pairs, parity), tap in zip(places, line, strict=True)]


def frames_for(taps: int, before: int) -> list[int]:
    """The padding by which convolutions give all even and all odd pixels that the filter sees."""
    frames = [1, 0]  # for the pixels themselves
    for kind in (0, 1):
        for parity, pairs, _ in seen_from(kind, (1.0,) * taps, before):
            frames[parity] = max(frames[parity], pairs, 1 - parity - pairs)
    return frames


def first(parity: int, frame: int) -> int:
    """Where the pair with number 0 lies among the even (0) or the odd (1) pixels of a convolution so padded."""
    return frame - 1 + parity


def weighted_sum(terms: Sequence[tuple[float, Tensor]]) -> Tensor:
    """The sum of parts times their taps; parts with the same tap are added up first."""
    taps = dict.fromkeys(tap for tap, _ in terms)
    sums = []
    for tap in taps:
        same = [part for other, part in terms if other == tap]
        total = sum(same[1:], same[0])
        sums.append(total if tap == 1 else total * tap)
    return sum(sums[1:], sums[0])
