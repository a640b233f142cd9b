"""The arithmetic of one prepared layer.

Demodulation makes the style's effect on a layer two vectors: one over its inputs, one over its outputs. Either the
activations are multiplied by them before and after an ordinary convolution of the whole batch ("scale"), or the
weight is, sample by sample ("modulate"): no pass over the activations, but a weight to rewrite for each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from distill.stylegan2.fused.polyphase import unwoven, woven
from distill.stylegan2.fused.prepared import Colour, Convolution, Manner, channels_last, power_of_two
from distill.stylegan2.fused.upsampling import convolve_up, for_weights
from distill.stylegan2.fused.winograd import suits
from distill.stylegan2.networks import SLOPE, SynthesisLayer

RunConvolution = Callable[[Convolution, Tensor, Tensor, Tensor | None], Tensor]
RunColour = Callable[[Colour, Tensor, Tensor], Tensor]
SAMPLE = 300_000
COLOUR_ROWS = 4096  # pixels whose colours are summed at once: their features stay in the cache as float32


def manner_for(
    layer: SynthesisLayer, *, device: torch.device, dtype: torch.dtype, compiled: bool = False
) -> Manner:
    """Choose where the style goes: into the weight where that is the smaller thing to rewrite, on a CPU.

    Measured: to rewrite a number of a weight costs as much as three activations' two multiplications, and to run a
    sample by itself as much as 300,000. On a GPU one batch is better than its samples; float16 needs "scale",
    which keeps the products in range. What is compiled goes by tiles where they are faster still.
    """
    if device.type != "cpu" or dtype == torch.float16:
        return "scale"
    if compiled and suits(layer, dtype=dtype):
        return "tiles"
    outputs, inputs = layer.weight.shape[:2]
    pixels = layer.noise_const.numel()
    activations = inputs * (pixels // 4 if layer.up else pixels) + outputs * pixels
    return "modulate" if activations > 3 * layer.weight.numel() + SAMPLE else "scale"


def run_convolution(layer: Convolution, x: Tensor, w_ND: Tensor, noise: Tensor | None) -> Tensor:
    """x [N, I, h, w] -> [N, O, H, W] in the layer's format; "modulate" takes one sample at a time (N = 1)."""
    x = x.to(layer.bias.dtype)
    style = layer.affine(w_ND)
    gain = layer.gain(style)
    parts = modulated(layer, x, style, gain) if layer.manner == "modulate" else scaled(layer, x, style, gain)
    if len(parts) == 1:
        return activated(layer, parts[0], noise)
    noises = [None] * len(parts) if noise is None else unwoven(noise)
    return woven([activated(layer, *part) for part in zip(parts, noises, strict=True)])


def activated(layer: Convolution, y: Tensor, noise: Tensor | None) -> Tensor:
    """Add the noise [1 or N, 1, H, W], then leaky ReLU and clamp; `y` is overwritten."""
    if noise is not None:
        y = y.add_(noise)
    return clamped(F.leaky_relu_(y, SLOPE), layer.clamp).to(layer.bias.dtype)


def modulated(layer: Convolution, x: Tensor, style: Tensor, gain: Tensor) -> list[Tensor]:
    """Convolve one sample with its own weight; the bias rides along."""
    factors = gain.reshape(-1, 1) * style
    if layer.up is not None:
        factors = for_weights(layer.up.form, factors)
    weights = [channels_last((weight * factors[:, :, None, None]).to(x.dtype)) for weight in layer.weights]
    return convolve(layer, x, weights, layer.bias)


def scaled(layer: Convolution, x: Tensor, style: Tensor, gain: Tensor) -> list[Tensor]:
    """Convolve a batch with one weight, between two multiplications of the activations.

    Style and weight are divided by powers of two and the products multiplied by them again, so that no format
    overflows in between.
    """
    style_scale = power_of_two(style.abs().amax(dim=1, keepdim=True))
    x = x * (style / style_scale).to(x.dtype)[:, :, None, None]
    after = (gain * style_scale * layer.weight_scale).to(x.dtype)[:, :, None, None]
    bias = layer.bias[:, None, None]
    return [torch.addcmul(bias, y, after) for y in convolve(layer, x, layer.weights, None)]


def convolve(layer: Convolution, x: Tensor, weights: Sequence[Tensor], bias: Tensor | None) -> list[Tensor]:
    """Convolve with weights ordered as the layer's own: to one image, or to the four kinds of its pixels."""
    if layer.up is None:
        return [F.conv2d(x, weights[0], bias, padding=1)]
    return convolve_up(x, weights, layer.up, bias)


def run_colour(layer: Colour, x: Tensor, w_ND: Tensor) -> Tensor:
    """x [N, I, H, W] -> RGB [N, 3, H, W], summed in float32 whatever the format of x."""
    n, inputs, height, width = x.shape
    weight_N3I = layer.weight * layer.affine(w_ND)[:, None]
    x_NPI = x.permute(0, 2, 3, 1).reshape(n, height * width, inputs)
    y = torch.empty(n, 3, height * width, device=x.device)
    rows = COLOUR_ROWS if x.device.type == "cpu" else height * width
    for start in range(0, height * width, rows):
        part = x_NPI[:, start : start + rows].float().transpose(1, 2)
        torch.baddbmm(layer.bias[:, None], weight_N3I, part, out=y[:, :, start : start + rows])
    return clamped(y.reshape(n, 3, height, width), layer.clamp)


def sum_colours(layer: Colour, x: Tensor, w_ND: Tensor) -> Tensor:
    """As `run_colour`, for a compiler: it reads the features once, and turns them into float32 as it adds them up."""
    weight_N3I = layer.weight * layer.affine(w_ND)[:, None]
    x_NHWI = x.permute(0, 2, 3, 1).float()
    colours = [(x_NHWI * weight_N3I[:, i, None, None]).sum(dim=-1) + layer.bias[i] for i in range(3)]
    return clamped(torch.stack(colours, dim=1), layer.clamp)


def clamped(y: Tensor, limit: float | None) -> Tensor:
    """Clamp in place, where there is a limit."""
    return y if limit is None else y.clamp_(-limit, limit)


@dataclass(frozen=True)
class Arithmetic:
    """What computes the two kinds of layers."""

    convolution: RunConvolution = run_convolution
    colour: RunColour = run_colour
