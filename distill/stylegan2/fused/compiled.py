"""torch.compile for the layers: fewer passes over the features, bought with minutes of compiling."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from distill.stylegan2.fused.layers import run_convolution
from distill.stylegan2.fused.prepared import Convolution
from distill.stylegan2.fused.tiled import Frame, Strip, run_tiled
from distill.stylegan2.fused.winograd import framed, run_strip

RunConvolution = Callable[[Convolution, Tensor, Tensor, Tensor | None], Tensor]
SHAPES = 128  # compiled variants of the one function: a layer each, times batch sizes
SMALL = 32  # px


def compile_layers(device: torch.device) -> RunConvolution:
    """Return `run_convolution`, or `run_tiled`, compiled for fixed shapes, built when each shape first comes.

    On a GPU small layers become one CUDA graph each, as to launch their kernels takes longer than to run them. What
    such a layer takes and returns is copied into the graph's memory and out of it, because the trunk that two
    branches share must outlive the first of them; larger layers are spared both copies.
    """
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, SHAPES)
    on_gpu = device.type == "cuda"
    compiled: RunConvolution = torch.compile(run_convolution, dynamic=False, fullgraph=True)
    as_graph: RunConvolution = torch.compile(
        run_convolution, dynamic=False, fullgraph=True, mode="reduce-overhead"
    )
    frame: Frame = torch.compile(framed, dynamic=False, fullgraph=True)
    strip: Strip = torch.compile(run_strip, dynamic=False, fullgraph=True)

    def run(layer: Convolution, x: Tensor, w_ND: Tensor, noise: Tensor | None) -> Tensor:
        if layer.manner == "tiles":
            return run_tiled(layer, x, w_ND, noise, frame=frame, strip=strip)
        if on_gpu and layer.resolution <= SMALL:
            return as_graph(layer, x, w_ND, noise).clone()
        return compiled(layer, x, w_ND, noise)

    return run
