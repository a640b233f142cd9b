"""The StyleGAN2 generator as plain PyTorch modules: what is trained, and what the fast path is held against.

Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN", skip architecture. Parameter and
buffer names are those of the public PyTorch release, so a state dict of that family loads with strict=True.

Shapes: N samples, L layers of w+ (`num_ws`), Z and D latent widths, C channels, H W image.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SLOPE = 0.2  # of the leaky ReLU
ACT_GAIN = math.sqrt(2.0)  # keeps the variance through a leaky ReLU
EPS = 1e-8


@dataclass(frozen=True, kw_only=True)
class GeneratorShape:
    """What the tensors of a checkpoint say about its network."""

    z_dim: int
    w_dim: int
    mapping_layers: int
    channels: Mapping[int, int]  # resolution -> feature channels, 4 px upwards
    mapping_lr_multiplier: float = 0.01
    conv_clamp: float | None = None

    @property
    def resolution(self) -> int:
        return max(self.channels)

    @property
    def num_ws(self) -> int:
        return 2 * int(math.log2(self.resolution)) - 2


@dataclass(frozen=True)
class Partial:
    """A half-drawn image: features [N, C, h, w] and the RGB sum so far [N, 3, h, w]."""

    features: Tensor
    rgb: Tensor | None


class EqualizedLinear(nn.Module):
    """Linear layer whose stored weight is unit-variance; the learning-rate multiplier scales it at run time."""

    def __init__(
        self, inputs: int, outputs: int, *, lr_multiplier: float = 1.0, bias_init: float = 0.0
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((outputs,), float(bias_init)))
        self.weight_gain = lr_multiplier / math.sqrt(inputs)
        self.bias_gain = lr_multiplier

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.weight_gain, self.bias * self.bias_gain)


class MappingNetwork(nn.Module):
    """z [N, Z] -> w [N, D], before truncation and before the copy to every layer."""

    w_avg: Tensor

    def __init__(self, shape: GeneratorShape) -> None:
        super().__init__()
        self.num_layers = shape.mapping_layers
        widths = [shape.z_dim] + [shape.w_dim] * shape.mapping_layers
        for i, (inputs, outputs) in enumerate(pairwise(widths)):
            layer = EqualizedLinear(inputs, outputs, lr_multiplier=shape.mapping_lr_multiplier)
            self.add_module(f"fc{i}", layer)
        self.register_buffer("w_avg", torch.zeros(shape.w_dim))

    def forward(self, z_NZ: Tensor) -> Tensor:
        x = z_NZ.float()
        x = x * (x.square().mean(dim=1, keepdim=True) + EPS).rsqrt()
        for i in range(self.num_layers):
            x = F.leaky_relu(self.get_submodule(f"fc{i}")(x), SLOPE) * ACT_GAIN
        return x


def upsample_rgb(rgb: Tensor, filter_hw: Tensor) -> Tensor:
    """Double the size of rgb [N, 3, H, W]: insert zeros, then low-pass (gain 4 makes up for the zeros)."""
    kernel = (filter_hw * 4.0).to(rgb.dtype).expand(rgb.shape[1], 1, -1, -1)
    return F.conv_transpose2d(rgb, kernel, stride=2, padding=1, groups=rgb.shape[1])


def convolve_up(x: Tensor, weight: Tensor, filter_hw: Tensor) -> Tensor:
    """Convolve x [N, C, H, W] with 3x3 taps to twice the size: transposed, then the low-pass filter (gain 4)."""
    y = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
    kernel = (filter_hw.flip([0, 1]) * 4.0).to(y.dtype).expand(y.shape[1], 1, -1, -1)
    return F.conv2d(y, kernel, padding=1, groups=y.shape[1])


def demodulation(weight: Tensor, style: Tensor) -> Tensor:
    """1 / standard deviation of each output map [N, O], as one small matrix product."""
    energy = style.square() @ weight.square().sum(dim=[2, 3]).t()
    return (energy + EPS).rsqrt()


class SynthesisLayer(nn.Module):
    """Style [N, C] -> modulated 3x3 convolution (optionally to twice the size) -> noise -> bias -> leaky ReLU.

    Scaling the input instead of the weight, and the output by the demodulation, is the same product (section 2.2 of
    the paper) and needs one ordinary convolution instead of N grouped ones.
    """

    resample_filter: Tensor
    noise_const: Tensor

    def __init__(
        self, inputs: int, outputs: int, *, w_dim: int, resolution: int, up: bool, clamp: float | None
    ) -> None:
        super().__init__()
        self.up, self.clamp = up, clamp
        self.affine = EqualizedLinear(w_dim, inputs, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.noise_strength = nn.Parameter(torch.zeros([]))
        self.register_buffer("noise_const", torch.randn(resolution, resolution))
        self.register_buffer("resample_filter", standard_filter())

    def forward(self, x: Tensor, style: Tensor, noise: str) -> Tensor:
        # The demodulation takes a common factor of the style out again. To take its peak out before the convolution
        # keeps half precision in range.
        peak = style.detach().abs().amax(dim=1, keepdim=True).clamp(min=EPS)
        x = x * (style / peak).to(x.dtype)[:, :, None, None]
        weight = self.weight.to(x.dtype)
        y = convolve_up(x, weight, self.resample_filter) if self.up else F.conv2d(x, weight, padding=1)
        # Leaky ReLU commutes with a positive factor: its gain is taken here, where it costs nothing.
        gain = demodulation(self.weight, style) * peak * ACT_GAIN
        shift = (self.bias * ACT_GAIN).to(y.dtype)[:, None, None]
        if noise != "none":
            drawn = self.noise_const if noise == "const" else torch.randn_like(y[:, :1], dtype=style.dtype)
            shift = shift + (drawn * (self.noise_strength * ACT_GAIN)).to(y.dtype)
        y = torch.addcmul(shift, y, gain.to(y.dtype)[:, :, None, None])
        return clamped(F.leaky_relu(y, SLOPE, inplace=True), self.clamp)


class ToRGB(nn.Module):
    """Style [N, C] -> modulated 1x1 convolution to three channels, not demodulated; bias and sum in float32."""

    def __init__(self, inputs: int, *, w_dim: int, clamp: float | None) -> None:
        super().__init__()
        self.clamp = clamp
        self.affine = EqualizedLinear(w_dim, inputs, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(3, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(3))
        self.weight_gain = 1.0 / math.sqrt(inputs)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        scale = (style * self.weight_gain).to(x.dtype)
        y = F.conv2d(x * scale[:, :, None, None], self.weight.to(x.dtype)).to(self.bias.dtype)
        return clamped(y + self.bias[:, None, None], self.clamp)


class SynthesisBlock(nn.Module):
    """All layers of one resolution."""

    resample_filter: Tensor

    def __init__(self, resolution: int, shape: GeneratorShape) -> None:
        super().__init__()
        outputs = shape.channels[resolution]
        common = {"w_dim": shape.w_dim, "clamp": shape.conv_clamp}
        if resolution == 4:
            self.const = nn.Parameter(torch.randn(outputs, 4, 4))
        else:
            inputs = shape.channels[resolution // 2]
            self.conv0 = SynthesisLayer(inputs, outputs, resolution=resolution, up=True, **common)  # type: ignore[arg-type]
        self.conv1 = SynthesisLayer(outputs, outputs, resolution=resolution, up=False, **common)  # type: ignore[arg-type]
        self.torgb = ToRGB(outputs, w_dim=shape.w_dim, clamp=shape.conv_clamp)
        self.register_buffer("resample_filter", standard_filter())


class SynthesisNetwork(nn.Module):
    """w+ [N, L, D] -> RGB [N, 3, H, W], as a flat list of layers that each read one w, or are given their style.

    A style [N, C] has one number for each channel of the features that the layer takes. The indices never fall along
    the list, so every layer that reads a w below some index is a prefix: two images whose w+ agree below a crossover
    share it, exactly.
    """

    def __init__(self, shape: GeneratorShape) -> None:
        super().__init__()
        self.num_ws = shape.num_ws
        self.layers: list[tuple[str, str, int]] = []  # (block, layer, index of w)
        widths: list[int] = []
        for i, resolution in enumerate(sorted(shape.channels)):
            name = f"b{resolution}"
            self.add_module(name, SynthesisBlock(resolution, shape))
            if resolution > 4:
                self.layers.append((name, "conv0", 2 * i - 1))
                widths.append(shape.channels[resolution // 2])
            widths += [shape.channels[resolution]] * 2
            self.layers += [(name, "conv1", 2 * i), (name, "torgb", 2 * i + 1)]
        self.style_widths = widths  # of each layer: the channels that it takes

    def forward(self, ws_NLD: Tensor, noise: str = "const", dtype: torch.dtype | None = None) -> Tensor:
        """Draw w+; `dtype` is that of the features and their convolutions, by default that of the weights."""
        return self.finish(self.run(self.begin(len(ws_NLD), dtype), ws_NLD, 0, self.num_ws, noise))

    def begin(self, samples: int, dtype: torch.dtype | None = None) -> Partial:
        """Start from the learnt 4x4 constant; features lie channels last, which CPUs and GPUs convolve fastest."""
        const: Tensor = self.get_parameter("b4.const")
        features = const.to(dtype or const.dtype).expand(samples, -1, -1, -1)
        return Partial(features.contiguous(memory_format=torch.channels_last), None)

    def run(self, state: Partial, ws_NLD: Tensor, start: int, stop: int, noise: str) -> Partial:
        """Run the layers that read w number `start` up to, not including, `stop`."""
        layers = [layer for layer in self.layers if start <= layer[2] < stop]
        return self._walk(state, layers, self._styles(ws_NLD, layers), noise)

    def styles(self, ws_NLD: Tensor) -> list[Tensor]:
        """The style of every layer, in their order."""
        return list(self._styles(ws_NLD, self.layers))

    def draw_styles(self, styles: Sequence[Tensor], noise: str = "const") -> Tensor:
        """Draw images by styles that are given, one for each layer, as `styles` orders them."""
        return self.finish(self._walk(self.begin(len(styles[0])), self.layers, styles, noise))

    def _styles(self, ws_NLD: Tensor, layers: Sequence[tuple[str, str, int]]) -> Iterator[Tensor]:
        return (
            self.get_submodule(f"{block}.{name}.affine")(ws_NLD[:, index]) for block, name, index in layers
        )

    def _walk(
        self, state: Partial, layers: Sequence[tuple[str, str, int]], styles: Iterable[Tensor], noise: str
    ) -> Partial:
        x, rgb = state.features, state.rgb
        for (block_name, layer_name, _), style in zip(layers, styles, strict=True):
            block = self.get_submodule(block_name)
            layer = block.get_submodule(layer_name)
            if layer_name == "torgb":
                y = layer(x, style)
                rgb = y if rgb is None else upsample_rgb(rgb, block.get_buffer("resample_filter")) + y
            else:
                x = layer(x, style, noise)
        return Partial(x, rgb)

    @staticmethod
    def finish(state: Partial) -> Tensor:
        if state.rgb is None:
            raise ValueError("no layer that writes RGB has run")
        return state.rgb


class GeneratorNetwork(nn.Module):
    """Mapping and synthesis under the public names."""

    def __init__(self, shape: GeneratorShape) -> None:
        super().__init__()
        self.shape = shape
        self.mapping = MappingNetwork(shape)
        self.synthesis = SynthesisNetwork(shape)


def activate(x: Tensor, clamp: float | None) -> Tensor:
    """Leaky ReLU with unit-variance gain, clamped where the checkpoint was trained with a clamp."""
    return clamped(F.leaky_relu(x, SLOPE) * ACT_GAIN, clamp)


def clamped(x: Tensor, limit: float | None) -> Tensor:
    """Clamp to [-limit, limit], where there is a limit."""
    return x if limit is None else x.clamp(-limit, limit)


def standard_filter() -> Tensor:
    """The separable [1, 3, 3, 1] low-pass filter, normalised to sum 1."""
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    outer = torch.outer(taps, taps)
    return outer / outer.sum()


def shape_of_state(
    state: Mapping[str, Tensor], *, mapping_lr_multiplier: float = 0.01, conv_clamp: float | None = None
) -> GeneratorShape:
    """Read widths, depth and resolution off the tensors of a public-name state dict."""
    depth = sum(name.startswith("mapping.fc") and name.endswith(".weight") for name in state)
    blocks = {
        int(name.split(".")[1][1:]): len(tensor)
        for name, tensor in state.items()
        if name.startswith("synthesis.b") and name.endswith(".conv1.bias")
    }
    return GeneratorShape(
        z_dim=state["mapping.fc0.weight"].shape[1],
        w_dim=state[f"mapping.fc{depth - 1}.weight"].shape[0],
        mapping_layers=depth,
        channels=blocks,
        mapping_lr_multiplier=mapping_lr_multiplier,
        conv_clamp=conv_clamp,
    )
