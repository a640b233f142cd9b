"""Measured changes as conditions: ranges, how often rows come, both ways round, flips, and what the step sees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from measured_sets import make_measured, measured_recipe

from distill.errors import DistillError
from distill.networks.edits import condition_of
from distill.networks.perceptual import NoFeatures
from distill.training.pix2pix.conditions import (
    balanced_weights,
    conditions_of,
    learnt_ways,
    mirrored,
    round_number,
)
from distill.training.pix2pix.data import TripletBatch, Triplets, open_triplets
from distill.training.pix2pix.settings import PRESETS, Pix2PixSettings
from distill.training.pix2pix.step import Pix2PixHDStep
from distill.training.position import RunPosition
from distill.training.request import TrainRequest
from distill.training.schedule import Schedule
from distill.training.settings import changed

START = RunPosition(seed=0, updates=0, samples=0)
DEMO = changed(PRESETS["demo"], {"val_fraction": 0.25, "batch": 16})
NAMES = ("gender", "age", "yaw")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_measured(tmp_path_factory.mktemp("data"), names=NAMES, rows=96)


def opened(folder: Path, settings: Pix2PixSettings = DEMO, **changes: object) -> Triplets:
    request = TrainRequest(data=folder, out=Path("run"), changes=changes)
    return open_triplets(request, changed(settings, changes), "cpu", lambda line: None)


@pytest.mark.parametrize(
    ("value", "wanted"), [(23.7, 25), (31.2, 30), (4.1, 4), (0.33, 0.35), (99, 100), (140, 150), (0, 0)]
)
def test_ranges_are_round(value: float, wanted: float) -> None:
    assert round_number(value) == wanted


def test_a_range_holds_nearly_all_changes() -> None:
    changes = np.zeros((1000, 3), np.float32)
    changes[:, 0] = 0.4
    changes[:, 1] = np.linspace(-36, 36, 1000)
    changes[:10, 1] = 500.0  # one in a hundred goes wrong
    changes[:, 2] = -8.0
    gender, age, yaw = conditions_of(measured_recipe(NAMES), changes)
    assert (gender.low, gender.high, gender.unit) == (-1, 1, "probability")
    assert (age.low, age.high, age.unit) == (-35, 35, "years")
    assert (yaw.high, yaw.unit, yaw.kind) == (8, "degrees", "value")
    changes[:, 2] = 0
    with pytest.raises(DistillError, match="yaw is the same in source and target of all 1,000 pairs"):
        conditions_of(measured_recipe(NAMES), changes)


def test_attributes_ways_and_amounts_come_equally_often() -> None:
    random = np.random.default_rng(0)
    rows = np.zeros((600, 2), np.float32)
    rows[:300, 0] = random.uniform(0.7, 1, 300)  # a lot of the first, much and up
    rows[300:450, 0] = -random.uniform(0.1, 0.3, 150)
    rows[450:, 1] = random.uniform(0.4, 0.6, 150)
    rows[450:, 0] = 0.1  # beside the larger one it does not count
    weights = balanced_weights(rows)
    shares = [weights[part].sum() for part in (slice(300), slice(300, 450), slice(450, None))]
    assert shares == pytest.approx([shares[0]] * 3)
    rare = np.full((1000, 1), 0.9, np.float32)
    rare[0] = -0.9
    weights = balanced_weights(rare)
    assert weights.min() > 0
    assert weights[0] == 4  # times the mean, and no more


def pairs(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Pairs whose pictures are their own numbers: sources even, targets odd."""
    numbers = torch.arange(2 * count, dtype=torch.uint8).view(count, 2, 1, 1, 1)
    return numbers.expand(-1, -1, 3, 2, 2), 1.0 + torch.arange(count)[:, None].float()


def test_pairs_are_learnt_both_ways_round_and_some_stay_as_they_are() -> None:
    images, conditions = pairs(100)
    found, asked = learnt_ways(images, conditions, 0.2, START, first=0, whole=100)
    source, target = found[:, 0, 0, 0, 0].long(), found[:, 1, 0, 0, 0].long()
    rows = torch.arange(100)
    still = source == target
    assert torch.equal(asked[:, 0] == 0, still)
    assert 5 < int(still.sum()) < 40
    ahead = (source == 2 * rows) & ~still
    back = (source == 2 * rows + 1) & ~still
    assert torch.equal(ahead | back, ~still)
    assert torch.equal(target[ahead], (2 * rows + 1)[ahead])
    assert torch.equal(target[back], (2 * rows)[back])
    assert torch.equal(asked[ahead], conditions[ahead])
    assert torch.equal(asked[back], -conditions[back])
    assert min(int(ahead.sum()), int(back.sum())) > 20
    assert bool((source[still] % 2 == 0).any())  # both ends of pairs are copied
    assert bool((source[still] % 2 == 1).any())
    assert int((learnt_ways(images, conditions, 0.0, START, first=0, whole=100)[1] == 0).sum()) == 0


def test_processes_share_what_one_would_draw(folder: Path) -> None:
    data = opened(folder)
    place = RunPosition(seed=0, updates=3, samples=48)
    whole = data.draw(place)
    fields = {name: getattr(data, name) for name in ("reader", "train_on", "held_out", "sampler", "changes")}
    halves = [Triplets(**fields, batch=16, rank=rank, world=2).draw(place) for rank in (0, 1)]
    assert torch.equal(whole.images, torch.cat([half.images for half in halves]))
    assert whole.conditions is not None
    assert torch.equal(whole.conditions, torch.cat([half.conditions for half in halves]))
    again = opened(folder).draw(place)
    assert torch.equal(whole.images, again.images)
    data.close()


def test_a_batch_asks_for_what_its_pictures_show(folder: Path) -> None:
    """Bars are as bright as the attributes, so brightness tells the change that belongs to the pictures."""
    data = opened(folder)
    batch = data.draw(START)
    assert batch.conditions is not None
    units = batch.conditions * torch.tensor([condition.high for condition in data.conditions])
    for place, full in enumerate((1.0, 60.0, 40.0)):
        bar = batch.images[:, :, 0, 5 * place + 2, 8].float() / 255 * full
        assert torch.allclose(bar[:, 1] - bar[:, 0], units[:, place], atol=full / 100)
    data.close()


def test_a_flip_turns_yaw_round_and_nothing_else() -> None:
    conditions = (condition_of("age", "value", 30), condition_of("yaw", "value", 20))
    asked = torch.tensor([[0.5, 0.5], [0.5, -1.0]])
    found = mirrored(asked, torch.tensor([True, False]), conditions)
    assert torch.equal(found, torch.tensor([[0.5, -0.5], [0.5, -1.0]]))


def a_step(**options: object) -> Pix2PixHDStep:
    conditions = (condition_of("age", "value", 30), condition_of("yaw", "value", 20))
    shape = {"ngf": 4, "downsamplings": 1, "blocks": 1, "ndf": 4, "warm_up_epochs": 0}
    settings = changed(PRESETS["demo"], {**shape, "augment": ("flip",), **options})
    schedule = Schedule(lr=1e-3, constant=1000, decay=0)
    architecture = settings.architecture(1, len(conditions))
    return Pix2PixHDStep(settings, architecture, NoFeatures(), schedule, seed=3, conditions=conditions)


def test_both_networks_see_the_changes_as_planes_mirrored_with_the_picture() -> None:
    step = a_step()
    seen: dict[str, torch.Tensor] = {}
    for name in ("generator", "discriminator"):
        getattr(step, name).register_forward_pre_hook(
            lambda module, args, name=name: seen.update({name: args[0].detach().clone()})
        )
    images = torch.zeros(8, 2, 3, 16, 16, dtype=torch.uint8)
    images[..., :8] = 255  # the left half
    conditions = torch.tensor([0.25, 0.75]).expand(8, 2)
    step.update(TripletBatch(images=images, conditions=conditions), START)
    given = seen["generator"]
    assert given.shape == (8, 5, 16, 16)
    flipped = given[:, 0, 0, 0] < 0
    assert 0 < int(flipped.sum()) < 8
    assert torch.equal(given[:, 3], torch.full((8, 16, 16), 0.25))
    assert torch.equal(given[:, 4], torch.where(flipped, -0.75, 0.75)[:, None, None].expand(-1, 16, 16))
    assert torch.equal(seen["discriminator"][:, :5], given.repeat(2, 1, 1, 1))
    assert seen["discriminator"].shape[1] == 8


def test_a_step_translates_by_the_changes_that_it_is_given() -> None:
    step = a_step()
    picture = torch.rand(1, 3, 16, 16).expand(2, -1, -1, -1)
    still, older = step.translate(picture, torch.tensor([[0.0, 0.0], [1.0, 0.0]]))
    assert not torch.allclose(still, older)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_sees_conditions(preset: str) -> None:
    assert PRESETS[preset].architecture(1, 3).norm == "batch"
    assert PRESETS[preset].architecture(1, 3).inputs == 6
    assert PRESETS[preset].architecture(2).inputs == 6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reverse": True}, "are learnt both ways round, source to target and back: leave out reverse"),
        ({"inputs": "target"}, "leave out inputs"),
        ({"target": "source"}, "leave out target"),
        ({"norm": "instance"}, "instance normalisation removes these"),
    ],
)
def test_settings_that_are_not_for_measured_changes_are_refused(
    folder: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(DistillError) as caught:
        opened(folder, **changes)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
