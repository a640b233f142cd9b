"""The learning rate hangs on the triplets seen and on nothing else."""

from __future__ import annotations

import pytest

from distill.training.pix2pix.settings import PRESETS
from distill.training.schedule import Schedule


def test_constant_then_straight_down_to_zero() -> None:
    schedule = Schedule(lr=2e-4, constant=1000, decay=500)
    assert schedule.samples == 1500
    assert [schedule.at(n) for n in (0, 999, 1000)] == [2e-4, 2e-4, 2e-4]
    assert schedule.at(1250) == pytest.approx(1e-4)
    assert schedule.at(1499) == pytest.approx(2e-4 / 500)
    assert [schedule.at(n) for n in (1500, 9999)] == [0.0, 0.0]


def test_more_epochs_do_not_start_anew() -> None:
    short, long = Schedule(lr=1.0, constant=50, decay=50), Schedule(lr=1.0, constant=50, decay=150)
    assert long.at(49) == short.at(49)
    assert short.at(75) < long.at(75) < 1.0
    assert 0 < long.at(100) < long.at(75)


def test_without_decay_the_rate_stays() -> None:
    assert Schedule(lr=0.5, constant=10, decay=0).at(11) == 0.5


def test_the_presets_are_those_of_their_sources() -> None:
    seed, paper = PRESETS["seed"], PRESETS["paper"]
    assert (seed.max_resolution, seed.batch, seed.ngf, seed.lr) == (256, 8, 64, 2e-4)
    assert (seed.constant_epochs, seed.decay_epochs) == (50, 50)
    assert (paper.max_resolution, paper.constant_epochs, paper.decay_epochs) == (512, 100, 100)
    assert (seed.feature_matching, seed.perceptual_weight) == (10.0, 10.0)
    architecture = seed.architecture(2)
    assert (architecture.inputs, architecture.downsamplings, architecture.blocks) == (6, 4, 9)


def test_the_warm_up_is_the_first_part_and_leaves_the_rate_alone() -> None:
    plain, warm = (Schedule(lr=1.0, constant=40, decay=20, warm_up=n) for n in (0, 50))
    assert warm.samples == plain.samples
    assert [warm.warms_up(n) for n in (0, 49, 50, 59)] == [True, True, False, False]
    assert not plain.warms_up(0)
    assert [warm.at(n) for n in range(61)] == [plain.at(n) for n in range(61)]
