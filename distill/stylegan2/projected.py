"""A discriminator on frozen features: small heads at four scales of a network that knows photographs already.

Sauer et al. 2021, "Projected GANs Converge Faster". The features are those of EfficientNet-Lite0, mixed across
channels and across scales by convolutions that are drawn at random once and never trained (their section 3.2), so
that no head can rest on a few of them. The coarsest head also sees how much the samples of a group differ in each
feature, which asks the generator for variety. N images, C channels, H W image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from distill.networks.efficientnet_lite import EfficientNetLite0
from distill.stylegan2.discriminator import precise
from distill.stylegan2.networks import EPS, SLOPE

STAGES = (1, 2, 4, 6)  # of the network, whose outputs lie at strides 4, 8, 16 and 32
STAGE_WIDTHS = (24, 40, 112, 320)
STRIDES = (4, 8, 16, 32)
MIXED_WIDTHS = (32, 64, 128, 256)
HEAD_WIDTHS = {4: 256, 8: 128, 16: 96, 32: 64, 64: 48, 128: 32}  # by the side of the map
LEAST_SIDE = 128  # px: smaller images are enlarged, else the deepest map would be a point
LAST_SIDE = 4  # of the map on which each place is judged
MIXING_SEED = 0


class ProjectedFeatures(nn.Module):
    """Images [N, 3, H, W] in [-1, 1] -> four maps [N, C, side / stride, side / stride]; nothing in it is trained."""

    def __init__(self, tensors: Mapping[str, Tensor], resolution: int) -> None:
        super().__init__()
        self.side = max(resolution, LEAST_SIDE)
        self.network = EfficientNetLite0(tensors, stages=STAGES[-1] + 1)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(MIXING_SEED)
            self.across_channels = nn.ModuleList(
                _random(nn.Conv2d(c, m, 1)) for c, m in zip(STAGE_WIDTHS, MIXED_WIDTHS, strict=True)
            )
            self.across_scales = nn.ModuleList(
                _random(nn.Conv2d(MIXED_WIDTHS[i + 1], MIXED_WIDTHS[i], 3, padding=1))
                for i in range(len(STAGES) - 1)
            )
        self.requires_grad_(False)

    def forward(self, images_NCHW: Tensor) -> list[Tensor]:
        x = images_NCHW
        if x.shape[-1] < self.side:
            x = F.interpolate(x, size=(self.side, self.side), mode="bilinear", align_corners=False)
        stages = self.network(x)
        maps = [mix(stages[i]) for mix, i in zip(self.across_channels, STAGES, strict=True)]
        for i in reversed(range(len(maps) - 1)):  # from the coarsest down
            coarser = F.interpolate(
                self.across_scales[i](maps[i + 1]), scale_factor=2.0, mode="bilinear", align_corners=False
            )
            maps[i] = maps[i] + coarser
        return maps


class ProjectedHeads(nn.Module):
    """Feature maps -> logits [N, 64], 16 places of each of the four; above 0 means "real".

    N must be a multiple of `group`, or less.
    """

    def __init__(self, resolution: int, group: int) -> None:
        super().__init__()
        self.group = group
        side = max(resolution, LEAST_SIDE)
        widths = (*MIXED_WIDTHS[:-1], 2 * MIXED_WIDTHS[-1])
        self.heads = nn.ModuleList(
            _head(width, side // stride) for width, stride in zip(widths, STRIDES, strict=True)
        )

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        seen = [*maps[:-1], with_deviations(maps[-1], min(self.group, len(maps[-1])))]
        logits = [head(x).flatten(1) for head, x in zip(self.heads, seen, strict=True)]
        return torch.cat(logits, dim=1)


def with_deviations(x: Tensor, group: int) -> Tensor:
    """Append to each map its standard deviation over `group` consecutive samples, place by place.

    x [N, C, H, W] -> [N, 2 C, H, W]. As the minibatch deviation of StyleGAN2's discriminator, but not averaged over
    the features: each of them says something of its own here.
    """
    n = len(x)
    grouped = precise(x).reshape(n // group, group, *x.shape[1:])
    deviation = (grouped.var(dim=1, correction=0) + EPS).sqrt()
    return torch.cat([x, deviation.repeat_interleave(group, dim=0).to(x.dtype)], dim=1)


def _random(conv: nn.Conv2d) -> nn.Conv2d:
    nn.init.kaiming_normal_(conv.weight)
    return conv


def _head(width: int, side: int) -> nn.Sequential:
    """Halve the map down to 4 x 4 places, with spectral normalisation, and judge each."""
    layers: list[nn.Module] = []
    while side > LAST_SIDE:
        side //= 2
        wider = HEAD_WIDTHS.get(side, min(HEAD_WIDTHS.values()))
        halve = spectral_norm(nn.Conv2d(width, wider, 4, stride=2, padding=1, bias=False))
        layers += [halve, nn.BatchNorm2d(wider), nn.LeakyReLU(SLOPE)]
        width = wider
    return nn.Sequential(*layers, spectral_norm(nn.Conv2d(width, 1, 3, padding=1)))
