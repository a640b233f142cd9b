"""VAE/GAN: an encoder to a small latent, a decoder back, and a discriminator whose features compare pictures.

Larsen et al. 2016, "Autoencoding beyond pixels using a learned similarity metric", table 1; the second table is that
of a course report on clothes (256 px high, 128 wide). Convolutions are 5x5, batch normalisation follows all but the
first of the discriminator and the last of the decoder; layers before it have no bias, as in the public code.
Shapes: N samples, H W image, D latent width, A attributes.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from distill.errors import DistillError
from distill.networks.student_shape import check_channels

HALVINGS = 3
MULTIPLE = 1 << HALVINGS  # px: of both sides
LEAST = 2 * MULTIPLE  # px
KERNEL = 5
CONVOLUTIONS = (0, 2, 5, 8)  # of the discriminator, their places among its layers
LAST_CONVOLUTION = len(CONVOLUTIONS)
TABLE_CHANNELS = 64  # of the encoder's first layer in both tables, to which all other widths are given


@dataclass(frozen=True, kw_only=True)
class VAEGANShape:
    """Everything that decides the tensors. The defaults are the table for 64 px of the paper.

    height, width: of the pictures, px. latent: numbers of z. channels: of the encoder's first layer; the other layers
    keep the proportions of the table. hidden: of the encoder's fully connected layer: 2048 in the paper, 1024 in the
    report (and in the public code). slope: of leaky ReLU, 0.2 in the report; 0 is ReLU, as in the paper.
    """

    height: int = 64
    width: int = 64
    latent: int = 128
    channels: int = TABLE_CHANNELS
    hidden: int = 2048
    slope: float = 0.0

    @property
    def inputs(self) -> int:
        return 3

    @property
    def side_multiple(self) -> int:
        return MULTIPLE

    @property
    def norm(self) -> str:
        """Batch normalisation, which cannot go by one image where that has become single numbers."""
        return "running"

    @property
    def sides(self) -> tuple[int, int]:
        return self.height, self.width

    @property
    def inner(self) -> tuple[int, int]:
        """Sides after the halvings."""
        return self.height >> HALVINGS, self.width >> HALVINGS

    def scaled(self, table_width: int) -> int:
        """A width of the tables, for these channels."""
        return max(table_width * self.channels // TABLE_CHANNELS, 1)

    def check_inputs(self, channels: int) -> None:
        """Raise DistillError for anything but one RGB image."""
        check_channels(self.inputs, channels)

    def check_sides(self, height: int, width: int) -> None:
        """Raise DistillError for images of another size than it was built for."""
        if (height, width) != self.sides:
            raise DistillError(
                f"images of {width}x{height} px do not fit the network: it takes {self.width}x{self.height} px alone"
            )

    def check(self) -> None:
        """Raise DistillError for sides that three halvings do not divide."""
        if self.height % MULTIPLE or self.width % MULTIPLE or min(self.height, self.width) < LEAST:
            raise DistillError(
                f"pictures of {self.width}×{self.height} px: the network halves three times, so both sides must be"
                f" multiples of {MULTIPLE} px, and at least {LEAST}"
            )


class VAEGANEncoder(nn.Module):
    """Images [N, 3, H, W] -> mean [N, D] and log-variance [N, D] of q(z | image)."""

    def __init__(self, shape: VAEGANShape) -> None:
        super().__init__()
        widths = [3, *(shape.scaled(width) for width in (64, 128, 256))]
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            layers += _down(before, after, shape.slope)
        inner = widths[-1] * shape.inner[0] * shape.inner[1]
        self.layers = nn.Sequential(*layers, nn.Flatten(), *_full(inner, shape.hidden, shape.slope))
        self.mean = nn.Linear(shape.hidden, shape.latent)
        self.log_variance = nn.Linear(shape.hidden, shape.latent)

    def forward(self, images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.layers(images_NCHW)
        return self.mean(hidden), self.log_variance(hidden)


class VAEGANDecoder(nn.Module):
    """z [N, D] -> images [N, 3, H, W] in [-1, 1]."""

    def __init__(self, shape: VAEGANShape) -> None:
        super().__init__()
        first, *widths = (shape.scaled(width) for width in (256, 256, 128, 32))
        rows, columns = shape.inner
        layers: list[nn.Module] = [
            *_full(shape.latent, first * rows * columns, shape.slope),
            nn.Unflatten(1, (first, rows, columns)),
        ]
        for before, after in itertools.pairwise([first, *widths]):
            layers += _up(before, after, shape.slope)
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 3, KERNEL, padding=2))

    def forward(self, z_ND: Tensor) -> Tensor:
        return torch.tanh(self.layers(z_ND))


class VAEGANDiscriminator(nn.Module):
    """Images [N, 3, H, W] -> features of layer l, by which pictures are compared, and logits [N].

    Layer l is a convolution, from 1, before its normalisation. The last, [N, 256, H/8, W/8], is `recon_depth=9` of
    the public code; those before halve one time less each.
    """

    def __init__(self, shape: VAEGANShape) -> None:
        super().__init__()
        first, second, third, last = (shape.scaled(width) for width in (32, 128, 256, 256))
        self.features = nn.Sequential(
            nn.Conv2d(3, first, KERNEL, padding=2),
            _activation(shape.slope),
            *_down(first, second, shape.slope),
            *_down(second, third, shape.slope),
            nn.Conv2d(third, last, KERNEL, stride=2, padding=2, bias=False),
        )
        inner, hidden = last * shape.inner[0] * shape.inner[1], shape.scaled(512)
        self.judge = nn.Sequential(
            nn.BatchNorm2d(last),
            _activation(shape.slope),
            nn.Flatten(),
            *_full(inner, hidden, shape.slope),
            nn.Linear(hidden, 1),
        )

    def forward(self, images_NCHW: Tensor, layer: int = LAST_CONVOLUTION) -> tuple[Tensor, Tensor]:
        end = CONVOLUTIONS[layer - 1] + 1
        features = self.features[:end](images_NCHW)
        last = self.features[end:](features.clone())  # activations work in place
        return features, self.judge(last)[:, 0]


class VAEGANAutoencoder(nn.Module):
    """Encoder and decoder, with the mean z of pictures with and without each of A attributes, `on` and `off` [A, D].

    Called with images [N, 3, H, W] it decodes their mean z + `shift` [D], which no file keeps.
    """

    on: Tensor
    off: Tensor
    shift: Tensor

    def __init__(self, shape: VAEGANShape, attributes: int = 0) -> None:
        super().__init__()
        self.architecture = shape
        self.encoder, self.decoder = VAEGANEncoder(shape), VAEGANDecoder(shape)
        for name in ("on", "off"):
            self.register_buffer(name, torch.zeros(attributes, shape.latent))
        self.register_buffer("shift", torch.zeros(shape.latent), persistent=False)

    def forward(self, images_NCHW: Tensor) -> Tensor:
        drawn: Tensor = self.decoder(self.encoder(images_NCHW)[0] + self.shift)
        return drawn

    @property
    def directions(self) -> Tensor:
        """mean(on) - mean(off) of each attribute, [A, D] (section 4.2 of the paper)."""
        return self.on - self.off

    def with_means(self, on_AD: Tensor, off_AD: Tensor) -> VAEGANAutoencoder:
        """Return the same network, its tensors shared, with these means."""
        with torch.device("meta"):
            other = VAEGANAutoencoder(self.architecture, len(on_AD))
        state = self.state_dict() | {"on": on_AD, "off": off_AD}
        other.load_state_dict(state, strict=True, assign=True)
        other.shift = torch.zeros_like(self.shift)
        return other.eval()


def create_vaegan(shape: VAEGANShape, *, seed: int) -> tuple[VAEGANAutoencoder, VAEGANDiscriminator]:
    """Make the networks on the CPU; the seed alone decides their weights, N(0, 1 / inputs of a layer)."""
    shape.check()
    with torch.device("meta"):
        autoencoder, discriminator = VAEGANAutoencoder(shape), VAEGANDiscriminator(shape)
    networks = autoencoder.to_empty(device="cpu"), discriminator.to_empty(device="cpu")
    random = torch.Generator().manual_seed(seed)
    for network in networks:
        _initialise(network, random)
    return networks


@torch.no_grad()
def _initialise(network: nn.Module, random: torch.Generator) -> None:
    for buffer in network.buffers():
        buffer.zero_()
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            inputs = module.weight[0].numel()
            if isinstance(
                module, nn.ConvTranspose2d
            ):  # of stride 2: a quarter of the kernel meets each pixel
                inputs = module.in_channels * KERNEL**2 // 4
            module.weight.normal_(0.0, inputs**-0.5, generator=random)
            if module.bias is not None:
                module.bias.zero_()
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.reset_parameters()


def _activation(slope: float) -> nn.Module:
    return nn.LeakyReLU(slope, inplace=True) if slope else nn.ReLU(inplace=True)


def _down(before: int, after: int, slope: float) -> list[nn.Module]:
    """Half the size."""
    conv = nn.Conv2d(before, after, KERNEL, stride=2, padding=2, bias=False)
    return [conv, nn.BatchNorm2d(after), _activation(slope)]


def _up(before: int, after: int, slope: float) -> list[nn.Module]:
    """Twice the size."""
    conv = nn.ConvTranspose2d(before, after, KERNEL, stride=2, padding=2, output_padding=1, bias=False)
    return [conv, nn.BatchNorm2d(after), _activation(slope)]


def _full(before: int, after: int, slope: float) -> list[nn.Module]:
    return [nn.Linear(before, after, bias=False), nn.BatchNorm1d(after), _activation(slope)]


# ---- losses, as pure functions


def prior_loss(mean_ND: Tensor, log_variance_ND: Tensor) -> Tensor:
    """KL(q(z | image) || N(0, I)): summed over z, mean over the samples (Kingma & Welling 2014, appendix B)."""
    terms = mean_ND.square() + log_variance_ND.exp() - 1 - log_variance_ND
    return terms.sum(dim=1).mean() / 2


def similarity_loss(made_NCHW: Tensor, real_NCHW: Tensor) -> Tensor:
    """-log N(features of real | features of made, I), the constant left out: half the sum of squares (eq. 7).

    Summed over the features, mean over the samples. No gradient flows into the features of the real pictures.
    """
    return (made_NCHW - real_NCHW.detach()).square().flatten(1).sum(dim=1).mean() / 2


def real_cost(logits_N: Tensor) -> Tensor:
    """-log Dis(real), mean over the samples: log 2 where the discriminator cannot tell."""
    return F.softplus(-logits_N).mean()


def fake_cost(logits_N: Tensor) -> Tensor:
    """-log(1 - Dis(made)), mean over the samples."""
    return F.softplus(logits_N).mean()
