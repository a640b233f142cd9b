"""One update of a VAE/GAN: algorithm 1 computed a second time, who waits, the rate, half a run after another."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from distill.training.position import RunPosition
from distill.training.settings import changed
from distill.training.vaegan.settings import PRESETS, VAEGANSettings
from distill.training.vaegan.step import VAEGANStep

HEIGHT, WIDTH = 24, 16
TINY = VAEGANSettings(
    batch=4, height=HEIGHT, width=WIDTH, latent=6, channels=8, hidden=12, kimg=0.4, lr=1e-3, gamma=0.01
)
START = RunPosition(seed=0, updates=0, samples=0)


def a_step(**options: Any) -> VAEGANStep:
    return VAEGANStep(changed(TINY, options), seed=3)


def a_batch(seed: int = 0) -> Tensor:
    return torch.rand(4, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def algorithm_1(step: VAEGANStep, x: Tensor) -> tuple[dict[str, float], dict[str, Tensor]]:
    """Losses by name, and the gradient that each network goes down."""
    draw = torch.randn(2, 4, 6, generator=START.generator("latents"))
    encoder, decoder, discriminator = step.autoencoder.encoder, step.autoencoder.decoder, step.discriminator
    mu, log_variance = encoder(x)
    z = mu + torch.exp(log_variance / 2) * draw[0]
    made = decoder(torch.cat([z, draw[1]]))
    features, logits = discriminator(torch.cat([x, made]), step.settings.similarity_layer)
    p = torch.sigmoid(logits)
    gan = 2 * p[:4].log().mean() + (1 - p[4:8]).log().mean() + (1 - p[8:]).log().mean()
    kl = torch.distributions.kl_divergence(
        torch.distributions.Normal(mu, torch.exp(log_variance / 2)), torch.distributions.Normal(0.0, 1.0)
    )
    prior = kl.sum() / 4
    likeness = F.mse_loss(features[4:8], features[:4].detach(), reduction="sum") / 2 / 4
    away = -p[4:8].log().mean() - p[8:].log().mean()
    wish = away if step.settings.decoder_loss == "non-saturating" else gan
    # Dis goes up L_GAN, Dec down γ L_llike + L_GAN (where L_GAN is what the discriminator maximises).
    goals = {encoder: prior + likeness, decoder: 0.01 * likeness + wish, discriminator: -gan}
    wanted = {}
    for name, (network, goal) in zip(("e", "d", "j"), goals.items(), strict=True):
        gradients = torch.autograd.grad(goal, list(network.parameters()), retain_graph=True)
        wanted |= {f"{name}.{n}": g for (n, _), g in zip(network.named_parameters(), gradients, strict=True)}
    losses = {
        "loss_prior": prior,
        "loss_similarity": likeness,
        "loss_g": goals[decoder],
        "loss_d": -gan,
        "cost_real": -p[:4].log().mean(),
        "cost_fake": -(1 - p[4:]).log().mean(),
        "cost_rebuilt": -(1 - p[4:8]).log().mean(),
        "cost_sampled": -(1 - p[8:]).log().mean(),
    }
    return {name: float(value.detach()) for name, value in losses.items()}, wanted


def first_gradients(step: VAEGANStep) -> dict[str, Tensor]:
    """What the first update went down by, out of RMSProp's mean square: a tenth of its square."""
    return {
        f"{key}.{name}": (10 * optimiser.rule.state[parameter]["square_avg"]).sqrt()
        for key, (kind, optimiser) in zip(("e", "d", "j"), step.optimisers.items(), strict=True)
        for name, parameter in step._trained()[kind].named_parameters()
    }


@pytest.mark.parametrize(("decoder_loss", "layer"), [("minimax", 4), ("non-saturating", 4), ("minimax", 2)])
def test_an_update_is_that_of_the_paper(decoder_loss: str, layer: int) -> None:
    ours = a_step(decoder_loss=decoder_loss, similarity_layer=layer)
    losses, wanted = algorithm_1(copy.deepcopy(ours), a_batch())
    before = copy.deepcopy(ours.autoencoder.decoder.layers[0].weight)
    found = ours.update(a_batch(), START)
    assert found.keys() == {*losses, "decoder_moved", "discriminator_moved", "lr"}
    for name, value in losses.items():
        assert float(found[name]) == pytest.approx(value, rel=1e-4), name
    gradients = first_gradients(ours)
    assert gradients.keys() == wanted.keys()
    for name, gradient in wanted.items():
        atol = 1e-3 * float(gradient.abs().max()) + 1e-6
        torch.testing.assert_close(gradients[name], gradient.abs(), atol=atol, rtol=1e-3, msg=name)
    moved = (ours.autoencoder.decoder.layers[0].weight - before) * wanted["d.layers.0.weight"]
    assert (moved < 0).float().mean() > 0.95  # down, not up


@pytest.mark.parametrize(
    ("costs", "moves"),
    [
        ((0.68, 0.68), (True, True)),
        ((0.30, 0.68), (True, False)),  # pictures are told too well
        ((0.68, 0.30), (True, False)),
        ((1.10, 0.68), (False, True)),  # pictures are taken for made ones
        ((0.68, 1.10), (False, True)),
        ((1.10, 0.30), (True, True)),  # both ahead: nobody waits
    ],
)
def test_who_is_far_ahead_waits(costs: tuple[float, float], moves: tuple[bool, bool]) -> None:
    found = {name: torch.tensor(cost) for name, cost in zip(("cost_real", "cost_fake"), costs, strict=True)}
    waits = a_step()._who_moves(found)
    assert (waits["decoder"], waits["discriminator"]) == moves
    assert all(a_step(margin="none")._who_moves(found).values())


def test_the_mean_of_both_costs_may_tell_who_is_ahead() -> None:
    step = a_step(guard="mean")
    for real, fake, moves in ((0.1, 1.2, (True, True)), (0.1, 0.5, (True, False)), (1.0, 1.2, (False, True))):
        found = {"cost_real": torch.tensor(real), "cost_fake": torch.tensor(fake)}
        assert tuple(step._who_moves(found).values()) == moves


@pytest.mark.parametrize(("equilibrium", "waiting"), [(0.01, "decoder"), (50.0, "discriminator")])
def test_a_network_that_waits_stays_as_it_is(equilibrium: float, waiting: str) -> None:
    step = a_step(equilibrium=equilibrium, margin=0.001)
    before = {name: copy.deepcopy(network.state_dict()) for name, network in step._trained().items()}
    report = step.update(a_batch(), START)
    assert report[f"{waiting}_moved"] == 0
    for name, network in step._trained().items():
        same = all(torch.equal(before[name][key], p) for key, p in network.named_parameters())
        assert same == (name == waiting), name
        assert all(p.grad is None for p in network.parameters())


def test_the_rate_falls_by_a_power_of_the_part_of_the_run() -> None:
    settings = PRESETS["paper"]
    assert settings.rate(0) == pytest.approx(0.025 / 64)
    assert settings.rate(2_000_000) == pytest.approx((0.025 - 0.5**0.75 * (0.025 - 1e-5)) / 64)
    assert settings.rate(4_000_000) == settings.rate(5_000_000) == pytest.approx(1e-5 / 64)


def test_reconstructions_come_closer_under_a_discriminator_that_waits() -> None:
    step, losses = a_step(equilibrium=50.0, margin=0.001, gamma=1.0), []
    for number in range(40):
        losses.append(
            float(
                step.update(a_batch(), RunPosition(seed=0, updates=number, samples=4 * number))[
                    "loss_similarity"
                ]
            )
        )
    assert min(losses[-5:]) < 0.7 * losses[0]


def test_a_state_goes_on_from_anywhere() -> None:
    step, place = a_step(average_kimg=0.01, clip=50.0), START
    for number in range(6):
        step.update(a_batch(number), place)
        place = place.next(4)
    later = a_step(average_kimg=0.01, clip=50.0)
    later.load_state(copy.deepcopy(step.state()))
    for one in (step, later):
        one.update(a_batch(99), place)
    for name in ("autoencoder", "discriminator", "average"):
        for key, tensor in getattr(step, name).state_dict().items():
            assert torch.equal(getattr(later, name).state_dict()[key], tensor), (name, key)


def test_what_is_kept_is_the_average_where_that_is_asked_for() -> None:
    assert (last := a_step()).average is last.autoencoder
    step = a_step(average_kimg=0.01)
    for number in range(6):
        step.update(a_batch(number), RunPosition(seed=0, updates=number, samples=10 * number))
    z = torch.zeros(2, 6)
    assert not torch.equal(step.decode(z), step.autoencoder.decoder(z))
    assert torch.equal(step.decode(z), step.average.decoder(z))
    assert step.autoencoder.training
    assert not step.average.training
