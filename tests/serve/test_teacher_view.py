"""Samples of a generator by their seeds, and grids of mixes."""

from __future__ import annotations

import numpy as np
import pytest

from distill.errors import DistillError
from distill.serve.teacher import TeacherView, read_seeds
from distill.stylegan2.generator import Generator


@pytest.fixture
def view(tiny_teacher: Generator) -> TeacherView:
    return TeacherView(name="tiny", generator=tiny_teacher, directions=[])


def test_a_seed_always_draws_the_same_and_psi_pulls_it_to_the_mean(view: TeacherView) -> None:
    first, moved = view.sample(3, 1.0, {})
    assert (first == moved).all()
    assert (first == view.sample(3, 1.0, {})[0]).all()
    assert (first != view.sample(4, 1.0, {})[0]).any()
    assert (view.sample(3, 0.0, {})[0] == view.sample(4, 0.0, {})[0]).all()


def test_a_grid_has_its_parents_beside_the_mixes(view: TeacherView) -> None:
    one, more = view.grid([1], [2], 0.7, 3), view.grid([1, 2], [3, 4, 5], 0.7, 3)
    assert more.shape[0] > one.shape[0]
    assert more.shape[1] > one.shape[1]
    same = view.grid([1, 2], [3, 4, 5], 0.7, view.generator.num_ws)
    assert (np.asarray(more) != same).any()


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5", "0-99", "1,,x", "9" * 30, "1-2-3"])
def test_seeds_that_are_none(text: str) -> None:
    with pytest.raises(DistillError, match="such as 0, 3, 8-11"):
        read_seeds(text)


def test_seeds_are_numbers_and_spans() -> None:
    assert read_seeds("0, 3, 8-11,") == [0, 3, 8, 9, 10, 11]


def test_numbers_that_a_generator_does_not_take(view: TeacherView) -> None:
    for call, says in (
        (lambda: view.sample(-1, 0.7, {}), "seed -1"),
        (lambda: view.sample(2**63, 0.7, {}), "seed 9223372036854775808"),
        (lambda: view.sample(0, 3.0, {}), "ψ 3"),
        (lambda: view.sample(0, float("nan"), {}), "ψ nan"),
        (lambda: view.sample(0, 0.7, {"age": 1.0}), "no direction 'age'"),
        (lambda: view.grid([0], [1], 0.7, 99), "crossover 99"),
    ):
        with pytest.raises(DistillError, match=says):
            call()
