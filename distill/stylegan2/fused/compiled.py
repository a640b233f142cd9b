"""torch.compile for the layers: fewer passes over the features, bought with minutes of compiling."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from distill.stylegan2.fused.layers import Arithmetic, RunColour, RunConvolution, run_convolution, sum_colours
from distill.stylegan2.fused.prepared import Convolution
from distill.stylegan2.fused.tiled import Frame, Strip, run_tiled
from distill.stylegan2.fused.winograd import framed, run_strip

SHAPES = 128  # compiled variants of the one function: a layer each, times batch sizes
SMALL = 32  # px
# The sums along columns, of which each sum along rows takes several, are worked out again for each and not stored:
# by "polyphase" in bfloat16 4 and 2 % less time for a triplet of 64 and of 512 px, at 256 px 1 % more.
IN_ONE_PASS: dict[str, Any] = {
    "realize_reads_threshold": 1000,
    "realize_opcount_threshold": 10_000,
    "realize_acc_reads_threshold": 1000,
}


def compile_layers(device: torch.device) -> Arithmetic:
    """Return the layers' arithmetic compiled for fixed shapes, built when each shape first comes.

    On a GPU small layers become one CUDA graph each, as to launch their kernels takes longer than to run them. What
    such a layer takes and returns is copied into the graph's memory and out of it, because the trunk that two
    branches share must outlive the first of them; larger layers are spared both copies.
    """
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, SHAPES)
    on_gpu = device.type == "cuda"
    compiled: RunConvolution = torch.compile(run_convolution, dynamic=False, fullgraph=True)
    in_one_pass: RunConvolution = torch.compile(
        run_convolution, dynamic=False, fullgraph=True, options=IN_ONE_PASS
    )
    as_graph: RunConvolution = torch.compile(
        run_convolution, dynamic=False, fullgraph=True, mode="reduce-overhead"
    )
    colour: RunColour = torch.compile(sum_colours, dynamic=False, fullgraph=True)
    frame: Frame = torch.compile(framed, dynamic=False, fullgraph=True)
    strip: Strip = torch.compile(run_strip, dynamic=False, fullgraph=True)

    def run(layer: Convolution, x: Tensor, w_ND: Tensor, noise: Tensor | None) -> Tensor:
        if layer.manner == "tiles":
            return run_tiled(layer, x, w_ND, noise, frame=frame, strip=strip)
        if on_gpu and layer.resolution <= SMALL:
            return as_graph(layer, x, w_ND, noise).clone()
        if layer.up is not None and layer.up.form == "polyphase":
            return in_one_pass(layer, x, w_ND, noise)
        return compiled(layer, x, w_ND, noise)

    return Arithmetic(run, colour)
