"""Generators that are taught by latents: what is finished draws what was learned, and grows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from distill.errors import DistillError
from distill.training.checkpoint import save_checkpoint
from distill.training.position import RunPosition
from distill.training.settings import changed
from distill.training.stylegan2.settings import PRESETS
from stylegan_weights.making.face_codes import face_codes
from stylegan_weights.making.spelled_step import SpelledStep, as_reals, reduced, turn_of

LATENT = 32
PRESET = changed(PRESETS["tiny"], {"latent": LATENT, "batch": 8, "average_kimg": 0.0})
START = RunPosition(seed=0, updates=0, samples=0)


def pictures(side: int) -> np.ndarray:
    """Twenty pictures of one colour each, lighter to the right."""
    rng = np.random.default_rng(0)
    images = rng.integers(40, 200, (20, 1, 1, 3)) + np.linspace(0, 40, side).reshape(1, 1, side, 1)
    return np.broadcast_to(images, (20, side, side, 3)).astype(np.uint8)


def step_of(side: int) -> tuple[SpelledStep, np.ndarray]:
    images = pictures(32)
    marks = np.random.default_rng(1).normal(size=(20, 68, 2))
    codes, _ = face_codes(images, marks, 6, np.ones(20, bool))
    step = SpelledStep(PRESET, side, codes, turn=turn_of(images, codes.scores, LATENT), seed=0)
    step.begin()
    return step, images


def test_what_is_finished_draws_what_was_learned():
    step, images = step_of(16)
    numbers = np.arange(8)
    reals = as_reals(reduced(images, 16)[numbers])
    first = step.update((reals, numbers), START)["l1"]
    for update in range(1, 60):
        last = step.update((reals, numbers), RunPosition(seed=0, updates=update, samples=8 * update))["l1"]
    assert last < 0.5 * first
    network = step.finished()
    z = step.codes.latents(numbers, LATENT, np.random.default_rng(0))
    w = network.mapping(z)
    with torch.no_grad():
        drawn = network.synthesis(w[:, None].expand(-1, network.shape.num_ws, -1), "none")
        seen = step.average.synthesis(
            ((w - network.mapping.w_avg) @ step.turn.T)[:, None].expand(-1, network.shape.num_ws, -1), "none"
        )
    assert (drawn - seen).abs().max() < 1e-3


def test_a_step_of_more_pixels_begins_as_the_smaller_one_enlarged(tmp_path: Path):
    small, _ = step_of(16)
    numbers = np.arange(8)
    save_checkpoint(tmp_path, {"step": small.state()}, samples=8)
    large, _ = step_of(32)
    large.grow_from(tmp_path)
    with torch.no_grad():
        few = small.draw(small.average, numbers, START)
        many = large.draw(large.average, numbers, START)
    halved = torch.nn.functional.avg_pool2d(many, 2)
    assert (halved - few).abs().mean() < 0.1 * few.std()
    with pytest.raises(DistillError, match="no checkpoint is there"):
        large.grow_from(tmp_path / "other")


def test_a_turn_puts_first_what_pictures_depend_on():
    rng = np.random.default_rng(2)
    w = rng.normal(size=(400, 5))
    light = 128 + 40 * w[:, 3]
    images = np.broadcast_to(light[:, None, None, None], (400, 16, 16, 3)).clip(0, 255).astype(np.uint8)
    turn = turn_of(images, w, 8)
    assert turn[0].abs().argmax() == 3
    assert turn[0].abs().max() > 0.9
    assert not turn[5:].any()
    assert not turn[:, 5:].any()
