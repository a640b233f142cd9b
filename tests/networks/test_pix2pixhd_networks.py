"""The networks against recorded results of the public implementation, and what training asks of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from distill.errors import DistillError
from distill.networks.pix2pixhd import (
    Architecture,
    GlobalGenerator,
    LocalEnhancer,
    MultiscaleDiscriminator,
    ResidualBlock,
    create,
    create_discriminator,
)

GOLDEN = Path(__file__).parents[1] / "golden"
ARCHITECTURES = {
    "global": Architecture(inputs=6, ngf=4, downsamplings=4, blocks=9),
    "local": Architecture(inputs=6, ngf=4, downsamplings=3, blocks=2, enhancers=1, local_blocks=2),
}
SMALL = Architecture(inputs=6, ngf=4, downsamplings=2, blocks=2)
SMALL_LOCAL = Architecture(inputs=3, ngf=4, downsamplings=1, blocks=1, enhancers=2, local_blocks=1)


def recorded(name: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The state and the other tensors of a golden file."""
    with np.load(GOLDEN / f"pix2pixhd_{name}.npz") as data:
        tensors = {key: torch.from_numpy(data[key]) for key in data.files}
    state = {key.removeprefix("state/"): tensors[key] for key in tensors if key.startswith("state/")}
    return state, {key: tensors[key] for key in tensors if not key.startswith("state/")}


def images(side: int = 32, *, channels: int = 6, samples: int = 2) -> Tensor:
    return torch.rand(samples, channels, side, side, generator=torch.Generator().manual_seed(3)) * 2 - 1


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_generators_reproduce_the_public_implementation(
    name: str, memory_format: torch.memory_format
) -> None:
    state, found = recorded(name)
    network = ARCHITECTURES[name].build().eval()
    network.load_state_dict(state, strict=True)
    with torch.inference_mode():
        y = network.to(memory_format=memory_format)(found["x"].contiguous(memory_format=memory_format))
    assert (y - found["y"]).abs().max() < 1e-4


def test_the_discriminator_reproduces_the_public_implementation() -> None:
    state, found = recorded("discriminator")
    network = MultiscaleDiscriminator(9, ndf=8, layers=3, scales=2)
    network.load_state_dict(state, strict=True)
    with torch.inference_mode():
        scales = network(found["x"])
    assert [len(features) for features in scales] == [5, 5]
    for i, features in enumerate(scales):
        for j, feature in enumerate(features):
            assert (feature - found[f"y{i}_{j}"]).abs().max() < 1e-4, (i, j)


def test_real_and_fake_in_one_pass_are_those_of_two() -> None:
    network = create_discriminator(6, seed=0, ndf=4, layers=2)
    a, b = images(32), images(32).flip(3)
    together, apart = network(torch.cat([a, b])), (network(a), network(b))
    for i, features in enumerate(together):
        for j, feature in enumerate(features):
            assert torch.allclose(feature, torch.cat([apart[0][i][j], apart[1][i][j]]), atol=1e-5)


@pytest.mark.parametrize("architecture", [SMALL, SMALL_LOCAL], ids=["global", "local"])
def test_recomputing_the_blocks_gives_the_same_gradients_from_fewer_kept_tensors(
    architecture: Architecture,
) -> None:
    network, x = create(architecture, seed=1), images(channels=architecture.inputs)
    gradients, kept = [], []
    for lean in (False, True):
        sizes: list[int] = []

        def keep(tensor: Tensor, sizes: list[int] = sizes) -> Tensor:
            sizes.append(tensor.numel())
            return tensor

        network.zero_grad()
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            network(x, lean=lean).square().mean().backward()
        kept.append(sum(sizes))
        gradients.append([parameter.grad.clone() for parameter in network.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))
    assert kept[1] < kept[0]


@pytest.mark.parametrize("shared", [False, True], ids=["one process", "several"])
def test_recomputing_the_blocks_counts_a_batch_once(shared: bool) -> None:
    """Running statistics are those of one forward pass."""
    states = []
    for lean in (False, True):
        network = create(replace(SMALL, norm="batch"), seed=1)
        if shared:
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
        network(images(), lean=lean).square().mean().backward()
        states.append({name: b for name, b in network.named_buffers() if b.is_floating_point()})
        assert {m.momentum for m in network.modules() if hasattr(m, "momentum")} == {0.1}
    assert all(torch.equal(states[1][name], tensor) for name, tensor in states[0].items())


def test_half_precision_keeps_the_image_in_float32() -> None:
    network, x = create(SMALL, seed=1), images()
    with torch.inference_mode():
        full = network(x)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = network(x.contiguous(memory_format=torch.channels_last))
    assert half.dtype == torch.float32
    assert (half - full).abs().mean() < 0.02


def test_start_values_follow_the_seed_and_not_the_global_state() -> None:
    a = create(ARCHITECTURES["global"], seed=5).state_dict()
    torch.rand(3)
    b = create(ARCHITECTURES["global"], seed=5).state_dict()
    other = create(ARCHITECTURES["global"], seed=6).state_dict()
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not torch.equal(a["model.1.weight"], other["model.1.weight"])
    weights = torch.cat([tensor.flatten() for name, tensor in a.items() if name.endswith("weight")])
    assert weights.mean().abs() < 1e-3
    assert weights.std() == pytest.approx(0.02, rel=0.02)
    assert all(not tensor.any() for name, tensor in a.items() if name.endswith("bias"))


def test_the_published_size() -> None:
    with torch.device("meta"):
        generator, discriminator = Architecture(inputs=3).build(), MultiscaleDiscriminator(6)
    assert isinstance(generator, GlobalGenerator)
    assert sum(p.numel() for p in generator.parameters()) == pytest.approx(182.4e6, rel=0.01)
    assert sum(p.numel() for p in discriminator.parameters()) == pytest.approx(5.53e6, rel=0.01)
    assert sum(isinstance(layer, ResidualBlock) for layer in generator.model) == 9


def test_several_enhancers() -> None:
    network = create(SMALL_LOCAL, seed=0)
    assert isinstance(network, LocalEnhancer)
    assert network(images(32, channels=3)).shape == (2, 3, 32, 32)
    assert {name.partition(".")[0] for name in network.state_dict()} == {
        "model", "model1_1", "model1_2", "model2_1", "model2_2",
    }  # fmt: skip


def test_sizes_and_channels_that_do_not_fit_are_refused_with_their_numbers() -> None:
    architecture = ARCHITECTURES["global"]
    architecture.check_sides(64, 96)
    architecture.check_inputs(6)
    with pytest.raises(DistillError, match=r"100x64 px.*multiples of 16 px, and at least 32"):
        architecture.check_sides(64, 100)
    with pytest.raises(DistillError, match="at least 32"):
        architecture.check_sides(16, 16)
    with pytest.raises(
        DistillError, match=r"takes 6 input channels \(2 images\), the images have 3 \(1 image\)"
    ):
        architecture.check_inputs(3)


def test_batch_normalisation_lets_the_network_see_how_bright_an_image_is() -> None:
    """Instance normalisation takes it away: to shift all of an input's colours changes nothing."""
    x = images(16) * 0.5
    for norm, sees in (("instance", False), ("batch", True)):
        network = create(replace(SMALL, norm=norm), seed=0)
        for _ in range(50):
            network(x)  # moves the running statistics
        with torch.inference_mode():
            dark, bright = network.eval()(x), network(x + 0.3)
        assert bool((dark - bright).abs().max() > 1e-3) == sees


def test_start_values_of_batch_normalisation() -> None:
    network = create(replace(SMALL, norm="batch"), seed=5)
    state = network.state_dict()
    scales = torch.cat([state[name] for name in state if name.endswith("weight") and state[name].ndim == 1])
    assert scales.mean() == pytest.approx(1, abs=0.01)
    assert scales.std() == pytest.approx(0.02, rel=0.3)
    assert all(bool((state[name] == 1).all()) for name in state if name.endswith("running_var"))
    assert all(not state[name].any() for name in state if name.endswith("running_mean"))
