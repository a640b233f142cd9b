"""Change inside and outside a region."""

from __future__ import annotations

import torch

from distill.stylegan2.interpolation.change import region_change


def test_change_is_weighted_by_the_mask():
    person = torch.zeros(1, 3, 4, 4)
    result, reference = person.clone(), torch.ones(1, 3, 4, 4)
    result[..., :2] = 1.0
    result[..., 3] = -0.4
    mask = torch.zeros(1, 4, 4)
    mask[..., :2] = 1
    change = region_change(person, result, reference, mask)
    assert torch.allclose(change.inside, torch.tensor([0.5]))
    assert torch.allclose(change.outside, torch.tensor([0.1]))
    assert torch.allclose(change.to_reference, torch.tensor([0.0]))
    soft = region_change(person, result, reference, mask * 0.5)
    assert torch.allclose(soft.inside, torch.tensor([0.5]))
    assert torch.allclose(soft.outside, torch.tensor([(0.5 * 4 + 0.2 * 4) / 12]))


def test_nothing_lies_outside_of_everything():
    images = torch.rand(2, 3, 4, 4)
    change = region_change(images, images + 0.1, images, torch.ones(2, 4, 4))
    assert change.outside.tolist() == [0, 0]


def test_values_beyond_the_range_count_as_stored():
    change = region_change(
        torch.full((1, 3, 2, 2), 1.0),
        torch.full((1, 3, 2, 2), 3.0),
        torch.ones(1, 3, 2, 2),
        torch.ones(1, 2, 2),
    )
    assert change.inside.item() == 0
