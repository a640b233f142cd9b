"""One update of a CycleGAN: losses, gradients and order of the public implementation, computed a second time."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from distill.training.cyclegan.settings import CycleGANSettings
from distill.training.cyclegan.step import CycleGANStep
from distill.training.position import RunPosition
from distill.training.schedule import Schedule
from distill.training.settings import changed

SIDE = 32
TINY = CycleGANSettings(batch=2, ngf=4, downsamplings=1, blocks=1, ndf=4, d_layers=2, pool=0, augment=())
START = RunPosition(seed=0, updates=0, samples=0)


def a_step(half: torch.dtype = torch.float32, **options: Any) -> CycleGANStep:
    settings = changed(TINY, options)
    schedule = Schedule(lr=1e-3, constant=40, decay=40)
    return CycleGANStep(
        settings, settings.architecture(SIDE), schedule, sides=(SIDE, SIDE), seed=3, half=half
    )


def a_batch(seed: int = 0) -> tuple[Tensor, Tensor]:
    """Dark pictures and bright ones."""
    random = torch.Generator().manual_seed(seed)
    a, b = (torch.rand(2, 3, SIDE, SIDE, generator=random) for _ in range(2))
    return a - 1, b


def published_update(step: CycleGANStep, a: Tensor, b: Tensor) -> tuple[dict[str, float], dict[str, Tensor]]:
    """Generators first, with λ 10 and identity 0.5; then each discriminator on half its loss."""
    to_b, to_a = step.generators["a2b"], step.generators["b2a"]
    of_a, of_b = step.discriminators["a"], step.discriminators["b"]
    fake_b, fake_a = to_b(a), to_a(b)
    scores = [of_b(fake_b), of_a(fake_a)]
    found = {
        "loss_gan": sum(F.mse_loss(score, torch.ones_like(score)) for score in scores),
        "loss_cycle": 10 * F.l1_loss(to_a(fake_b), a) + 10 * F.l1_loss(to_b(fake_a), b),
        "loss_identity": 0.5 * 10 * (F.l1_loss(to_b(b), b) + F.l1_loss(to_a(a), a)),
    }
    found["loss_g"] = found["loss_gan"] + found["loss_cycle"] + found["loss_identity"]
    step.generators.zero_grad()
    found["loss_g"].backward()
    wanted = {f"g.{name}": p.grad.clone() for name, p in step.generators.named_parameters()}
    step.discriminators.zero_grad()
    found["loss_d"] = torch.zeros(())
    for judge, real, fake in ((of_a, a, fake_a), (of_b, b, fake_b)):
        on_real, on_fake = judge(real), judge(fake.detach())
        half = F.mse_loss(on_real, torch.ones_like(on_real)) + F.mse_loss(on_fake, torch.zeros_like(on_fake))
        (0.5 * half).backward()
        found["loss_d"] = found["loss_d"] + 0.5 * half
    wanted |= {f"d.{name}": p.grad.clone() for name, p in step.discriminators.named_parameters()}
    found["loss_total"] = found["loss_gan"] + found["loss_cycle"] + found["loss_d"]
    return {name: float(value.detach()) for name, value in found.items()}, wanted


def first_gradients(step: CycleGANStep) -> dict[str, Tensor]:
    """What the first update went down by, out of Adam's first moment: 0.5 of it."""
    both = {"g": (step.generators, step.g_optimiser), "d": (step.discriminators, step.d_optimiser)}
    return {
        f"{key}.{name}": 2 * optimiser.rule.state[parameter]["exp_avg"]
        for key, (networks, optimiser) in both.items()
        for name, parameter in networks.named_parameters()
    }


def test_an_update_is_the_published_one() -> None:
    ours = a_step()
    losses, wanted = published_update(copy.deepcopy(ours), *a_batch())
    found = ours.update(a_batch(), START)
    assert found.keys() == {*losses, "lr"}
    for name, value in losses.items():
        assert float(found[name]) == pytest.approx(value, rel=1e-5), name
    gradients = first_gradients(ours)
    assert gradients.keys() == wanted.keys()
    for name, gradient in wanted.items():
        atol = 1e-3 * float(gradient.abs().max()) + 1e-7
        torch.testing.assert_close(gradients[name], gradient, atol=atol, rtol=1e-3, msg=name)


def test_without_identity_loss_neither_translator_sees_its_own_domain() -> None:
    step = a_step(identity_share=0)
    report = step.update(a_batch(), START)
    assert "loss_identity" not in report
    assert float(report["loss_g"]) == pytest.approx(
        float(report["loss_gan"] + report["loss_cycle"]), rel=1e-6
    )


def test_gradients_are_clipped_before_the_step() -> None:
    plain, clipped = a_step(), a_step(clip=0.01)
    for step in (plain, clipped):
        step.update(a_batch(), START)
    before, after = first_gradients(plain), first_gradients(clipped)
    for key in "gd":
        norms = [
            torch.cat([g.flatten() for name, g in gradients.items() if name.startswith(key)]).norm()
            for gradients in (before, after)
        ]
        assert norms[0] > 0.02
        assert float(norms[1]) == pytest.approx(0.01, rel=1e-3)


def test_the_discriminators_are_shown_what_the_pool_gives_back() -> None:
    """With one place, half of the second update's fakes are those of the first."""
    step = a_step(pool=1)
    step.update(a_batch(), START)
    kept = {key: pool.images.clone() for key, pool in step.pools.items()}
    assert [pool.count for pool in step.pools.values()] == [1, 1]
    for number in range(1, 6):
        step.update(a_batch(number), RunPosition(seed=0, updates=number, samples=2 * number))
    assert all(not torch.equal(kept[key], pool.images) for key, pool in step.pools.items())
    with_pool, without = step, a_step(pool=0)
    without.load_state(copy.deepcopy(with_pool.state() | {"pools": without.state()["pools"]}))
    reports = [s.update(a_batch(9), RunPosition(seed=0, updates=2, samples=4)) for s in (with_pool, without)]
    assert float(reports[0]["loss_g"]) == pytest.approx(float(reports[1]["loss_g"]), rel=1e-6)
    assert float(reports[0]["loss_d"]) != pytest.approx(float(reports[1]["loss_d"]), rel=1e-6)


@pytest.mark.parametrize("options", [{"lean": True}, {"norm": "batch", "lean": True}])
def test_lean_blocks_learn_the_same(options: dict[str, Any]) -> None:
    plain, lean = a_step(**options | {"lean": False}), a_step(**options)
    reports = [step.update(a_batch(), START) for step in (plain, lean)]
    for name in reports[0]:
        assert float(reports[1][name]) == pytest.approx(float(reports[0][name]), rel=1e-4), name
    for (name, one), other in zip(plain.generators.named_buffers(), lean.generators.buffers(), strict=True):
        if one.is_floating_point():  # not the counts of batches, which nobody reads
            torch.testing.assert_close(other, one, msg=name)


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_half_precision_learns_and_a_state_goes_on_from_anywhere(half: torch.dtype) -> None:
    options = {"pool": 3, "average_kimg": 0.01, "clip": 5.0, "norm": "batch", "discriminator": "single"}
    step, place, losses = a_step(half, **options), START, []
    for number in range(12):
        losses.append(float(step.update(a_batch(number), place)["loss_cycle"]))
        place = place.next(2)
    assert losses[-1] < losses[0]
    assert all(p.dtype == torch.float32 for p in step.generators.parameters())
    later = a_step(half, **options)
    later.load_state(copy.deepcopy(step.state()))
    for one in (step, later):
        one.update(a_batch(99), place)
    for name in ("generators", "discriminators", "average"):
        for key, tensor in getattr(step, name).state_dict().items():
            assert torch.equal(getattr(later, name).state_dict()[key], tensor), (name, key)


def test_what_is_kept_is_the_average_where_that_is_asked_for() -> None:
    assert (last := a_step()).average is last.generators
    step = a_step(average_kimg=0.01)
    for number in range(6):
        step.update(a_batch(number), RunPosition(seed=0, updates=number, samples=10 * number))
    x = a_batch()[0]
    assert not torch.equal(step.translate("a2b", x), step.generators["a2b"](x))
    assert torch.equal(step.translate("a2b", x), step.network("a2b")(x))
    assert step.generators.training


def test_both_domains_are_seen_by_views_of_their_own() -> None:
    a, _ = a_batch()
    step = a_step(augment=("flip", "crop"))
    views = [step._view(a, START, key) for key in "ab"]
    assert not torch.allclose(views[0], views[1], atol=0.01)
    assert torch.equal(step._view(a, START, "a"), views[0])
