"""StarGAN: one generator for many attributes, and a critic that also tells which attributes a picture has.

Choi et al. 2018, tables 4 and 5 of the appendix. Layers stand at the positions of the public implementation, so
tensors carry the names of published files: `main.0.weight`, `main.9.main.0.weight`, `conv2.weight`. 8,430,528
parameters of a generator of 5 attributes; 44,762,048 of its critic at 128 px.
Shapes: N samples, A attributes, H W image.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from distill.errors import DistillError
from distill.networks.student_shape import check_channels, check_halvings

HALVINGS = 2  # of the generator
SLOPE = 0.01  # of the critic's leaky ReLU

Module = TypeVar("Module", bound=nn.Module)


@dataclass(frozen=True, kw_only=True)
class StarGANArchitecture:
    """Everything that decides a generator's tensors: attributes, channels at full resolution, residual blocks."""

    attributes: int
    width: int = 64
    blocks: int = 6

    @property
    def inputs(self) -> int:
        return 3

    @property
    def side_multiple(self) -> int:
        return 1 << HALVINGS

    @property
    def norm(self) -> str:
        return "instance"

    @property
    def sides(self) -> None:
        return None

    def check_inputs(self, channels: int) -> None:
        """Raise DistillError for anything but one RGB image."""
        check_channels(self.inputs, channels)

    def check_sides(self, height: int, width: int) -> None:
        """Raise DistillError for images that do not come out in their own size, or are too small to normalise."""
        check_halvings(height, width, HALVINGS, least=2 * self.side_multiple)


@dataclass(frozen=True, kw_only=True)
class CriticArchitecture:
    """Everything that decides a critic's tensors.

    attributes: that it tells. width: channels after the first of its `layers` halvings, each of the next has twice as
    many. height, width_px: sides of its images; the head that tells attributes spans all that is left of them.
    """

    attributes: int
    height: int
    width_px: int
    width: int = 64
    layers: int = 6

    @property
    def left(self) -> tuple[int, int]:
        """Height and width after the last halving."""
        return self.height >> self.layers, self.width_px >> self.layers

    def check(self) -> None:
        """Raise DistillError where the halvings leave nothing of the images."""
        if min(self.left) < 1:
            raise DistillError(
                f"images of {self.width_px}x{self.height} px are too small for a critic of {self.layers} halvings:"
                f" at least {1 << self.layers} px are needed, or fewer d_layers"
            )


class ImageNorm(nn.InstanceNorm2d):
    """Instance normalisation with scale and shift, of each image by its own statistics, in evaluation mode too.

    The public implementation keeps running means, so its files hold them, but never goes by them: it translates in
    training mode. Here they are what training leaves in them.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, affine=True, track_running_stats=True)

    def forward(self, x: Tensor) -> Tensor:
        mean, variance = (self.running_mean, self.running_var) if self.training else (None, None)
        return F.instance_norm(
            x, mean, variance, self.weight, self.bias, momentum=self.momentum or 0.0, eps=self.eps
        )


class StarGANBlock(nn.Module):
    """A residual block, zero-padded: reflected borders would take the labels' constant planes from the network."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            ImageNorm(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            ImageNorm(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.main(x)
        return y


class StarGANGenerator(nn.Module):
    """Images [N, 3, H, W] and labels [N, A], 0 or 1 each -> images [N, 3, H, W] in [-1, 1], float32 at least.

    H and W: multiples of 4. Each label is a constant plane beside the three colours.
    """

    def __init__(self, architecture: StarGANArchitecture) -> None:
        super().__init__()
        self.architecture = a = architecture
        wide = a.width << HALVINGS
        layers = [*_normed(nn.Conv2d(3 + a.attributes, a.width, 7, padding=3, bias=False), a.width)]
        for n in range(HALVINGS):
            before, after = a.width << n, a.width << n + 1
            layers += _normed(nn.Conv2d(before, after, 4, stride=2, padding=1, bias=False), after)
        layers += [StarGANBlock(wide) for _ in range(a.blocks)]
        for n in reversed(range(HALVINGS)):
            before, after = a.width << n + 1, a.width << n
            layers += _normed(nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=False), after)
        self.main = nn.Sequential(*layers, nn.Conv2d(a.width, 3, 7, padding=3, bias=False), nn.Tanh())

    @property
    def body(self) -> nn.Sequential:
        """All layers but the last, a tanh."""
        return nn.Sequential(*list(self.main)[:-1])

    def forward(self, images_NCHW: Tensor, labels_NA: Tensor) -> Tensor:
        planes = labels_NA[:, :, None, None].expand(-1, -1, *images_NCHW.shape[2:])
        x: Tensor = self.body(torch.cat([images_NCHW, planes.to(images_NCHW.dtype)], dim=1))
        return torch.tanh(
            x.to(torch.promote_types(x.dtype, torch.float32))
        )  # half precision is coarser than pixels


class StarGANCritic(nn.Module):
    """Images [N, 3, H, W] of its size -> scores of patches [N, 1, h, w], logits of attributes [N, A]."""

    def __init__(self, architecture: CriticArchitecture) -> None:
        super().__init__()
        self.architecture = a = architecture
        layers: list[nn.Module] = []
        before = 3
        for n in range(a.layers):
            after = a.width << n
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.LeakyReLU(SLOPE)]
            before = after
        self.main = nn.Sequential(*layers)
        self.conv1 = nn.Conv2d(before, 1, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(before, a.attributes, a.left, bias=False)

    def forward(self, images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        features = self.main(images_NCHW)
        return self.conv1(features), self.conv2(features).flatten(1)

    @torch.no_grad()
    def tell(self, images_NCHW: Tensor) -> Tensor:
        """Tell which attributes images of any size have: [N, A], 0 or 1."""
        a, sides = self.architecture, images_NCHW.shape[2:]
        if tuple(side >> a.layers for side in sides) != a.left:
            images_NCHW = F.interpolate(
                images_NCHW, size=(a.height, a.width_px), mode="bilinear", antialias=True
            )
        logits: Tensor = self(images_NCHW)[1]
        return (logits > 0).float()


class EditedStarGAN(nn.Module):
    """A generator with an edit: images [N, 3, H, W] -> images [N, 3, H, W], as students are called.

    `wanted` [A] has 1 or 0 for each attribute, and NaN where the critic tells what the picture has.
    """

    def __init__(
        self, generator: StarGANGenerator, wanted_A: Tensor, critic: StarGANCritic | None = None
    ) -> None:
        super().__init__()
        self.generator, self.critic = generator, critic
        self.register_buffer("wanted", wanted_A)

    @property
    def architecture(self) -> StarGANArchitecture:
        return self.generator.architecture

    def forward(self, images_NCHW: Tensor) -> Tensor:
        wanted = self.get_buffer("wanted").expand(len(images_NCHW), -1)
        if self.critic is not None:
            wanted = torch.where(wanted.isnan(), self.critic.tell(images_NCHW), wanted)
        edited: Tensor = self.generator(images_NCHW, wanted)
        return edited


def create_generator(architecture: StarGANArchitecture, *, seed: int) -> StarGANGenerator:
    """Make a generator on the CPU with the start values of PyTorch; the seed alone decides them."""
    with torch.device("meta"):
        network = StarGANGenerator(architecture)
    return _started(network.to_empty(device="cpu"), seed=seed)


def create_critic(architecture: CriticArchitecture, *, seed: int) -> StarGANCritic:
    """Make a critic on the CPU likewise. Raises DistillError where nothing is left of its images."""
    architecture.check()
    with torch.device("meta"):
        network = StarGANCritic(architecture)
    return _started(network.to_empty(device="cpu"), seed=seed)


def _normed(convolution: nn.Module, channels: int) -> Iterator[nn.Module]:
    yield from (convolution, ImageNorm(channels), nn.ReLU(inplace=True))


def _started(network: Module, *, seed: int) -> Module:
    """Draw convolutions from U(-1/√n, 1/√n), n numbers behind a channel: PyTorch's own, as the public code takes."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, ImageNorm):
            module.reset_parameters()
        elif isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            bound = 1 / math.sqrt(module.weight[0].numel())
            with torch.no_grad():
                for tensor in (module.weight, module.bias):
                    if tensor is not None:
                        tensor.uniform_(-bound, bound, generator=generator)
    return network
