"""The networks of VAE/GAN: sizes counted by hand from both tables, and a forward pass written a second time."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from distill.errors import DistillError
from distill.networks.vaegan import (
    VAEGANAutoencoder,
    VAEGANDiscriminator,
    VAEGANShape,
    create_vaegan,
    fake_cost,
    prior_loss,
    real_cost,
    similarity_loss,
)

PAPER = VAEGANShape()
SEED001 = VAEGANShape(height=256, width=128, hidden=1024, slope=0.2)
SMALL = VAEGANShape(height=24, width=16, latent=5, channels=8, hidden=12, slope=0.2)


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def conv(before: int, after: int) -> int:
    """5x5 without bias, and a scale and a shift of each channel."""
    return 25 * before * after + 2 * after


def counted(places: int, encoder_full: int, latent: int) -> tuple[int, int, int]:
    """Parameters of encoder, decoder and discriminator; `places` are left after three halvings."""
    encoder = conv(3, 64) + conv(64, 128) + conv(128, 256)
    encoder += places * 256 * encoder_full + 2 * encoder_full + 2 * (encoder_full * latent + latent)
    decoder = latent * places * 256 + 2 * places * 256
    decoder += conv(256, 256) + conv(256, 128) + conv(128, 32) + 25 * 32 * 3 + 3
    discriminator = 25 * 3 * 32 + 32 + conv(32, 128) + conv(128, 256) + conv(256, 256)
    discriminator += places * 256 * 512 + 2 * 512 + 512 + 1
    return encoder, decoder, discriminator


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [
        (PAPER, counted(8 * 8, 2048, 128)),
        (SEED001, counted(32 * 16, 1024, 128)),
        (VAEGANShape(latent=256), counted(8 * 8, 2048, 256)),
    ],
)
def test_both_tables_have_these_sizes(shape: VAEGANShape, wanted: tuple[int, int, int]) -> None:
    with torch.device("meta"):
        autoencoder, discriminator = VAEGANAutoencoder(shape), VAEGANDiscriminator(shape)
    networks = (autoencoder.encoder, autoencoder.decoder, discriminator)
    assert tuple(map(parameters, networks)) == wanted
    x = torch.empty(3, 3, shape.height, shape.width, device="meta")
    assert [len(part) for part in autoencoder.encoder(x)] == [3, 3]
    assert autoencoder(x).shape == x.shape
    features, logits = discriminator(x)
    assert (features.shape, logits.shape) == ((3, 256, shape.height // 8, shape.width // 8), (3,))


def test_the_numbers_of_the_tables() -> None:
    """35.1, 4.7 and 11.0 million for 64 px; 135.5, 19.6 and 69.7 for 128x256 px."""
    assert counted(8 * 8, 2048, 128) == (35_112_768, 4_693_155, 10_953_857)
    assert counted(32 * 16, 1024, 128) == (135_511_872, 19_602_595, 69_674_113)


class Transcription:
    """The tables as functions of a state, at rest."""

    def __init__(self, network: nn.Module, prefix: str, slope: float) -> None:
        self.state, self.prefix, self.slope = network.state_dict(), prefix, slope

    def at(self, name: str) -> Tensor:
        return self.state[f"{self.prefix}{name}"]

    def normalised(self, x: Tensor, name: str) -> Tensor:
        sides = [1, -1, *[1] * (x.ndim - 2)]
        mean, variance, scale, shift = (
            self.at(f"{name}.{part}").view(sides)
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return self.active((x - mean) / (variance + 1e-5).sqrt() * scale + shift)

    def active(self, x: Tensor) -> Tensor:
        return torch.maximum(x, self.slope * x)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        for layer in (0, 3, 6):
            padded = F.pad(x, (2, 2, 2, 2))
            x = self.normalised(
                F.conv2d(padded, self.at(f"layers.{layer}.weight"), stride=2), f"layers.{layer + 1}"
            )
        x = self.normalised(x.flatten(1) @ self.at("layers.10.weight").T, "layers.11")
        return tuple(x @ self.at(f"{n}.weight").T + self.at(f"{n}.bias") for n in ("mean", "log_variance"))  # type: ignore[return-value]

    def decode(self, z: Tensor, rows: int, columns: int) -> Tensor:
        x = self.normalised(z @ self.at("layers.0.weight").T, "layers.1").view(len(z), -1, rows, columns)
        for layer in (4, 7, 10):
            # A transposed convolution: zeros between the pixels, then the kernel turned round.
            wide = torch.zeros(*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3])
            wide[:, :, ::2, ::2] = x
            kernel = self.at(f"layers.{layer}.weight").flip(2, 3).transpose(0, 1)
            x = self.normalised(F.conv2d(wide, kernel, padding=2), f"layers.{layer + 1}")
        return torch.tanh(F.conv2d(x, self.at("layers.13.weight"), self.at("layers.13.bias"), padding=2))

    def judge(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.active(F.conv2d(x, self.at("features.0.weight"), self.at("features.0.bias"), padding=2))
        for layer in (2, 5):
            x = F.conv2d(x, self.at(f"features.{layer}.weight"), stride=2, padding=2)
            x = self.normalised(x, f"features.{layer + 1}")
        features = F.conv2d(x, self.at("features.8.weight"), stride=2, padding=2)
        x = self.normalised(features, "judge.0").flatten(1)
        x = self.normalised(x @ self.at("judge.3.weight").T, "judge.4")
        return features, (x @ self.at("judge.6.weight").T + self.at("judge.6.bias"))[:, 0]


def shaken(network: nn.Module) -> nn.Module:
    """Give normalisation statistics and scales that are not those of a new network."""
    random = torch.Generator().manual_seed(4)
    for name, tensor in network.state_dict().items():
        if tensor.ndim == 1:
            tensor.uniform_(0.5, 1.5, generator=random) if "mean" not in name else tensor.uniform_(
                -0.3, 0.3, generator=random
            )
    return network.eval()


@pytest.mark.parametrize("shape", [SMALL, VAEGANShape(height=16, width=16, latent=3, channels=4, hidden=7)])
def test_a_forward_pass_is_that_of_the_tables(shape: VAEGANShape) -> None:
    autoencoder, discriminator = map(shaken, create_vaegan(shape, seed=1))
    assert isinstance(autoencoder, VAEGANAutoencoder)
    x = torch.rand(3, 3, shape.height, shape.width, generator=torch.Generator().manual_seed(0)) * 2 - 1
    mean, log_variance = Transcription(autoencoder, "encoder.", shape.slope).encode(x)
    drawn = Transcription(autoencoder, "decoder.", shape.slope).decode(mean, *shape.inner)
    features, logits = Transcription(discriminator, "", shape.slope).judge(x)
    torch.testing.assert_close(autoencoder.encoder(x), (mean, log_variance), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(autoencoder(x), drawn, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(discriminator(x), (features, logits), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("layer", "channels", "halvings"), [(1, 4, 0), (2, 16, 1), (3, 32, 2), (4, 32, 3)])
def test_pictures_may_be_compared_by_an_earlier_convolution(layer: int, channels: int, halvings: int) -> None:
    discriminator = create_vaegan(SMALL, seed=1)[1].eval()
    seen: list[Tensor] = []
    convolutions = [module for module in discriminator.features if isinstance(module, nn.Conv2d)]
    convolutions[layer - 1].register_forward_hook(lambda module, given, result: seen.append(result.clone()))
    x = torch.rand(3, 3, 24, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    features, logits = discriminator(x, layer)
    assert features.shape == (3, channels, 24 >> halvings, 16 >> halvings)
    assert torch.equal(features, seen[0])
    torch.testing.assert_close(logits, discriminator(x)[1])


def test_the_seed_alone_decides_a_new_network() -> None:
    one, other, third = (create_vaegan(SMALL, seed=seed) for seed in (3, 3, 4))
    for a, b, c in zip(one, other, third, strict=True):
        states = [network.state_dict() for network in (a, b, c)]
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
        assert any(not torch.equal(states[0][name], states[2][name]) for name in states[0])


def test_means_of_attributes_move_what_is_decoded() -> None:
    network, _ = create_vaegan(SMALL, seed=0)
    on, off = torch.randn(2, 2, 5, generator=torch.Generator().manual_seed(0))
    edited = network.with_means(on, off)
    torch.testing.assert_close(edited.directions, on - off)
    x = torch.zeros(2, 3, 24, 16)
    plain = edited(x)
    torch.testing.assert_close(plain, network.eval()(x))
    edited.shift = edited.directions[1]
    torch.testing.assert_close(edited(x), edited.decoder(edited.encoder(x)[0] + on[1] - off[1]))
    assert (edited(x) - plain).abs().max() > 1e-3
    assert "shift" not in edited.state_dict()


def test_losses_by_hand() -> None:
    """KL of N(1, e^0) and of N(0, e^2) from N(0, 1); half a sum of squares; -log of the odds."""
    mean, log_variance = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    e2 = float(torch.tensor(2.0).exp())
    assert float(prior_loss(mean, log_variance)) == pytest.approx(0.5 + (e2 - 1 - 2) / 2)
    made = torch.tensor([[1.0, 2.0], [0.0, 0.0]]).view(2, 2, 1, 1)
    real = torch.tensor([[0.0, 0.0], [0.0, 3.0]]).view(2, 2, 1, 1).requires_grad_()
    assert float(similarity_loss(made, real)) == pytest.approx((5 / 2 + 9 / 2) / 2)
    assert not similarity_loss(made, real).requires_grad
    logits = torch.tensor([0.0, 2.0])
    assert float(real_cost(logits)) == pytest.approx(float(-torch.sigmoid(logits).log().mean()))
    assert float(fake_cost(logits)) == pytest.approx(float(-(1 - torch.sigmoid(logits)).log().mean()))


@pytest.mark.parametrize(("height", "width"), [(60, 64), (64, 60), (8, 8)])
def test_sides_that_do_not_fit_are_one_line(height: int, width: int) -> None:
    with pytest.raises(
        DistillError, match=f"pictures of {width}×{height} px.*multiples of 8 px, and at least 16"
    ):
        create_vaegan(VAEGANShape(height=height, width=width), seed=0)
