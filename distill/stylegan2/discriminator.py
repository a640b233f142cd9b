"""The StyleGAN2 discriminator, residual architecture, as plain PyTorch modules.

Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN", figure 7 and appendix B.
Shapes: N samples, C channels, H W image, G samples of a group for the deviation within a minibatch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from distill.stylegan2.convolution import convolve
from distill.stylegan2.networks import ACT_GAIN, EPS, SLOPE, EqualizedLinear, activate, standard_filter

JOIN_GAIN = math.sqrt(0.5)  # of both branches of a block, so that their sum keeps unit variance


class EqualizedConv(nn.Module):
    """k x k convolution whose stored weight has unit variance, optionally to half the size after a blur.

    What comes out, bias included, may be scaled by a `scale`: on the weights that costs nothing.
    """

    blur_filter: Tensor

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, bias: bool = True, down: bool = False
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.gain = 1.0 / math.sqrt(inputs * kernel * kernel)
        self.down = down
        self.register_buffer("blur_filter", standard_filter(), persistent=False)

    def forward(self, x: Tensor, *, scale: float = 1.0) -> Tensor:
        weight, padding = self.weight * (self.gain * scale), self.weight.shape[-1] // 2
        bias = None if self.bias is None else self.bias * scale
        if not self.down:
            return convolve(x, weight, bias, padding=padding)
        if padding == 0:  # a 1x1 convolution reads only the kept pixels: drop the others in the blur
            return convolve(blur_and_halve(x), weight, bias)
        return convolve(blur_channels(x, self.blur_filter, padding=1 + padding), weight, bias, stride=2)


def convolve_and_activate(
    conv: EqualizedConv, x: Tensor, *, clamp: float | None, scale: float = 1.0
) -> Tensor:
    """The convolution, then leaky ReLU of unit variance, clamped, times `scale`.

    Leaky ReLU commutes with a positive factor, so its gain is taken on the weights; the map is changed in place.
    """
    y = F.leaky_relu(conv(x, scale=ACT_GAIN * scale), SLOPE, inplace=True)
    return y if clamp is None else y.clamp(-clamp * scale, clamp * scale)


def blur_channels(x: Tensor, filter_hw: Tensor, *, padding: int) -> Tensor:
    """Convolve every channel of x [N, C, H, W] with one small symmetric filter."""
    channels = x.shape[1]
    return convolve(x, filter_hw.to(x.dtype).expand(channels, 1, -1, -1), padding=padding, groups=channels)


def blur_and_halve(x: Tensor) -> Tensor:
    """Blur with [1, 3, 3, 1] and keep every second pixel, as [1, 2, 1] and a mean over 2x2 (much faster back)."""
    taps = torch.tensor([0.25, 0.5, 0.25]).to(x.device, x.dtype, non_blocking=True)
    return F.avg_pool2d(blur_channels(x, torch.outer(taps, taps), padding=1), 2)


def precise(x: Tensor) -> Tensor:
    """Bring half precision to float32; leave the others."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def minibatch_deviation(x: Tensor, group: int) -> Tensor:
    """Append one map: the standard deviation over `group` consecutive samples, averaged over C, H and W.

    x [N, C, H, W] -> [N, C + 1, H, W]; N must be a multiple of the group. Samples of one group stand side by
    side, so what a sample sees does not depend on how a batch is split over processes, as long as the groups
    stay whole (Karras et al. 2018, section 3; StyleGAN2 uses one map).
    """
    n, _, h, w = x.shape
    grouped = precise(x).reshape(n // group, group, -1)
    deviation = (grouped.var(dim=1, correction=0) + EPS).sqrt().mean(dim=1)  # [N / G]
    plane = deviation.repeat_interleave(group).to(x.dtype)[:, None, None, None].expand(n, 1, h, w)
    return torch.cat([x, plane], dim=1)


class DiscriminatorBlock(nn.Module):
    """Two 3x3 convolutions to half the size beside a 1x1 shortcut; the sum keeps unit variance."""

    def __init__(self, inputs: int, outputs: int, *, clamp: float | None) -> None:
        super().__init__()
        self.clamp = clamp
        self.conv0 = EqualizedConv(inputs, inputs, 3)
        self.conv1 = EqualizedConv(inputs, outputs, 3, down=True)
        self.skip = EqualizedConv(inputs, outputs, 1, bias=False, down=True)

    def forward(self, x: Tensor) -> Tensor:
        y = convolve_and_activate(self.conv0, x, clamp=self.clamp)
        y = convolve_and_activate(self.conv1, y, clamp=self.clamp, scale=JOIN_GAIN)
        joined: Tensor = y + self.skip(x, scale=JOIN_GAIN)
        return joined


class Discriminator(nn.Module):
    """Images [N, 3, H, W] in [-1, 1] -> logits [N], not in half precision; above 0 means "real".

    `channels` gives the width at each resolution from 4 px up; `group` the samples of the minibatch deviation.
    """

    def __init__(self, channels: Mapping[int, int], *, group: int = 4, clamp: float | None = None) -> None:
        super().__init__()
        self.resolution, self.group, self.clamp = max(channels), group, clamp
        self.fromrgb = EqualizedConv(3, channels[self.resolution], 1)
        self.blocks = nn.ModuleDict(
            {
                f"b{size}": DiscriminatorBlock(channels[size], channels[size // 2], clamp=clamp)
                for size in sorted(channels, reverse=True)
                if size > 4
            }
        )
        width = channels[4]
        self.conv = EqualizedConv(width + 1, width, 3)
        self.fc = EqualizedLinear(width * 16, width)
        self.out = EqualizedLinear(width, 1)

    def layers_from_image(self) -> list[nn.Module]:
        """List the convolutions before the minibatch deviation, those of the highest resolution first."""
        return [self.fromrgb, *(layer for block in self.blocks.values() for layer in block.children())]

    def forward(self, images_NCHW: Tensor) -> Tensor:
        x = convolve_and_activate(self.fromrgb, images_NCHW, clamp=self.clamp)
        for block in self.blocks.values():
            x = block(x)
        x = convolve_and_activate(
            self.conv, minibatch_deviation(x, min(self.group, len(x))), clamp=self.clamp
        )
        x = activate(self.fc(x.flatten(1)), None)
        logits: Tensor = self.out(x)
        return precise(logits).squeeze(1)
