"""One prepared layer through tiles, a few rows of them at a time."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from distill.stylegan2.fused.prepared import Convolution
from distill.stylegan2.fused.winograd import AT_ONCE, OUT, TAPS

Frame = Callable[[Tensor, Tensor], Tensor]
Strip = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor | None, float | None, Tensor], None]


def run_tiled(
    layer: Convolution, x: Tensor, w_ND: Tensor, noise: Tensor | None, *, frame: Frame, strip: Strip
) -> Tensor:
    """x [N, I, H, W] -> [N, O, H, W], channels last, as `run_convolution`.

    `frame` and `strip` are `framed` and `run_strip`, or what torch.compile makes of them.
    """
    style = layer.affine(w_ND)
    gain = layer.gain(style)
    samples, _, height, width = x.shape
    rows = min(max(AT_ONCE * OUT // width, 1) * OUT, height)
    x_NHWI = x.permute(0, 2, 3, 1)
    y_NHWO = torch.empty(samples, height, width, len(layer.bias))
    for n in range(samples):
        x_HWI = frame(x_NHWI[n], style[n])
        of_sample = None if noise is None else noise[n if len(noise) > 1 else 0, 0]
        for top in range(0, height, rows):
            out = slice(top, top + rows)
            strip(
                x_HWI[top : top + rows + TAPS - 1],
                layer.weights[0],
                gain[n],
                layer.bias,
                None if of_sample is None else of_sample[out],
                layer.clamp,
                y_NHWO[n, out],
            )
    return y_NHWO.permute(0, 3, 1, 2)
