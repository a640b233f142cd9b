"""One layer, ready to run: what can be computed once from its tensors, and the arithmetic.

Demodulation makes the style's effect on a layer two vectors: one over its inputs, one over its outputs. The
features are multiplied by them before and after an ordinary convolution of the whole batch. Every layer's gain (the
square root of two of its leaky ReLU) is moved into the numbers before the ReLU, which it passes through unchanged.

Shapes: N samples, D latent width, I and O channels in and out, H W the layer's own size.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from distill.stylegan2.fused.upsampling import UpForm, arranged_for, convolve_up
from distill.stylegan2.networks import ACT_GAIN, EPS, SLOPE, EqualizedLinear, SynthesisLayer, ToRGB

HALF_LIMIT = 2048.0  # of features in float16
WEIGHT_LENGTH = 1 / 16  # of the weight of each output
COLOUR_ROWS = (
    4096  # pixels whose colours are summed at once on a CPU: as float32 their features stay in the cache
)


@dataclass(frozen=True)
class Affine:
    """w [N, D] -> style [N, I] in float32, with the run-time gains already in the numbers."""

    weight: Tensor  # [D, I]
    bias: Tensor  # [I]

    @classmethod
    def of(cls, layer: EqualizedLinear, gain: float = 1.0) -> Affine:
        weight = layer.weight.detach().float() * (layer.weight_gain * gain)
        return cls(weight.t().contiguous(), layer.bias.detach().float() * (layer.bias_gain * gain))

    def __call__(self, w_ND: Tensor) -> Tensor:
        return torch.addmm(self.bias, w_ND.float(), self.weight)


@dataclass(frozen=True)
class Convolution:
    """One 3x3 layer; weights, bias and noise are in the format of the features, the rest is float32."""

    affine: Affine
    weights: tuple[Tensor, ...]  # [O, I, 3, 3], each output's of length 1/16; or as `arranged_for` orders it
    gain: Tensor  # [O], what that took out of the weight, times the gain of the activation
    energy: Tensor  # [I, O], sum of squares of the unscaled weight over its taps
    bias: Tensor  # [O]
    noise: Tensor | None  # [1, 1, H, W]; None where the strength is zero
    strength: Tensor  # of random noise
    resolution: int
    filters: Tensor | None  # [O, 1, 4, 4], of an up-convolution
    clamp: float | None

    @classmethod
    def of(cls, layer: SynthesisLayer, dtype: torch.dtype, up_form: UpForm) -> Convolution:
        weight, bias = layer.weight.detach().float(), layer.bias.detach().float()
        length_O = weight.flatten(1).norm(dim=1).clamp(min=EPS) / WEIGHT_LENGTH
        parts, filters = [weight / length_O[:, None, None, None]], None
        if layer.up:
            filter_hw = layer.resample_filter.detach().float().flip([0, 1]) * 4.0  # makes up for the zeros
            parts = arranged_for(up_form, parts[0], filter_hw)
            filters = filter_hw.to(dtype).expand(len(bias), 1, -1, -1).contiguous()
        strength = (layer.noise_strength.detach() * ACT_GAIN).float()
        noise = (layer.noise_const.detach() * strength).to(dtype)[None, None]
        return cls(
            affine=Affine.of(layer.affine),
            weights=tuple(part.to(dtype).contiguous(memory_format=torch.channels_last) for part in parts),
            gain=length_O * ACT_GAIN,
            energy=weight.square().sum(dim=[2, 3]).t().contiguous(),
            bias=(bias * ACT_GAIN).to(dtype),
            noise=noise if bool(strength != 0) else None,
            strength=strength,
            resolution=layer.noise_const.shape[-1],
            filters=filters,
            clamp=clamp_of(layer, dtype),
        )


def clamp_of(layer: SynthesisLayer, dtype: torch.dtype) -> float | None:
    """The checkpoint's clamp; float16 always has one, far above what a network draws with.

    A weight of length 1/16 over 9 I inputs of at most 2048 gives at most 2048 / 16 * sqrt(9 I) (Cauchy-Schwarz)
    and the filter of an up-convolution 4 times that: 35,000 with I = 512 channels, where float16 ends at 65,504.
    """
    if dtype != torch.float16:
        return layer.clamp
    return HALF_LIMIT if layer.clamp is None else min(HALF_LIMIT, layer.clamp)


def run_convolution(layer: Convolution, x: Tensor, style: Tensor, noise: Tensor | None) -> Tensor:
    """x [N, I, h, w] -> [N, O, H, W] in the same format, by a style [N, I], with `noise` [1 or N, 1, H, W]."""
    peak = style.abs().amax(dim=1, keepdim=True).clamp(min=EPS)
    x = x * (style / peak).to(x.dtype)[:, :, None, None]
    if layer.filters is None:
        y = F.conv2d(x, layer.weights[0], padding=1)
    else:
        y = convolve_up(x, layer.weights, layer.filters)
    gain = torch.rsqrt(style.square() @ layer.energy + EPS) * peak * layer.gain
    y = torch.addcmul(layer.bias[:, None, None], y, gain.to(x.dtype)[:, :, None, None])
    if noise is not None:
        y = y.add_(noise)
    return clamped(F.leaky_relu_(y, SLOPE), layer.clamp)


@dataclass(frozen=True)
class Colour:
    """One ToRGB layer, in float32; its affine has the gain of the weight in its numbers."""

    affine: Affine
    style_gain: float
    weight: Tensor  # [3, I]
    bias: Tensor  # [3]
    clamp: float | None

    @classmethod
    def of(cls, layer: ToRGB) -> Colour:
        return cls(
            affine=Affine.of(layer.affine, gain=layer.weight_gain),
            style_gain=layer.weight_gain,
            weight=layer.weight.detach().float().flatten(1),
            bias=layer.bias.detach().float(),
            clamp=layer.clamp,
        )


def run_colour(layer: Colour, x: Tensor, style: Tensor) -> Tensor:
    """x [N, I, H, W] -> RGB [N, 3, H, W], summed in float32 whatever the format of x, by a style times its gain."""
    n, inputs, height, width = x.shape
    weight_N3I = layer.weight * style[:, None]
    x_NPI = x.permute(0, 2, 3, 1).reshape(n, height * width, inputs)
    y = torch.empty(n, 3, height * width, device=x.device)
    rows = COLOUR_ROWS if x.device.type == "cpu" else height * width
    for start in range(0, height * width, rows):
        part = x_NPI[:, start : start + rows].float().transpose(1, 2)
        torch.baddbmm(layer.bias[:, None], weight_N3I, part, out=y[:, :, start : start + rows])
    return clamped(y.reshape(n, 3, height, width), layer.clamp)


def clamped(y: Tensor, limit: float | None) -> Tensor:
    """Clamp in place, where there is a limit."""
    return y if limit is None else y.clamp_(-limit, limit)
