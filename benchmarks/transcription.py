"""How the public StyleGAN2 code in PyTorch draws, in plain PyTorch: what a faster path is measured against.

Two ways to convolve with a weight that differs from sample to sample, both described in section 2.2 of Karras et
al. 2020 and both offered by the public implementations:

- "grouped": write out a weight per sample and convolve the batch as the channel groups of one image. What those
  implementations do in inference.
- "plain": multiply the activations by the style, convolve with the common weight, multiply by the demodulation.

Channels first, in float32, or in float16 for the four largest resolutions, as they run on a GPU. Resampling is
written as their portable path has it: insert zeros, pad, convolve every channel with the 4x4 filter.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from distill.stylegan2.networks import GeneratorNetwork, SynthesisLayer, ToRGB

HALF_RESOLUTIONS = 4
HALF_CLAMP = 256.0


@dataclass(frozen=True)
class Transcription:
    """Draws w+ [N, L, D] -> RGB [N, 3, H, W] with the weights of a reference network."""

    network: GeneratorNetwork
    grouped: bool
    half: bool = False  # float16 in the largest resolutions

    @torch.inference_mode()
    def __call__(self, ws_NLD: Tensor, noise: str = "const") -> Tensor:
        synthesis = self.network.synthesis
        x: Tensor = synthesis.get_parameter("b4.const").expand(len(ws_NLD), -1, -1, -1)
        rgb: Tensor | None = None
        for block, name, index in synthesis.layers:
            layer, w_ND = synthesis.get_submodule(f"{block}.{name}"), ws_NLD[:, index]
            x = x.to(self.dtype_at(int(block[1:])))
            if isinstance(layer, SynthesisLayer):
                x = self.features(layer, x, w_ND, noise)
            elif isinstance(layer, ToRGB):
                y = self.colours(layer, x, w_ND).float()
                rgb = y if rgb is None else resample(rgb, layer_filter(synthesis, block), up=2, gain=4.0) + y
        assert rgb is not None
        return rgb

    def dtype_at(self, resolution: int) -> torch.dtype:
        largest = self.network.shape.resolution
        return torch.float16 if self.half and resolution * 2**HALF_RESOLUTIONS > largest else torch.float32

    def features(self, layer: SynthesisLayer, x: Tensor, w_ND: Tensor, noise: str) -> Tensor:
        y = self.convolve(
            x,
            layer.weight,
            layer.affine(w_ND),
            demodulate=True,
            up=layer.resample_filter if layer.up else None,
        )
        if noise == "const":
            y = y.add_((layer.noise_const * layer.noise_strength).to(y.dtype))
        y = F.leaky_relu(y + layer.bias.to(y.dtype)[:, None, None], 0.2) * 2**0.5
        clamp = HALF_CLAMP if layer.clamp is None and y.dtype == torch.float16 else layer.clamp
        return y if clamp is None else y.clamp(-clamp, clamp)

    def colours(self, layer: ToRGB, x: Tensor, w_ND: Tensor) -> Tensor:
        style = layer.affine(w_ND) * layer.weight_gain
        y = self.convolve(x, layer.weight, style, demodulate=False, up=None)
        y = y + layer.bias.to(y.dtype)[:, None, None]
        return y if layer.clamp is None else y.clamp(-layer.clamp, layer.clamp)

    def convolve(
        self, x: Tensor, weight: Tensor, style: Tensor, *, demodulate: bool, up: Tensor | None
    ) -> Tensor:
        if x.dtype == torch.float16 and demodulate:  # their guard against overflow
            size = weight[0].numel() ** 0.5 * weight.abs().amax(dim=[1, 2, 3], keepdim=True)
            weight, style = weight / size, style / style.abs().amax(dim=1, keepdim=True)
        weight_NOI = weight[None] * style[:, None, :, None, None]
        factor_NO = (weight_NOI.square().sum(dim=[2, 3, 4]) + 1e-8).rsqrt() if demodulate else None
        if not self.grouped:
            y = convolve_or_up(x * style.to(x.dtype)[:, :, None, None], weight.to(x.dtype), up, groups=1)
            return y if factor_NO is None else y * factor_NO.to(y.dtype)[:, :, None, None]
        if factor_NO is not None:
            weight_NOI = weight_NOI * factor_NO[:, :, None, None, None]
        n, _, height, width = x.shape
        y = convolve_or_up(
            x.reshape(1, -1, height, width), weight_NOI.flatten(0, 1).to(x.dtype), up, groups=n
        )
        return y.reshape(n, -1, *y.shape[2:])


def convolve_or_up(x: Tensor, weight: Tensor, up: Tensor | None, *, groups: int) -> Tensor:
    """Convolve, or convolve to twice the size and filter with `up`."""
    if up is None:
        return F.conv2d(x, weight, padding=weight.shape[-1] // 2, groups=groups)
    outputs, inputs, k, _ = weight.shape
    turned = weight.reshape(groups, outputs // groups, inputs, k, k).transpose(1, 2).flatten(0, 1)
    y = F.conv_transpose2d(x, turned, stride=2, groups=groups)
    return resample(y, up, up=1, gain=4.0, padding=(1, 1))


def resample(
    x: Tensor, filter_hw: Tensor, *, up: int, gain: float, padding: tuple[int, int] = (2, 1)
) -> Tensor:
    """Insert up - 1 zeros behind every pixel, pad, and convolve each channel with the filter."""
    n, c, height, width = x.shape
    x = F.pad(x.reshape(n, c, height, 1, width, 1), [0, up - 1, 0, 0, 0, up - 1])
    x = F.pad(x.reshape(n, c, height * up, width * up), [*padding, *padding])
    kernel = (filter_hw * gain).flip([0, 1]).to(x.dtype)[None, None].repeat(c, 1, 1, 1)
    return F.conv2d(x, kernel, groups=c)


def layer_filter(synthesis: torch.nn.Module, block: str) -> Tensor:
    return synthesis.get_buffer(f"{block}.resample_filter")
