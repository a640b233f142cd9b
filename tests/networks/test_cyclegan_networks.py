"""The networks of CycleGAN: published sizes and names, and their outputs computed a second time, layer by layer."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from distill.errors import DistillError, UnsupportedCheckpoint
from distill.networks.patchgan import PatchDiscriminator, create_patch_discriminator
from distill.networks.pix2pixhd import Architecture, Norm, create
from distill.networks.pix2pixhd_files import read_generator

State = dict[str, Tensor]


def cyclegan(blocks: int, *, ngf: int = 64, norm: Norm = "instance") -> Architecture:
    return Architecture(inputs=3, ngf=ngf, downsamplings=2, blocks=blocks, norm=norm)


def pictures(side: int = 32, samples: int = 2) -> Tensor:
    return torch.rand(samples, 3, side, side, generator=torch.Generator().manual_seed(3)) * 2 - 1


def liven(network: torch.nn.Module) -> None:
    """Give every parameter a part in what comes out, and move the running statistics."""
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=random), alpha=0.2)
    network(pictures(64))


def published(network: torch.nn.Module, *, idle_biases: bool) -> State:
    """A state as the public code saves it: before batch normalisation its convolutions have no bias."""
    state = OrderedDict(network.state_dict())
    convolutions = [name for name, tensor in state.items() if tensor.ndim == 4]
    for name in [] if idle_biases else convolutions[:-1]:
        del state[name.replace("weight", "bias")]
    return state


def normalised(state: State, place: str, x: Tensor, norm: Norm) -> Tensor:
    if norm == "instance":
        mean, variance = x.mean(dim=(2, 3), keepdim=True), x.var(dim=(2, 3), keepdim=True, unbiased=False)
        return (x - mean) / (variance + 1e-5).sqrt()
    mean, variance, scale, shift = (
        state[f"{place}.{part}"][None, :, None, None]
        for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / (variance + 1e-5).sqrt() * scale + shift


def generated(state: State, x: Tensor, blocks: int, norm: Norm) -> Tensor:
    """c7s1-64, d128, d256, R256 × blocks, u128, u64, c7s1-3 (Zhu et al. 2017, appendix 7.2)."""

    def convolved(place: str, x: Tensor, **how: int) -> Tensor:
        return F.conv2d(x, state[f"{place}.weight"], state.get(f"{place}.bias"), **how)

    x = convolved("model.1", F.pad(x, (3, 3, 3, 3), mode="reflect"))
    x = F.relu(normalised(state, "model.2", x, norm))
    for place in (4, 7):
        x = convolved(f"model.{place}", x, stride=2, padding=1)
        x = F.relu(normalised(state, f"model.{place + 1}", x, norm))
    for block in range(10, 10 + blocks):
        y = convolved(f"model.{block}.conv_block.1", F.pad(x, (1, 1, 1, 1), mode="reflect"))
        y = F.relu(normalised(state, f"model.{block}.conv_block.2", y, norm))
        y = convolved(f"model.{block}.conv_block.5", F.pad(y, (1, 1, 1, 1), mode="reflect"))
        x = x + normalised(state, f"model.{block}.conv_block.6", y, norm)
    for place in (10 + blocks, 13 + blocks):
        weight, bias = state[f"model.{place}.weight"], state.get(f"model.{place}.bias")
        x = F.conv_transpose2d(x, weight, bias, stride=2, padding=1, output_padding=1)
        x = F.relu(normalised(state, f"model.{place + 1}", x, norm))
    return torch.tanh(convolved(f"model.{17 + blocks}", F.pad(x, (3, 3, 3, 3), mode="reflect")))


def judged(state: State, x: Tensor) -> Tensor:
    """C64, C128, C256, C512, and a score for each patch."""
    for place in (0, 2, 5, 8):
        stride = 1 if place == 8 else 2
        x = F.conv2d(
            x, state[f"model.{place}.weight"], state[f"model.{place}.bias"], stride=stride, padding=1
        )
        x = F.leaky_relu(normalised(state, "", x, "instance") if place else x, 0.2)
    return F.conv2d(x, state["model.11.weight"], state["model.11.bias"], padding=1)


@pytest.mark.parametrize(("blocks", "count"), [(9, 11_378_179), (6, 7_837_699)])
def test_generators_have_the_published_number_of_parameters(blocks: int, count: int) -> None:
    with torch.device("meta"):
        network = cyclegan(blocks).build()
    assert sum(p.numel() for p in network.parameters()) == count


def test_the_discriminator_has_the_published_size_and_names() -> None:
    with torch.device("meta"):
        network = PatchDiscriminator()
        scores = network(torch.empty(1, 3, 256, 256))
    assert sum(p.numel() for p in network.parameters()) == 2_764_737
    assert scores.shape == (1, 1, 30, 30)
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    assert shapes["model.0.weight"] == (64, 3, 4, 4)
    assert shapes["model.8.weight"] == (512, 256, 4, 4)
    assert shapes["model.11.weight"] == (1, 512, 4, 4)
    assert {name.rpartition(".")[0] for name in shapes} == {f"model.{place}" for place in (0, 2, 5, 8, 11)}


def test_a_patch_is_70_pixels_wide() -> None:
    """One score sees as much of the picture and no more."""
    network = create_patch_discriminator(seed=0, ndf=4, norm="batch").eval()
    x = pictures(128, 1).requires_grad_()
    network(x)[0, 0, 7, 7].backward()
    assert x.grad is not None
    seen = x.grad.abs().sum(dim=(0, 1)).nonzero()
    assert (seen.max(dim=0).values - seen.min(dim=0).values + 1).tolist() == [70, 70]


@pytest.mark.parametrize("norm", ["instance", "batch"])
@pytest.mark.parametrize("idle_biases", [True, False])
def test_published_files_compute_what_the_paper_says(norm: Norm, idle_biases: bool, tmp_path: Path) -> None:
    network = create(cyclegan(6, ngf=4, norm=norm), seed=0).train()
    liven(network)
    state = published(network, idle_biases=idle_biases or norm == "instance")
    torch.save(state, tmp_path / "latest_net_G_A.pth")
    file = read_generator(tmp_path / "latest_net_G_A.pth")
    assert file.architecture == cyclegan(6, ngf=4, norm=norm)
    with torch.inference_mode():
        found = file.network().double()(pictures().double())
        wanted = generated(
            {name: tensor.double() for name, tensor in state.items()}, pictures().double(), 6, norm
        )
    torch.testing.assert_close(found, wanted, atol=1e-8, rtol=1e-6)
    assert found.std() > 0.1


def test_a_file_that_lost_some_biases_is_refused(tmp_path: Path) -> None:
    state = published(create(cyclegan(6, ngf=4, norm="batch"), seed=0), idle_biases=True)
    del state["model.4.bias"]
    torch.save(state, tmp_path / "latest_net_G_A.pth")
    with pytest.raises(UnsupportedCheckpoint, match=r"1 tensors missing: model\.4\.bias"):
        read_generator(tmp_path / "latest_net_G_A.pth")


def test_the_discriminator_computes_what_the_paper_says() -> None:
    network = create_patch_discriminator(seed=0, ndf=4)
    liven(network)
    with torch.inference_mode():
        found = network(pictures(64))
    assert found.shape == (2, 1, 6, 6)
    assert found.std() > 0.1
    torch.testing.assert_close(found, judged(network.state_dict(), pictures(64)), atol=1e-5, rtol=1e-4)
    single = create_patch_discriminator(seed=0, ndf=4, single=True)
    single.load_state_dict(network.state_dict())
    torch.testing.assert_close(single(pictures(64))[:, 0, 0, 0], found.mean(dim=(1, 2, 3)))


def test_a_discriminators_file_is_told(tmp_path: Path) -> None:
    torch.save(create_patch_discriminator(seed=0, ndf=4).state_dict(), tmp_path / "latest_net_D_A.pth")
    with pytest.raises(
        UnsupportedCheckpoint, match=r"a discriminator; the generator is the file .*_net_G_A\.pth"
    ):
        read_generator(tmp_path / "latest_net_D_A.pth")


def test_pictures_too_small_for_the_discriminator_are_refused() -> None:
    network = create_patch_discriminator(seed=0, ndf=4)
    network.check_sides(24, 24)
    network(pictures(24))
    with pytest.raises(DistillError, match=r"images of 16x16 px are too small .* at least 24 px"):
        network.check_sides(16, 16)
