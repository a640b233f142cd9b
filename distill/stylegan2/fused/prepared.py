"""What of a layer can be computed once: scaled weights, noise times its strength, energies for demodulation.

Shapes: N samples, D latent width, I and O channels in and out, H W the layer's own size. Every layer's gain (the
square root of two of its leaky ReLU) is moved into the numbers before the ReLU, which it passes through unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from distill.stylegan2.fused.upsampling import Doubling, UpForm, arranged_for
from distill.stylegan2.fused.winograd import transformed
from distill.stylegan2.networks import ACT_GAIN, EPS, EqualizedLinear, SynthesisLayer, ToRGB, standard_filter

HALF_LIMIT = 2048.0  # of activations in float16
EXACT_RESOLUTION = 8  # up to this many px, layers of a float32 network work in float64
WEIGHT_LENGTH = 1 / 16  # at most, of each output's weight in "scale"
# The activations take the style, or the weight does, or the activations do on their way into tiles (see `winograd`).
Manner = Literal["scale", "modulate", "tiles"]


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
    """One 3x3 layer, ready to run."""

    affine: Affine
    weights: tuple[Tensor, ...]  # as `arrange` orders them; "scale": working format, else float32
    weight_scale: Tensor  # [O], what "scale" divided each output's weight by
    energy: Tensor  # [I, O], sum of squares of the weight over its taps
    bias: Tensor  # [O], working format
    noise: Tensor | None  # [H, W], working format; None where the strength is zero
    strength: Tensor  # of random noise
    resolution: int
    manner: Manner
    up: Doubling | None
    clamp: float | None

    def gain(self, style_NI: Tensor) -> Tensor:
        """Demodulation times the gain of the activation, [N, O] in float32."""
        return torch.rsqrt(style_NI.square() @ self.energy + EPS) * ACT_GAIN


@dataclass(frozen=True)
class Colour:
    """One ToRGB layer, ready to run."""

    affine: Affine
    weight: Tensor  # [3, I]
    bias: Tensor  # [3]
    clamp: float | None


def prepare_convolution(
    layer: SynthesisLayer, *, dtype: torch.dtype, manner: Manner, up_form: UpForm
) -> Convolution:
    """Scale, order and cast the tensors of one reference layer, for a network that holds features in `dtype`."""
    if manner == "scale":
        dtype = working_format(dtype, layer.noise_const.shape[-1])
    weight = layer.weight.detach().float()
    scale_O = torch.ones_like(layer.bias)
    if manner == "scale":
        scale_O = power_of_two(weight.flatten(1).norm(dim=1)) / WEIGHT_LENGTH
        weight = weight / scale_O[:, None, None, None]
    # In float64 no library has a filter for many channels at once.
    form: UpForm = "stencil" if dtype == torch.float64 else up_form
    up = Doubling.of(form, blur_filter(layer), len(layer.bias), dtype) if layer.up else None
    noise = layer.noise_const.detach().float() * layer.noise_strength.detach() * ACT_GAIN
    return Convolution(
        affine=Affine.of(layer.affine),
        weights=arrange(layer, weight, manner, up, dtype if manner == "scale" else torch.float32),
        weight_scale=scale_O,
        energy=layer.weight.detach().float().square().sum(dim=[2, 3]).t().contiguous(),
        bias=(layer.bias.detach().float() * ACT_GAIN).to(dtype),
        noise=noise.to(dtype) if bool(layer.noise_strength != 0) else None,
        strength=(layer.noise_strength.detach() * ACT_GAIN).float(),
        resolution=layer.noise_const.shape[-1],
        manner=manner,
        up=up,
        clamp=clamp_of(layer, dtype),
    )


def prepare_colour(layer: ToRGB) -> Colour:
    return Colour(
        affine=Affine.of(layer.affine, gain=layer.weight_gain),
        weight=layer.weight.detach().float().flatten(1),
        bias=layer.bias.detach().float(),
        clamp=layer.clamp,
    )


def working_format(dtype: torch.dtype, resolution: int) -> torch.dtype:
    """Return the format in which a layer works: that of the network, or float64 in the first layers of float32.

    Every later layer amplifies the rounding of the first ones. Measured on 64 images of the embedded teacher, in
    batches of four: 1.2e-5 from float64 without, 4.4e-6 with it (the reference in float32: 8.3e-6).
    """
    return torch.float64 if dtype == torch.float32 and resolution <= EXACT_RESOLUTION else dtype


def power_of_two(sizes: Tensor) -> Tensor:
    """Return the next power of two at or above each size: to divide by it and multiply again is exact."""
    return torch.exp2(torch.ceil(torch.log2(sizes.float().clamp(min=1e-30))))


def arrange(
    layer: SynthesisLayer, weight: Tensor, manner: Manner, up: Doubling | None, dtype: torch.dtype
) -> tuple[Tensor, ...]:
    """Order a layer's scaled weight [O, I, 3, 3] for the way in which it will be convolved, and round it."""
    if manner == "tiles":
        return (transformed(weight).to(dtype),)
    parts = [weight] if up is None else arranged_for(up.form, weight, blur_filter(layer))
    return tuple(channels_last(part.to(dtype)) for part in parts)


def blur_filter(layer: SynthesisLayer) -> Tensor:
    """The low-pass filter after an up-convolution [taps, taps]; gain 4 makes up for the zeros."""
    return layer.resample_filter.detach().float().flip([0, 1]) * 4.0


def clamp_of(layer: SynthesisLayer, dtype: torch.dtype) -> float | None:
    """The checkpoint's clamp; float16 always has one, far above what a network draws with.

    A weight of length 1/16 over 9 I inputs of at most 2048 gives at most 2048 / 16 * sqrt(9 I) (Cauchy-Schwarz)
    and the filter of an up-convolution 4 times that: 35,000 with I = 512 channels, where float16 ends at 65,504.
    """
    if dtype != torch.float16:
        return layer.clamp
    return HALF_LIMIT if layer.clamp is None else min(HALF_LIMIT, layer.clamp)


def is_standard(filter_hw: Tensor) -> bool:
    """Whether doubling with this filter is bilinear interpolation: [1, 3, 3, 1] both ways, summing to one."""
    standard = standard_filter().to(filter_hw.device)
    return filter_hw.shape == standard.shape and bool(torch.allclose(filter_hw.float(), standard, atol=1e-7))


def channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def double_bilinear(rgb: Tensor) -> Tensor:
    """Double rgb [N, 3, H, W] with [1, 3, 3, 1] and zeros around it: bilinear, with a margin that is cut off."""
    framed = F.pad(rgb, [1, 1, 1, 1])
    return F.interpolate(framed, scale_factor=2, mode="bilinear", align_corners=False)[:, :, 2:-2, 2:-2]
