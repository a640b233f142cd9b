"""StarGAN's networks: sizes as published, outputs as an independent transcription has them, labels that matter."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from distill.errors import DistillError
from distill.networks.stargan import (
    CriticArchitecture,
    StarGANArchitecture,
    create_critic,
    create_generator,
)

State = dict[str, Tensor]


def parameters(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_networks_have_the_published_numbers_of_parameters() -> None:
    assert parameters(create_generator(StarGANArchitecture(attributes=5), seed=0)) == 8_430_528
    critic = CriticArchitecture(attributes=5, height=128, width_px=128)
    assert parameters(create_critic(critic, seed=0)) == 44_762_048


def test_tensors_have_the_public_names() -> None:
    generator = create_generator(StarGANArchitecture(attributes=2, width=2, blocks=2), seed=0)
    names = list(generator.state_dict())
    norm = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    assert names[:7] == ["main.0.weight", *(f"main.1.{part}" for part in norm), "main.3.weight"]
    assert next(name for name in names if name.startswith("main.9.")) == "main.9.main.0.weight"
    assert names[-1] == "main.17.weight"
    critic = create_critic(
        CriticArchitecture(attributes=2, height=16, width_px=24, width=2, layers=3), seed=0
    )
    assert list(critic.state_dict()) == [
        *(f"main.{n}.{part}" for n in (0, 2, 4) for part in ("weight", "bias")),
        "conv1.weight",
        "conv2.weight",
    ]
    assert critic.conv2.weight.shape == (2, 8, 2, 3)


def normed(x: Tensor, state: State, name: str) -> Tensor:
    mean = x.mean(dim=(2, 3), keepdim=True)
    variance = (x - mean).square().mean(dim=(2, 3), keepdim=True)
    scale, shift = (state[f"{name}.{part}"][None, :, None, None] for part in ("weight", "bias"))
    return (x - mean) / (variance + 1e-5).sqrt() * scale + shift


def transcribed_generator(state: State, images: Tensor, labels: Tensor, blocks: int) -> Tensor:
    """The paper's table 4, layer by layer, at the places of the public implementation."""
    planes = labels[:, :, None, None].repeat(1, 1, images.shape[2], images.shape[3])
    x = torch.cat([images, planes], dim=1)
    x = F.relu(normed(F.conv2d(x, state["main.0.weight"], padding=3), state, "main.1"))
    for place in (3, 6):
        x = F.conv2d(x, state[f"main.{place}.weight"], stride=2, padding=1)
        x = F.relu(normed(x, state, f"main.{place + 1}"))
    for place in range(9, 9 + blocks):
        y = F.conv2d(x, state[f"main.{place}.main.0.weight"], padding=1)
        y = F.relu(normed(y, state, f"main.{place}.main.1"))
        y = F.conv2d(y, state[f"main.{place}.main.3.weight"], padding=1)
        x = x + normed(y, state, f"main.{place}.main.4")
    for place in (9 + blocks, 12 + blocks):
        x = F.conv_transpose2d(x, state[f"main.{place}.weight"], stride=2, padding=1)
        x = F.relu(normed(x, state, f"main.{place + 1}"))
    return torch.tanh(F.conv2d(x, state[f"main.{15 + blocks}.weight"], padding=3))


def random_state(network: torch.nn.Module) -> State:
    """Scales and shifts that are not those of the start, so that each counts."""
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in network.parameters():
            tensor.add_(0.2 * torch.randn(tensor.shape, generator=random))
    return {name: tensor.detach() for name, tensor in network.state_dict().items()}


@pytest.mark.parametrize("training", [True, False])
def test_the_generator_draws_what_a_transcription_draws(training: bool) -> None:
    """In evaluation mode too: the public code translates by the statistics of each image."""
    network = create_generator(StarGANArchitecture(attributes=3, width=4, blocks=2), seed=0).double()
    state = random_state(network)
    random = torch.Generator().manual_seed(2)
    images = torch.rand(2, 3, 16, 24, generator=random, dtype=torch.float64) * 2 - 1
    labels = torch.tensor([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]], dtype=torch.float64)
    expected = transcribed_generator(state, images, labels, blocks=2)
    found = network.train(training)(images, labels)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    assert expected.std() > 0.1


def test_the_critic_scores_what_a_transcription_scores() -> None:
    sizes = CriticArchitecture(attributes=2, height=32, width_px=48, width=4, layers=3)
    network = create_critic(sizes, seed=0).double()
    state = random_state(network)
    random = torch.Generator().manual_seed(2)
    images = torch.rand(2, 3, 32, 48, generator=random, dtype=torch.float64) * 2 - 1
    x = images
    for place in (0, 2, 4):
        x = F.conv2d(x, state[f"main.{place}.weight"], state[f"main.{place}.bias"], stride=2, padding=1)
        x = torch.where(x > 0, x, 0.01 * x)
    scores = F.conv2d(x, state["conv1.weight"], padding=1)
    logits = torch.einsum("nchw,achw->na", x, state["conv2.weight"])
    found = network(images)
    torch.testing.assert_close(found[0], scores, rtol=0, atol=1e-12)
    torch.testing.assert_close(found[1], logits, rtol=0, atol=1e-12)
    assert scores.shape == (2, 1, 4, 6)


def test_labels_reach_the_picture() -> None:
    """They would not if borders were reflected: normalisation takes a constant plane away."""
    network = create_generator(StarGANArchitecture(attributes=1, width=8, blocks=2), seed=0)
    images = torch.zeros(2, 3, 32, 32)
    off, on = network(images, torch.tensor([[0.0], [1.0]]))
    assert (off - on).abs().max() > 0.01


def test_running_statistics_move_in_training_alone() -> None:
    network = create_generator(StarGANArchitecture(attributes=1, width=2, blocks=1), seed=0)
    images, labels = torch.rand(2, 3, 8, 8), torch.ones(2, 1)
    before = network.main[1].running_mean.clone()
    network.eval()(images, labels)
    assert torch.equal(network.main[1].running_mean, before)
    network.train()(images, labels)
    assert not torch.equal(network.main[1].running_mean, before)


def test_a_critic_tells_attributes_of_images_of_any_size() -> None:
    sizes = CriticArchitecture(attributes=3, height=32, width_px=32, width=2, layers=3)
    critic = create_critic(sizes, seed=0)
    large = F.interpolate(torch.rand(4, 3, 32, 32), scale_factor=2)
    assert critic.tell(large).shape == (4, 3)
    assert set(critic.tell(large).flatten().tolist()) <= {0.0, 1.0}


def test_a_critic_that_is_too_deep_for_its_images_is_refused() -> None:
    with pytest.raises(DistillError, match="images of 48x32 px are too small for a critic of 6 halvings"):
        create_critic(CriticArchitecture(attributes=1, height=32, width_px=48), seed=0)
    with pytest.raises(DistillError, match="images of 30x32 px do not fit the network: with 2 halvings"):
        StarGANArchitecture(attributes=1).check_sides(32, 30)
