"""One update of a student: what the published order of passes gives, in one pass of the discriminator."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from distill.networks.perceptual import NoFeatures
from distill.training.pix2pix.data import TripletBatch
from distill.training.pix2pix.settings import Pix2PixSettings
from distill.training.pix2pix.step import Pix2PixHDStep, split_roles
from distill.training.position import RunPosition
from distill.training.schedule import Schedule
from distill.training.settings import changed

TINY = Pix2PixSettings(
    resolution=16, batch=4, ngf=4, downsamplings=1, blocks=1, ndf=4, constant_epochs=1, decay_epochs=1
)
SCHEDULE = Schedule(lr=1e-3, constant=40, decay=40)
START = RunPosition(seed=0, updates=0, samples=0)


class Pool:
    """Features without weights of their own: the picture at two sizes."""

    name = "pool"
    weights = (0.5, 1.0)

    def __call__(self, images: Tensor) -> list[Tensor]:
        return [F.avg_pool2d(images, 2), F.avg_pool2d(images, 4)]


def a_step(
    preset: Pix2PixSettings = TINY, features: Any = None, schedule: Schedule = SCHEDULE, **options: Any
) -> Pix2PixHDStep:
    how = {"half": options.pop("half")} if "half" in options else {}
    settings = changed(preset, options)
    return Pix2PixHDStep(settings, settings.architecture(2), features or Pool(), schedule, seed=3, **how)


def some_triplets(count: int = 4, seed: int = 0) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, 3, 16, 16), dtype=torch.uint8, generator=random)


def some_batch(count: int = 4, seed: int = 0) -> TripletBatch:
    return TripletBatch(images=some_triplets(count, seed))


def published_update(step: Pix2PixHDStep, triplets: Tensor) -> tuple[dict[str, float], dict[str, Tensor]]:
    """Losses and gradients in the order of the public implementation: three passes of the discriminator."""
    G, D = step.generator, step.discriminator
    inputs, target = split_roles(triplets.float() / 127.5 - 1)
    fake = G(inputs)
    on_fake_detached = D(torch.cat([inputs, fake.detach()], 1))
    on_real = D(torch.cat([inputs, target], 1))
    on_fake = D(torch.cat([inputs, fake], 1))

    def score(outputs: list[list[Tensor]], wanted: float) -> Tensor:
        misses = [F.mse_loss(o[-1], torch.full_like(o[-1], wanted)) for o in outputs]
        return torch.stack(misses).sum()

    found = {"loss_gan": score(on_fake, 1.0), "loss_matching": torch.zeros(())}
    for fakes, reals in zip(on_fake, on_real, strict=True):
        for f, r in zip(fakes[:-1], reals[:-1], strict=True):
            distance = F.l1_loss(f, r.detach())
            found["loss_matching"] = found["loss_matching"] + 4 / (D.layers + 1) / D.scales * distance * 10
    terms = [w * F.l1_loss(f, r) for w, f, r in zip(Pool.weights, Pool()(fake), Pool()(target), strict=True)]
    found["loss_perceptual"] = 10 * torch.stack(terms).sum()
    found["loss_g"] = torch.stack(list(found.values())).sum()
    found["loss_d"] = (score(on_fake_detached, 0.0) + score(on_real, 1.0)) * 0.5
    G.zero_grad()
    found["loss_g"].backward()
    of_g = {f"generator.{name}": p.grad.clone() for name, p in G.named_parameters()}
    D.zero_grad()
    found["loss_d"].backward()
    of_d = {f"discriminator.{name}": p.grad.clone() for name, p in D.named_parameters()}
    return {name: float(value.detach()) for name, value in found.items()}, {**of_g, **of_d}


def weights(step: Pix2PixHDStep) -> dict[str, Tensor]:
    return {
        f"{kind}.{name}": tensor
        for kind in ("generator", "discriminator")
        for name, tensor in getattr(step, kind).state_dict().items()
    }


def gradients(step: Pix2PixHDStep) -> dict[str, Tensor]:
    """What the first update went down by, out of Adam's first moment: 0.5 of it."""
    return {
        f"{kind}.{name}": 2 * optimiser.rule.state[parameter]["exp_avg"]
        for kind, optimiser in (("generator", step.g_optimiser), ("discriminator", step.d_optimiser))
        for name, parameter in getattr(step, kind).named_parameters()
    }


def assert_same_gradients(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    assert found.keys() == wanted.keys()
    for name, gradient in wanted.items():
        scale = float(gradient.abs().max())
        torch.testing.assert_close(found[name], gradient, atol=1e-3 * scale + 1e-6, rtol=1e-3, msg=name)


def test_an_update_is_the_published_one() -> None:
    ours = a_step(changed(TINY, {"augment": ()}))
    losses, wanted = published_update(copy.deepcopy(ours), some_triplets())
    found = ours.update(some_batch(), START)
    assert float(found["lr"]) == 1e-3
    for name, value in losses.items():
        assert float(found[name]) == pytest.approx(value, rel=1e-5), name
    assert_same_gradients(gradients(ours), wanted)


@pytest.mark.parametrize("options", [{"accumulate": 2}, {"accumulate": 4}, {"lean": True}])
def test_parts_and_lean_change_rounding_only(options: dict[str, Any]) -> None:
    whole, other = a_step(), a_step(**options)
    reports = [step.update(some_batch(), START) for step in (whole, other)]
    for name in reports[0]:
        assert float(reports[1][name]) == pytest.approx(float(reports[0][name]), rel=1e-4), name
    assert_same_gradients(gradients(other), gradients(whole))


def test_the_generator_does_not_move_the_discriminators_gradients_and_back() -> None:
    """λ of the generator's losses is nothing to the discriminator."""
    plain, heavy = a_step(), a_step(changed(TINY, {"feature_matching": 500.0, "perceptual_weight": 500.0}))
    for step in (plain, heavy):
        step.update(some_batch(), START)
    for name, tensor in plain.discriminator.state_dict().items():
        assert torch.equal(heavy.discriminator.state_dict()[name], tensor), name


def test_the_distance_of_pixels_counts_where_it_is_asked_for() -> None:
    plain, more = (a_step(changed(TINY, {"augment": (), "l1_weight": weight})) for weight in (0.0, 100.0))
    fake = plain.translate(split_roles(some_triplets().float() / 127.5 - 1)[0])
    distance = (fake - split_roles(some_triplets().float() / 127.5 - 1)[1]).abs().mean()
    reports = [step.update(some_batch(), START) for step in (plain, more)]
    assert "loss_l1" not in reports[0]
    assert float(reports[1]["loss_l1"]) == pytest.approx(100 * float(distance), rel=1e-5)
    assert float(reports[1]["loss_g"] - reports[0]["loss_g"]) == pytest.approx(
        100 * float(distance), rel=1e-4
    )


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_warm_up_follows_the_distance_of_pixels_alone(accumulate: int) -> None:
    preset = changed(TINY, {"augment": (), "l1_weight": 100.0})
    step = a_step(changed(preset, {"accumulate": accumulate}), schedule=replace(SCHEDULE, warm_up=4))
    before = copy.deepcopy(step.discriminator.state_dict())
    inputs, target = split_roles(some_triplets().float() / 127.5 - 1)
    plain = copy.deepcopy(step.generator)
    loss = 100 * (plain(inputs) - target).abs().mean()
    loss.backward()
    report = step.update(some_batch(), START)
    assert set(report) == {"loss_g", "loss_l1", "lr"}
    assert float(report["loss_g"]) == pytest.approx(float(loss.detach()), rel=1e-5)
    # Adam's first step is lr in the direction of each gradient that is not tiny.
    for (name, moved), (_, other) in zip(
        step.generator.named_parameters(), plain.named_parameters(), strict=True
    ):
        assert other.grad is not None
        clear = other.grad.abs() > 1e-4
        assert torch.equal((moved - other)[clear].sign(), -other.grad[clear].sign()), name
    assert all(torch.equal(before[name], tensor) for name, tensor in step.discriminator.state_dict().items())
    after = step.update(some_batch(), START.next(4))
    assert {"loss_gan", "loss_d", "loss_perceptual", "loss_matching"} < set(after)
    assert any(
        not torch.equal(before[name], tensor) for name, tensor in step.discriminator.state_dict().items()
    )


def test_losses_that_are_switched_off_are_not_reported() -> None:
    step = a_step(changed(TINY, {"feature_matching": 0.0}), features=NoFeatures())
    assert set(step.update(some_batch(), START)) == {"loss_g", "loss_gan", "loss_d", "lr"}


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_half_precision_trains_and_keeps_its_scaler(half: torch.dtype) -> None:
    step = a_step(half=half)
    place, losses = START, []
    for _ in range(14):
        losses.append(float(step.update(some_batch(), place)["loss_perceptual"]))
        place = place.next(4)
    assert losses[-1] < losses[0]
    assert all(p.dtype == torch.float32 for p in step.generator.parameters())
    assert step.translate(torch.zeros(1, 6, 16, 16)).dtype == torch.float32
    state = step.state()
    assert ("scale" in state["g_optimiser"]["scaler"]) == (half is torch.float16)
    later = a_step(half=half)
    later.load_state(copy.deepcopy(state))
    for one in (step, later):
        one.update(some_batch(), place)
    for name, tensor in weights(step).items():
        assert torch.equal(weights(later)[name], tensor), name


def test_the_schedule_sets_the_rate_of_both_networks() -> None:
    step = a_step()
    assert step.update(some_batch(), RunPosition(seed=0, updates=15, samples=60))["lr"] == pytest.approx(5e-4)
    for optimiser in (step.g_optimiser, step.d_optimiser):
        assert optimiser.rule.param_groups[0]["lr"] == pytest.approx(5e-4)
    before = {name: tensor.clone() for name, tensor in weights(step).items()}
    step.update(some_batch(), RunPosition(seed=0, updates=20, samples=80))
    assert all(torch.equal(weights(step)[name], tensor) for name, tensor in before.items())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the compiler about itself
def test_compiled_networks_learn_the_same() -> None:
    plain, compiled = a_step(), a_step(compiled=True)
    reports = [step.update(some_batch(), START) for step in (plain, compiled)]
    for name in reports[0]:
        assert float(reports[1][name]) == pytest.approx(float(reports[0][name]), rel=1e-4), name
    assert_same_gradients(gradients(compiled), gradients(plain))


def test_the_student_is_the_average_of_the_weights_where_that_is_asked_for() -> None:
    assert (last := a_step()).student is last.generator
    step = a_step(changed(TINY, {"norm": "batch", "average_kimg": 0.1}))
    random = copy.deepcopy(step.student.state_dict())
    for update in range(12):
        before = copy.deepcopy(step.student.state_dict())
        step.update(some_batch(seed=update), RunPosition(seed=0, updates=update, samples=100 * update))
        # A half-life of 100 images, and of a twentieth of those seen before.
        kept = 0.5 ** (4 / min(100, 5 * update)) if update else 0.0
        for name, tensor in step.student.state_dict().items():
            if tensor.is_floating_point():
                wanted = kept * before[name] + (1 - kept) * step.generator.state_dict()[name]
                torch.testing.assert_close(tensor, wanted, msg=name)
    assert not torch.equal(random["model.1.weight"], step.student.state_dict()["model.1.weight"])
    inputs = split_roles(some_triplets().float() / 127.5 - 1)[0]
    assert torch.equal(step.translate(inputs), step.student(inputs))
    again = a_step(changed(TINY, {"norm": "batch", "average_kimg": 0.1}))
    again.load_state(copy.deepcopy(step.state()))
    assert torch.equal(again.translate(inputs), step.translate(inputs))


def test_batch_normalisation_of_the_last_weights_is_at_work_when_scored() -> None:
    """Running statistics, not those of the batch: what an image becomes does not depend on its neighbours."""
    step = a_step(changed(TINY, {"norm": "batch"}))
    step.update(some_batch(), START)
    inputs = split_roles(some_triplets().float() / 127.5 - 1)[0]
    torch.testing.assert_close(step.translate(inputs)[:1], step.translate(inputs[:1]))
    assert step.generator.training
