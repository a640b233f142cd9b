"""The simple choices of channels: by layer, and greedily by what each does in a region."""

from __future__ import annotations

import pytest
import torch

from distill.errors import DistillError
from distill.stylegan2.interpolation.channels import layers_of_channels
from distill.stylegan2.interpolation.pairs import crossover_shares, greedy, greedy_shares, region_pairs
from distill.stylegan2.mixing import mixed


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("rho", "epsilon", "chosen"), [(0.3, 0.8, "101010"), (0.3, 2, "101110"), (0.7, 5, "100010")]
)
def test_the_greedy_choice_is_that_of_the_published_program(rho, epsilon, chosen, dtype):
    """Numbers of IVRL/GANLocalEditing, style_interpolator.py."""
    found = greedy(torch.tensor([0.9, 0.2, 0.6, 0.4, 0.75, 0.35], dtype=dtype), rho=rho, epsilon=epsilon)
    assert "".join(str(int(q)) for q in found) == chosen


def test_pairs_are_chosen_each_for_itself():
    both = torch.tensor([[0.9, 0.2, 0.6], [0.1, 0.8, 0.3]])
    assert greedy(both, rho=0.25, epsilon=0.6).tolist() == [[1, 0, 1], [0, 1, 0]]


def test_a_crossover_by_shares_is_that_of_w(tiny_teacher, four_ws, two_pairs):
    wanted = mixed(four_ws[:2], four_ws[2:], 4)[[0, 1], [0, 1]]
    drawn = two_pairs.draw(tiny_teacher, crossover_shares(tiny_teacher, 4))
    assert torch.allclose(drawn, tiny_teacher.synthesize(wanted), atol=1e-5)
    between = crossover_shares(tiny_teacher, 2, 4)[0].bool()
    assert set(layers_of_channels(tiny_teacher)[between].tolist()) == {2, 3}


def test_the_greedy_choice_leaves_the_coarsest_layers_alone(tiny_teacher, two_pairs):
    layers = layers_of_channels(tiny_teacher)
    whole = greedy_shares(tiny_teacher, two_pairs.contributions, rho=0.4, epsilon=5)
    less = greedy_shares(tiny_teacher, two_pairs.contributions, rho=0.4, epsilon=5, first_layer=3)
    assert whole[:, layers < 3].any()
    assert not less[:, layers < 3].any()
    assert torch.equal(whole[:, layers >= 3], less[:, layers >= 3])
    assert two_pairs.contributions[whole.bool()].min() > 0.4


def test_the_region_of_a_pair_is_that_of_either(tiny_teacher, four_ws, left_half):
    pairs = region_pairs(
        tiny_teacher, four_ws[:1], four_ws[1:2], left_half[None], left_half[None].flip(2) * 0.5
    )
    assert pairs.masks[0, 0, 0] == 1
    assert pairs.masks[0, 0, -1] == 0.5
    assert len(pairs) == 1


def test_a_region_without_pixels_is_refused(tiny_teacher, four_ws, left_half):
    masks = torch.stack([left_half, torch.zeros_like(left_half)])
    with pytest.raises(DistillError, match="pair 1: the region has no pixels"):
        region_pairs(tiny_teacher, four_ws[:2], four_ws[2:], masks, masks)
