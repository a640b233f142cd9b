"""Losses, penalties and layers of the trainer against known values and finite differences."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from distill.stylegan2.discriminator import Discriminator, blur_and_halve, minibatch_deviation
from distill.stylegan2.networks import GeneratorNetwork, GeneratorShape, standard_filter
from distill.training.average import average_decay, update_average
from distill.training.stylegan2.losses import (
    discriminator_loss,
    generator_loss,
    path_lengths,
    path_penalty,
    r1_penalty,
)
from distill.training.stylegan2.optimise import lazy_adam

CHANNELS = {4: 6, 8: 5, 16: 4}


def test_losses_at_known_logits() -> None:
    zero = torch.zeros(4)
    assert float(generator_loss(zero)) == pytest.approx(math.log(2))
    assert float(discriminator_loss(zero, zero)) == pytest.approx(2 * math.log(2))
    logit = torch.tensor([1.5])
    sigmoid = 1 / (1 + math.exp(-1.5))
    assert float(generator_loss(logit)) == pytest.approx(-math.log(sigmoid))
    assert float(discriminator_loss(zero[:1], logit)) == pytest.approx(math.log(2) - math.log(1 - sigmoid))


def test_r1_of_a_judge_with_known_gradient() -> None:
    weight = torch.randn(3, 4, 4)
    images = torch.randn(5, 3, 4, 4)
    linear = r1_penalty(lambda x: (x * weight).sum(dim=[1, 2, 3]), images)
    assert float(linear.detach()) == pytest.approx(float(weight.square().sum()), rel=1e-5)
    square = r1_penalty(lambda x: x.square().sum(dim=[1, 2, 3]), images)
    assert float(square.detach()) == pytest.approx(float(4 * images.square().sum() / 5), rel=1e-5)


def test_r1_of_the_discriminator_against_finite_differences() -> None:
    torch.manual_seed(0)
    judge = Discriminator({4: 3, 8: 3}, group=2).double()
    images = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    # Each logit hangs on the whole group: the sum over logits is what R1 differentiates.
    step, total = 1e-5, 0.0
    flat = images.reshape(-1)
    for i in range(len(flat)):
        shift = torch.zeros_like(flat)
        shift[i] = step
        with torch.no_grad():
            up, down = (judge((flat + s).reshape(images.shape)).sum() for s in (shift, -shift))
        total += float((up - down) / (2 * step)) ** 2
    assert float(r1_penalty(judge, images).detach()) == pytest.approx(total / 2, rel=1e-4)


def test_r1_trains_the_judge_by_the_right_gradient() -> None:
    weight = torch.randn(3, 4, 4, requires_grad=True)
    penalty = r1_penalty(lambda x: (x * weight).sum(dim=[1, 2, 3]), torch.randn(2, 3, 4, 4))
    (gradient,) = torch.autograd.grad(penalty, weight)
    assert torch.allclose(gradient, 2 * weight)


def test_path_length_of_a_linear_generator() -> None:
    """Image = A w for every layer's w: J^T y = A^T y, whatever w is."""
    torch.manual_seed(0)
    n, layers, width, side = 4, 3, 5, 6
    matrix = torch.randn(3 * side * side, width)
    ws = torch.randn(n, layers, width, requires_grad=True)
    images = (ws.sum(dim=1) @ matrix.t()).reshape(n, 3, side, side)
    direction = torch.randn(n, 3, side, side)
    expected = (direction.reshape(n, -1) @ matrix).norm(dim=1) / side
    assert torch.allclose(path_lengths(images, ws, direction), expected, rtol=1e-4)
    lengths = torch.tensor([1.0, 3.0])
    assert float(path_penalty(lengths, torch.tensor(2.0))) == pytest.approx(1.0)


def test_path_penalty_reaches_the_weights() -> None:
    shape = GeneratorShape(z_dim=4, w_dim=4, mapping_layers=1, channels={4: 4, 8: 4})
    network = GeneratorNetwork(shape)
    ws = network.mapping(torch.randn(2, 4))[:, None].repeat(1, shape.num_ws, 1)
    images = network.synthesis(ws, "none")
    path_penalty(path_lengths(images, ws, torch.randn_like(images)), torch.zeros([])).backward()
    assert float(network.get_parameter("synthesis.b8.conv0.weight").grad.abs().sum()) > 0  # type: ignore[union-attr]
    assert float(network.get_parameter("mapping.fc0.weight").grad.abs().sum()) > 0  # type: ignore[union-attr]


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_features_in_half_precision_draw_nearly_the_same(half: torch.dtype) -> None:
    torch.manual_seed(0)
    shape = GeneratorShape(z_dim=8, w_dim=8, mapping_layers=2, channels=CHANNELS)
    network = GeneratorNetwork(shape).requires_grad_(False)
    ws = torch.randn(2, shape.num_ws, 8)
    exact, fast = network.synthesis(ws, "none"), network.synthesis(ws, "none", half)
    assert fast.dtype == torch.float32
    assert float((fast - exact).abs().max()) < 0.1 * float(exact.abs().max())


def test_half_life_of_the_average() -> None:
    decay = average_decay(batch=32, half_life=3200, seen=10**9)
    assert decay**100 == pytest.approx(0.5)
    assert average_decay(batch=32, half_life=10_000, seen=0, ramp_up=0.05) == 0.0
    early = average_decay(batch=32, half_life=10_000, seen=2000, ramp_up=0.05)
    assert early == pytest.approx(0.5 ** (32 / 100))


def test_average_follows_parameters_and_copies_buffers() -> None:
    average, network = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    with torch.no_grad():
        average.weight.fill_(1.0)
        network.weight.fill_(3.0)
        network.running_mean.fill_(7.0)  # type: ignore[union-attr]
    for _ in range(4):
        update_average(average, network, 0.5**0.25)
    assert average.weight.tolist() == pytest.approx([2.0, 2.0])
    assert average.running_mean.tolist() == [7.0, 7.0]  # type: ignore[union-attr]


def test_average_follows_statistics_where_that_is_asked_for() -> None:
    average, network = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    network.running_mean.fill_(8.0)  # type: ignore[union-attr]
    network.num_batches_tracked.fill_(5)  # type: ignore[union-attr]
    for _ in range(4):
        update_average(average, network, 0.5**0.25, statistics=True)
    assert average.running_mean.tolist() == pytest.approx([4.0, 4.0])  # type: ignore[union-attr]
    assert int(average.num_batches_tracked) == 5  # type: ignore[arg-type]


def test_minibatch_deviation_of_known_groups() -> None:
    same = torch.full((2, 3, 4, 4), 5.0)
    split = torch.stack([torch.full((3, 4, 4), -1.0), torch.full((3, 4, 4), 1.0)])
    out = minibatch_deviation(torch.cat([same, split]), group=2)
    assert out.shape == (4, 4, 4, 4)
    assert out[:2, 3].max() == pytest.approx(1e-4)  # the root of EPS
    assert torch.allclose(out[2:, 3], torch.ones(2, 4, 4))


def test_groups_do_not_see_each_other() -> None:
    torch.manual_seed(0)
    judge = Discriminator(CHANNELS, group=2)
    images = torch.randn(4, 3, 16, 16)
    assert torch.allclose(judge(images)[:2], judge(images[:2]), atol=1e-6)


def test_fast_blur_is_the_filter_at_every_second_pixel() -> None:
    x = torch.randn(2, 3, 8, 8)
    kernel = standard_filter().expand(3, 1, -1, -1)
    assert torch.allclose(blur_and_halve(x), F.conv2d(x, kernel, padding=1, stride=2, groups=3), atol=1e-6)


def test_logits_start_with_moderate_spread() -> None:
    torch.manual_seed(0)
    logits = Discriminator({4: 64, 8: 64, 16: 64}, group=4)(torch.randn(16, 3, 16, 16))
    assert logits.shape == (16,)
    assert 0.05 < float(logits.detach().std()) < 5


def test_lazy_adam_scales_its_settings() -> None:
    group = lazy_adam(nn.Linear(2, 2), 0.0017, every=16, scaled=False).adam.param_groups[0]
    assert group["lr"] == pytest.approx(0.0016)
    assert group["betas"] == pytest.approx((0.0, 0.99 ** (16 / 17)))


def test_the_cheap_second_derivative_is_the_second_derivative() -> None:
    torch.manual_seed(0)
    judge = Discriminator(CHANNELS, group=2).double()
    images = torch.randn(4, 3, 16, 16, dtype=torch.float64, requires_grad=True)
    (plain,) = torch.autograd.grad(judge(images).sum(), images, create_graph=True)
    expected = torch.autograd.grad(plain.square().sum() / 4, list(judge.parameters()), allow_unused=True)
    found = torch.autograd.grad(r1_penalty(judge, images), list(judge.parameters()), allow_unused=True)
    for (name, _), a, b in zip(judge.named_parameters(), expected, found, strict=True):
        if a is not None and b is not None:
            assert torch.allclose(a, b, rtol=1e-8, atol=1e-12), name
        else:
            assert a is b or float((a if b is None else b).abs().max()) == 0, name  # type: ignore[union-attr]
