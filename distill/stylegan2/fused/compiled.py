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


def compile_layers(device: torch.device) -> RunConvolution:
    """Return `run_convolution`, or `run_tiled`, compiled for fixed shapes, built when each shape first comes.

    On a GPU every layer becomes one CUDA graph; what it returns is copied out of the graph's memory, because the
    trunk that two branches share must outlive the first of them.
    """
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, SHAPES)
    on_gpu = device.type == "cuda"
    compiled: RunConvolution = torch.compile(
        run_convolution, dynamic=False, fullgraph=True, mode="reduce-overhead" if on_gpu else "default"
    )
    frame: Frame = torch.compile(framed, dynamic=False, fullgraph=True)
    strip: Strip = torch.compile(run_strip, dynamic=False, fullgraph=True)

    def run(layer: Convolution, x: Tensor, w_ND: Tensor, noise: Tensor | None) -> Tensor:
        if layer.manner == "tiles":
            return run_tiled(layer, x, w_ND, noise, frame=frame, strip=strip)
        y = compiled(layer, x, w_ND, noise)
        return y.clone() if on_gpu else y

    return run
