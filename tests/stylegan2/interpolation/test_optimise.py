"""The optimisation of shares, on a small generator and by pixels alone."""

from __future__ import annotations

import pytest
import torch

from distill.errors import DistillError
from distill.stylegan2.interpolation.change import region_change
from distill.stylegan2.interpolation.optimise import blurred, optimised_shares
from distill.stylegan2.interpolation.pairs import crossover_shares, greedy_shares
from distill.stylegan2.interpolation.settings import InterpolationSettings, settings_for

SETTINGS = InterpolationSettings(steps=25, rho=0.4, epsilon=4.0)


@pytest.fixture(scope="module")
def found(tiny_teacher, two_pairs, pixel_distance):
    return optimised_shares(tiny_teacher, two_pairs, SETTINGS, distance=pixel_distance)


def change(tiny_teacher, pairs, shares):
    person, reference = (tiny_teacher.synthesize_styles(s) for s in (pairs.persons, pairs.references))
    return region_change(person, pairs.draw(tiny_teacher, shares), reference, pairs.masks)


def test_it_changes_less_outside_than_the_greedy_choice_and_comes_nearer_inside(
    tiny_teacher, two_pairs, found
):
    start = greedy_shares(tiny_teacher, two_pairs.contributions, rho=0.4, epsilon=4.0, first_layer=3)
    before, after = (change(tiny_teacher, two_pairs, shares) for shares in (start, found.shares))
    assert (after.outside < before.outside).all()
    assert (after.inside / after.outside > 1.2 * before.inside / before.outside).all()
    assert ((found.shares > 0) & (found.shares < 1)).all()


def test_it_is_the_same_every_time_whatever_the_batch(tiny_teacher, two_pairs, pixel_distance, found):
    steps = []
    alone = optimised_shares(
        tiny_teacher, two_pairs, SETTINGS, distance=pixel_distance, batch=1, advance=steps.append
    )
    again = optimised_shares(tiny_teacher, two_pairs, SETTINGS, distance=pixel_distance)
    assert torch.equal(again.shares, found.shares)
    assert torch.allclose(alone.shares, found.shares, atol=0.02)
    assert sum(steps) == SETTINGS.steps * len(two_pairs)


def test_each_weight_pulls_its_own_way(tiny_teacher, two_pairs, pixel_distance, found):
    def shares(**weights):
        settings = SETTINGS.model_copy(update=weights)
        return optimised_shares(tiny_teacher, two_pairs, settings, distance=pixel_distance)

    held = shares(localisation=50.0)
    assert held.losses["localisation"].mean() < 0.6 * found.losses["localisation"].mean()
    eager = shares(garment=50.0, garment_pixels=10.0)
    assert eager.losses["garment"].mean() < found.losses["garment"].mean()
    assert eager.losses["identity"].mean() > found.losses["identity"].mean()


def test_no_graph_is_kept_and_the_generator_stays(tiny_teacher, found):
    assert not found.shares.requires_grad
    assert not any(loss.requires_grad for loss in found.losses.values())
    assert set(found.losses) < set(InterpolationSettings.model_fields)
    assert all(parameter.grad is None for parameter in tiny_teacher.network.parameters())


def test_a_blur_keeps_the_mean_and_spreads_a_point():
    point = torch.zeros(1, 2, 15, 15)
    point[:, :, 7, 7] = 1
    spread = blurred(point, 1.5)
    assert torch.allclose(spread.sum(dim=(2, 3)), torch.ones(1, 2), atol=1e-5)
    assert torch.allclose(spread, spread.transpose(2, 3))
    at = torch.arange(15.0) - 7
    assert abs(float((spread[0, 0].sum(dim=0) * at.square()).sum()) - 1.5**2) < 0.15
    assert torch.equal(blurred(point, 0.0), point)


def test_settings_of_parts_and_bad_ones():
    assert settings_for("hair").first_layer == 0
    assert settings_for("mouth").first_layer == 3
    assert settings_for("hair", first_layer=2, garment=4.0).garment == 4.0
    with pytest.raises(
        DistillError, match="unknown setting speed for moving a part; the settings are rho, epsilon"
    ):
        settings_for("hair", speed=1.0)
    with pytest.raises(DistillError, match="rho"):
        settings_for("hair", rho=2.0)


def test_a_hard_crossover_is_the_worst_outside(tiny_teacher, two_pairs, found):
    hard = change(tiny_teacher, two_pairs, crossover_shares(tiny_teacher, 4))
    soft = change(tiny_teacher, two_pairs, found.shares)
    assert (soft.inside / soft.outside > hard.inside / hard.outside).all()
