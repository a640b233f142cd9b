"""One update of a StarGAN: losses, gradients and order of the public implementation, computed a second time."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from distill.training.position import RunPosition
from distill.training.settings import changed
from distill.training.stargan.settings import StarGANSettings
from distill.training.stargan.step import StarGANStep

SIDE = 16
TINY = StarGANSettings(
    attributes=("a=yes", "b=yes"),
    batch=4,
    width=4,
    blocks=1,
    d_width=4,
    d_layers=2,
    n_critic=1,
    lr=1e-3,
    constant_updates=10,
    decay_updates=10,
)
START = RunPosition(seed=0, updates=0, samples=0)


def a_step(half: torch.dtype = torch.float32, **options: Any) -> StarGANStep:
    settings = changed(TINY, options)
    return StarGANStep(settings, settings.architecture(), settings.critic(SIDE, SIDE), seed=3, half=half)


def a_batch(seed: int = 0) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    labels = torch.tensor([[1.0, 0.0], [0.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    images = torch.rand(4, 3, SIDE, SIDE, generator=random) - labels[:, :1, None, None]
    return images, labels


def published_update(step: StarGANStep, x: Tensor, c: Tensor) -> tuple[dict[str, float], dict[str, Tensor]]:
    """The critic first, then the generator against the critic as it is after its step."""
    G, D = step.generator, step.critic
    order = torch.randperm(4, generator=START.generator("targets"))
    alpha = torch.rand(4, 1, 1, 1, generator=START.generator("penalty"))
    target = c[order]
    fake = G(x, target).detach()
    scores, logits = D(x)
    between = (alpha * x + (1 - alpha) * fake).requires_grad_(True)
    out, _ = D(between)
    (slope,) = torch.autograd.grad(out, between, torch.ones_like(out), create_graph=True)
    found = {
        "loss_d_gan": D(fake)[0].mean() - scores.mean(),
        "loss_d_class": F.binary_cross_entropy_with_logits(logits, c, reduction="sum") / 4,
        "loss_penalty": 10 * ((slope.reshape(4, -1).square().sum(dim=1).sqrt() - 1) ** 2).mean(),
    }
    found["loss_d"] = sum(found.values())
    D.zero_grad()
    found["loss_d"].backward()
    wanted = {f"d.{name}": p.grad.clone() for name, p in D.named_parameters()}
    adam = torch.optim.Adam(D.parameters(), 1e-3, (0.5, 0.999))
    adam.step()
    fake = G(x, target)
    scores, logits = D(fake)
    found["loss_gan"] = -scores.mean()
    found["loss_class"] = F.binary_cross_entropy_with_logits(logits, target, reduction="sum") / 4
    found["loss_cycle"] = 10 * F.l1_loss(G(fake, c), x)
    found["loss_g"] = found["loss_gan"] + found["loss_class"] + found["loss_cycle"]
    G.zero_grad()
    found["loss_g"].backward()
    wanted |= {f"g.{name}": p.grad.clone() for name, p in G.named_parameters()}
    return {name: float(value.detach()) for name, value in found.items()}, wanted


def first_gradients(step: StarGANStep) -> dict[str, Tensor]:
    """What the first update went down by, out of Adam's first moment: 0.5 of it."""
    both = {"g": (step.generator, step.g_optimiser), "d": (step.critic, step.d_optimiser)}
    return {
        f"{key}.{name}": 2 * optimiser.rule.state[parameter]["exp_avg"]
        for key, (network, optimiser) in both.items()
        for name, parameter in network.named_parameters()
    }


def test_an_update_is_the_published_one() -> None:
    ours = a_step()
    losses, wanted = published_update(copy.deepcopy(ours), *a_batch())
    found = ours.update(a_batch(), START)
    assert found.keys() == {*losses, "lr"}
    for name, value in losses.items():
        assert float(found[name]) == pytest.approx(value, rel=1e-4), name
    gradients = first_gradients(ours)
    assert gradients.keys() == wanted.keys()
    for name, gradient in wanted.items():
        atol = 2e-3 * float(gradient.abs().max()) + 1e-6
        torch.testing.assert_close(gradients[name], gradient, atol=atol, rtol=2e-3, msg=name)


def test_the_generator_learns_at_every_fifth_update_of_the_critic() -> None:
    step, place = a_step(n_critic=5), START
    for number in range(10):
        before = [copy.deepcopy(network.state_dict()) for network in (step.generator, step.critic)]
        report = step.update(a_batch(number), place)
        fifth = number in (4, 9)
        assert ("loss_g" in report) == fifth
        after = [network.state_dict() for network in (step.generator, step.critic)]
        same = [
            all(torch.equal(b[name], a[name]) for name in b if "running" not in name)
            for b, a in zip(before, after, strict=True)
        ]
        assert same == [not fifth, False]
        place = place.next(4)


def test_the_learning_rate_falls_over_the_last_updates() -> None:
    step = a_step()
    rates = [
        float(step.update(a_batch(), RunPosition(seed=0, updates=n, samples=4 * n))["lr"])
        for n in (0, 10, 15)
    ]
    assert rates == pytest.approx([1e-3, 1e-3, 5e-4])


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_half_precision_learns_and_a_state_goes_on_from_anywhere(half: torch.dtype) -> None:
    options = {"average_kimg": 0.01, "n_critic": 2}
    step, place, losses = a_step(half, **options), START, []
    for number in range(24):
        report = step.update(a_batch(number), place)
        if "loss_cycle" in report:
            losses.append(float(report["loss_cycle"]))
        place = place.next(4)
    assert losses[-1] < losses[0]
    assert all(p.dtype == torch.float32 for p in step.generator.parameters())
    later = a_step(half, **options)
    later.load_state(copy.deepcopy(step.state()))
    for one in (step, later):
        one.update(a_batch(98), place)
        one.update(a_batch(99), place.next(4))
    for name in ("generator", "critic", "average"):
        for key, tensor in getattr(step, name).state_dict().items():
            assert torch.equal(getattr(later, name).state_dict()[key], tensor), (name, key)


def test_what_is_kept_is_the_average_where_that_is_asked_for() -> None:
    assert (last := a_step()).average is last.generator
    step = a_step(average_kimg=0.1)
    for number in range(6):
        step.update(a_batch(number), RunPosition(seed=0, updates=number, samples=4 * number))
    x, c = a_batch()
    assert not torch.equal(step.translate(x, c), step.generator(x, c))
    assert torch.equal(step.translate(x, c), step.average(x, c))
    assert step.generator.training
