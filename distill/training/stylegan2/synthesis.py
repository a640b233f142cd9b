"""The generator's forward pass for training: the reference network's tensors, laid out for speed.

Half precision for the features and their convolutions; mapping, styles' affine layers, demodulation and the RGB
sum stay in float32, as they are small and add up. Features lie channels-last. The up-sampling is one step of
zeros, blur and convolution with the same product as the reference's transposed convolution and blur.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from distill.stylegan2.networks import (
    ACT_GAIN,
    SLOPE,
    SynthesisLayer,
    SynthesisNetwork,
    ToRGB,
    demodulation,
    modulated_conv,
    upsample_rgb,
)

CL = torch.channels_last


def draw(network: SynthesisNetwork, ws_NLD: Tensor, *, dtype: torch.dtype, noise: bool) -> Tensor:
    """Draw w+ [N, L, D] as float32 images [N, 3, H, W] with gradients; features have `dtype`."""
    const = network.get_parameter("b4.const")
    x = const.to(dtype).expand(len(ws_NLD), -1, -1, -1).contiguous(memory_format=CL)
    rgb: Tensor | None = None
    for block_name, layer_name, index in network.layers:
        block = network.get_submodule(block_name)
        layer, w_ND = block.get_submodule(layer_name), ws_NLD[:, index]
        if isinstance(layer, ToRGB):
            y = to_rgb(layer, x, w_ND)
            rgb = y if rgb is None else upsample_rgb(rgb, block.get_buffer("resample_filter")) + y
        elif isinstance(layer, SynthesisLayer):
            x = convolve(layer, x, w_ND, noise=noise)
    if rgb is None:
        raise ValueError("a network without layers")
    return rgb


def convolve(layer: SynthesisLayer, x: Tensor, w_ND: Tensor, *, noise: bool) -> Tensor:
    """One modulated 3x3 convolution with noise, bias and activation, in the dtype of x."""
    style = layer.affine(w_ND)
    scale = demodulation(layer.weight, style)
    # Each output map has unit scale by its demodulation; doing part of it before the convolution keeps half
    # precision in range whatever the size of style and weight.
    peak = style.abs().amax(dim=1, keepdim=True).clamp(min=1e-8)
    x = x * (style / peak)[:, :, None, None].to(x.dtype)
    weight = layer.weight.to(x.dtype)
    y = up_convolve(x, weight, layer.resample_filter) if layer.up else F.conv2d(x, weight, padding=1)
    # Leaky ReLU commutes with a positive factor: its gain is taken here, where it costs nothing.
    gain = (scale * peak[:, :, None, None] * ACT_GAIN).to(y.dtype)
    shift = (layer.bias * ACT_GAIN).to(y.dtype)[:, None, None]
    if noise:
        strength = layer.noise_strength * ACT_GAIN
        shift = shift + (torch.randn_like(y[:, :1], dtype=torch.float32) * strength).to(y.dtype)
    y = F.leaky_relu(torch.addcmul(shift, y, gain), SLOPE, inplace=True)
    return y if layer.clamp is None else y.clamp(-layer.clamp, layer.clamp)


def up_convolve(x: Tensor, weight: Tensor, filter_hw: Tensor) -> Tensor:
    """Transposed 3x3 convolution to twice the size, then the low-pass filter (gain 4)."""
    y = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
    channels = y.shape[1]
    kernel = (filter_hw * 4.0).to(y.dtype).expand(channels, 1, -1, -1)
    return F.conv2d(y, kernel, padding=1, groups=channels)


def to_rgb(layer: ToRGB, x: Tensor, w_ND: Tensor) -> Tensor:
    """The 1x1 convolution to RGB: product in the dtype of x, bias and sum in float32."""
    style = layer.affine(w_ND) * layer.weight_gain
    y = modulated_conv(x, layer.weight.to(x.dtype), style.to(x.dtype), demodulate=False).float()
    y = y + layer.bias[:, None, None]
    return y if layer.clamp is None else y.clamp(-layer.clamp, layer.clamp)
