"""Pix2PixHD as plain PyTorch modules: global generator, local enhancer, multiscale discriminator.

The global generator with two halvings is CycleGAN's too (Zhu et al. 2017, appendix 7.2, after Johnson et al. 2016),
tensor for tensor: 11,378,179 parameters with 9 blocks, 7,837,699 with 6.

Wang et al. 2018, "High-Resolution Image Synthesis and Semantic Manipulation with Conditional GANs", sections 3.1
and 3.2 and its appendix. Layers stand at the positions of the public implementation, so tensors carry the names of
published files: `model.1.weight`, `model1_2.0.conv_block.1.weight`, `scale0_layer0.0.weight`.
Shapes: N samples, C channels, H W image. Discriminators have instance normalisation without parameters; generators
have that, or batch normalisation with parameters (`--norm` of the public implementation).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from distill.networks.student_shape import check_channels, check_halvings

INIT_DEVIATION = 0.02  # of all convolution weights at the start, mean 0 (the public implementation)
SLOPE = 0.2  # of the discriminator's leaky ReLU
MAX_WIDTH = 512  # channels of a discriminator

Network = TypeVar("Network", bound=nn.Module)
Norm = Literal["instance", "batch"]


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Everything that decides a generator's tensors. The defaults are those of the public implementation.

    inputs, outputs: image channels (6 for two RGB roles). ngf: channels at full resolution. downsamplings, blocks:
    halvings and residual blocks of the global generator. enhancers: local enhancers around it, each doubling the
    resolution, with `local_blocks` residual blocks; 0 is the global generator alone. The global generator inside
    enhancers has ngf * 2^enhancers channels at its own full resolution.

    norm: "instance" takes the mean of each map of each image away, so nothing that shifts an input's colours as a
    whole reaches the output; where the target's colours are an input's, "batch" lets the network see them.
    """

    inputs: int
    outputs: int = 3
    ngf: int = 64
    downsamplings: int = 4
    blocks: int = 9
    enhancers: int = 0
    local_blocks: int = 3
    norm: Norm = "instance"

    @property
    def sides(self) -> None:
        """Images of many sizes are taken."""

    @property
    def side_multiple(self) -> int:
        """Both sides of an image must be multiples of this many pixels."""
        return int(2 ** (self.downsamplings + self.enhancers))

    def check_sides(self, height: int, width: int) -> None:
        """Raise DistillError for images that do not come out in their own size, or are too small to pad."""
        check_halvings(height, width, self.downsamplings + self.enhancers, least=2 * self.side_multiple)

    def check_inputs(self, channels: int) -> None:
        """Raise DistillError, naming both numbers, where the images have other channels than the network takes."""
        check_channels(self.inputs, channels)

    def build(self) -> GlobalGenerator | LocalEnhancer:
        """Make the network with PyTorch's own start values; `create` gives it those of the paper."""
        return LocalEnhancer(self) if self.enhancers else GlobalGenerator(self)


def create(architecture: Architecture, *, seed: int) -> GlobalGenerator | LocalEnhancer:
    """Make a generator on the CPU with weights from N(0, 0.02), biases 0; the seed alone decides them."""
    with torch.device("meta"):
        network = architecture.build()
    return initialise(network.to_empty(device="cpu"), seed=seed)


def create_discriminator(
    inputs: int, *, seed: int, ndf: int = 64, layers: int = 3, scales: int = 2
) -> MultiscaleDiscriminator:
    """Make a discriminator on the CPU with weights from N(0, 0.02), biases 0; the seed alone decides them."""
    with torch.device("meta"):
        network = MultiscaleDiscriminator(inputs, ndf=ndf, layers=layers, scales=scales)
    return initialise(network.to_empty(device="cpu"), seed=seed)


def initialise(network: Network, *, seed: int) -> Network:
    """Draw all weights anew, in the order of their names in the network. The network must be on the CPU.

    The scales of batch normalisation come from N(1, 0.02), as in the public implementation.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
            else:
                mean = 1.0 if parameter.ndim == 1 else 0.0
                parameter.normal_(mean, INIT_DEVIATION, generator=generator)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
    return network


# ---- generators


def normalisation(kind: Norm, width: int) -> nn.Module:
    """Make a layer that normalises this many channels: of each image by itself, or of the batch, with parameters."""
    return nn.BatchNorm2d(width) if kind == "batch" else nn.InstanceNorm2d(width)


class ResidualBlock(nn.Module):
    """x + two 3x3 convolutions of x, padded by reflection; [N, C, H, W] -> [N, C, H, W]."""

    def __init__(self, channels: int, norm: Norm = "instance") -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), normalisation(norm, channels),
            nn.ReLU(inplace=True),
            nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), normalisation(norm, channels),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv_block(x)
        return x + y


def _first(inputs: int, width: int, norm: Norm) -> list[nn.Module]:
    """7x7 convolution at full size."""
    return [
        nn.ReflectionPad2d(3),
        nn.Conv2d(inputs, width, 7),
        normalisation(norm, width),
        nn.ReLU(inplace=True),
    ]


def _down(width: int, norm: Norm) -> list[nn.Module]:
    """Half the size, twice the channels."""
    conv = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
    return [conv, normalisation(norm, 2 * width), nn.ReLU(inplace=True)]


def _up(width: int, norm: Norm) -> list[nn.Module]:
    """Twice the size, half the channels."""
    conv = nn.ConvTranspose2d(width, width // 2, 3, stride=2, padding=1, output_padding=1)
    return [conv, normalisation(norm, width // 2), nn.ReLU(inplace=True)]


def _last(width: int, outputs: int) -> list[nn.Module]:
    """7x7 convolution to image channels; the tanh follows in `_image`."""
    return [nn.ReflectionPad2d(3), nn.Conv2d(width, outputs, 7)]


def _global_layers(a: Architecture, width: int) -> list[nn.Module]:
    """The global generator without its last layer: [N, inputs, H, W] -> [N, width, H, W]."""
    layers = _first(a.inputs, width, a.norm)
    for i in range(a.downsamplings):
        layers += _down(width << i, a.norm)
    layers += [ResidualBlock(width << a.downsamplings, a.norm) for _ in range(a.blocks)]
    for i in range(a.downsamplings, 0, -1):
        layers += _up(width << i, a.norm)
    return layers


def _run(layers: Iterable[nn.Module], x: Tensor, lean: bool) -> Tensor:
    """Apply layers in turn; `lean` keeps only the input of each residual block for the backward pass."""
    for layer in layers:
        if lean and isinstance(layer, ResidualBlock) and torch.is_grad_enabled():
            contexts = partial(_contexts, layer)
            x = checkpoint(layer, x, use_reentrant=False, preserve_rng_state=False, context_fn=contexts)
        else:
            x = layer(x)
    return x


def _contexts(layer: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """What surrounds a block's first and second run: the second sees the batch again, and must not count it twice."""
    return nullcontext(), _still_statistics(layer)


@contextmanager
def _still_statistics(layer: nn.Module) -> Iterator[None]:
    """Keep the running statistics of batch normalisation as they are."""
    norms = [module for module in layer.modules() if isinstance(module, (nn.BatchNorm2d, nn.SyncBatchNorm))]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


def _image(x: Tensor) -> Tensor:
    """tanh, in float32 where the layers ran in half precision: bfloat16 is coarser than 8-bit pixels."""
    return torch.tanh(x.to(torch.promote_types(x.dtype, torch.float32)))


class GlobalGenerator(nn.Module):
    """Images [N, inputs, H, W] -> images [N, outputs, H, W] in [-1, 1] (section 3.1, G1).

    H and W: multiples of 2^downsamplings (`Architecture.check_sides`). `lean=True` computes the residual blocks
    again in the backward pass: the same gradients, less memory, more time. Float32 comes out under autocast too.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = a = architecture
        self.model = nn.Sequential(*_global_layers(a, a.ngf), *_last(a.ngf, a.outputs))

    def forward(self, images_NCHW: Tensor, *, lean: bool = False) -> Tensor:
        return _image(_run(self.model, images_NCHW, lean))


class LocalEnhancer(nn.Module):
    """A global generator at a lower resolution with enhancers around it (section 3.1, G1 and G2).

    As `GlobalGenerator`; H and W: multiples of 2^(downsamplings + enhancers). Enhancer n takes the image at
    1 / 2^(enhancers - n) of its size and adds its features to those of what lies inside.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = a = architecture
        self.model = nn.Sequential(*_global_layers(a, a.ngf << a.enhancers))
        for n in range(1, a.enhancers + 1):
            width = a.ngf << (a.enhancers - n)
            last = _last(width, a.outputs) if n == a.enhancers else []
            first = [*_first(a.inputs, width, a.norm), *_down(width, a.norm)]
            blocks = [ResidualBlock(2 * width, a.norm) for _ in range(a.local_blocks)]
            self.add_module(f"model{n}_1", nn.Sequential(*first))
            self.add_module(f"model{n}_2", nn.Sequential(*blocks, *_up(2 * width, a.norm), *last))

    def forward(self, images_NCHW: Tensor, *, lean: bool = False) -> Tensor:
        pyramid = [images_NCHW]
        for _ in range(self.architecture.enhancers):
            pyramid.append(_halved(pyramid[-1]))
        x = _run(self.model, pyramid.pop(), lean)
        for n in range(1, self.architecture.enhancers + 1):
            down, up = self.enhancer(n)
            x = _run(up, down(pyramid.pop()) + x, lean)
        return _image(x)

    def enhancer(self, n: int) -> tuple[nn.Sequential, nn.Sequential]:
        """The two parts of enhancer n (1 is the innermost): before and after the sum."""
        down, up = (self.get_submodule(f"model{n}_{part}") for part in (1, 2))
        return cast(nn.Sequential, down), cast(nn.Sequential, up)


def _halved(x: Tensor) -> Tensor:
    """Average over 3x3, every second pixel; the border averages only what lies inside."""
    return F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)


# ---- discriminator


class MultiscaleDiscriminator(nn.Module):
    """Judge patches of an image, beside the inputs it was made from, at several scales (section 3.2).

    x [N, inputs, H, W], inputs and image joined along the channels -> for each scale, full size first, the outputs
    of its layers: `layers` + 1 features for feature matching and, last, the scores [N, 1, h, w].
    As in the public implementation the full size is judged by the tensors with the highest scale number.
    Samples do not see each other: real and fake may go through in one batch.
    """

    def __init__(self, inputs: int, *, ndf: int = 64, layers: int = 3, scales: int = 2) -> None:
        super().__init__()
        self.inputs, self.layers, self.scales = inputs, layers, scales
        for scale in range(scales):
            for index, layer in enumerate(_patch_layers(inputs, ndf, layers)):
                self.add_module(f"scale{scale}_layer{index}", layer)

    def forward(self, x: Tensor) -> list[list[Tensor]]:
        found: list[list[Tensor]] = []
        for scale in reversed(range(self.scales)):
            y, features = x, []
            for index in range(self.layers + 2):
                y = self.get_submodule(f"scale{scale}_layer{index}")(y)
                features.append(y)
            found.append(features)
            x = _halved(x) if scale else x
        return found


def _patch_layers(inputs: int, ndf: int, layers: int) -> list[nn.Sequential]:
    """4x4 convolutions: `layers` of stride 2, two of stride 1, the last to one score for each patch."""
    found = [nn.Sequential(nn.Conv2d(inputs, ndf, 4, stride=2, padding=2), nn.LeakyReLU(SLOPE, inplace=True))]
    width = ndf
    for index in range(1, layers + 1):
        before, width = width, min(2 * width, MAX_WIDTH)
        conv = nn.Conv2d(before, width, 4, stride=2 if index < layers else 1, padding=2)
        found.append(nn.Sequential(conv, nn.InstanceNorm2d(width), nn.LeakyReLU(SLOPE, inplace=True)))
    return [*found, nn.Sequential(nn.Conv2d(width, 1, 4, padding=2))]
