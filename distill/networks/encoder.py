"""The network that reads a w+ off an image, with what is drawn so far beside it (ReStyle, Alaluf et al. 2021).

Shapes: N images, H = W = `resolution` px, L w+ layers, D latent width.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

INPUTS = 6  # channels: the image, and what is drawn so far
LAST_SIDE = 4  # px of the maps that the latent is read from
WIDEST = 4  # times the first width
GROUPS = 8
HIDDEN = 256
SLOPE = 0.2


@dataclass(frozen=True, kw_only=True)
class EncoderShape:
    """What fits an encoder to its generator, and how wide it is: `width` channels at full size."""

    resolution: int
    num_ws: int
    w_dim: int
    width: int

    @property
    def widths(self) -> list[int]:
        """Channels of each stage, from full size down to LAST_SIDE px."""
        stages = int(math.log2(self.resolution // LAST_SIDE)) + 1
        return [self.width * min(stage + 1, WIDEST) for stage in range(stages)]


class EncoderBlock(nn.Module):
    """Two 3x3 convolutions beside the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(GROUPS, width), nn.GroupNorm(GROUPS, width)
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(F.leaky_relu(self.norm1(x), SLOPE))
        y = self.conv2(F.leaky_relu(self.norm2(y), SLOPE))
        total: Tensor = x + y
        return total


class EncoderNetwork(nn.Module):
    """Images [N, 6, H, W] in [-1, 1] → how far to move w+, [N, L, D], in units of the deviation of w.

    One move for all layers, and what each layer adds to it, so that layers stay near each other unless an image asks
    for more.
    """

    def __init__(self, shape: EncoderShape) -> None:
        super().__init__()
        self.shape = shape
        widths = shape.widths
        self.first = nn.Conv2d(INPUTS, widths[0], 3, padding=1)
        self.down = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in itertools.pairwise(widths)
        )
        self.blocks = nn.ModuleList(EncoderBlock(width) for width in widths[1:])
        self.hidden = nn.Linear(widths[-1] * LAST_SIDE**2, HIDDEN)
        self.shared = nn.Linear(HIDDEN, shape.w_dim)
        self.layers = nn.Linear(HIDDEN, shape.num_ws * shape.w_dim)

    def forward(self, images_NCHW: Tensor) -> Tensor:
        x = self.first(images_NCHW)
        for down, block in zip(self.down, self.blocks, strict=True):
            x = block(down(F.leaky_relu(x, SLOPE)))
        x = F.leaky_relu(self.hidden(F.leaky_relu(x, SLOPE).flatten(1)), SLOPE)
        moves: Tensor = self.shared(x)[:, None] + self.layers(x).unflatten(1, (-1, self.shape.w_dim))
        return moves


def create_encoder(shape: EncoderShape, *, seed: int) -> EncoderNetwork:
    """Build one with random weights of its own stream; it begins by moving nothing."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        network = EncoderNetwork(shape)
    for last in (network.shared, network.layers):
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
    return network


def shape_facts(shape: EncoderShape) -> dict[str, str]:
    """The shape as texts, as a file holds it."""
    return {name: str(value) for name, value in asdict(shape).items()}
