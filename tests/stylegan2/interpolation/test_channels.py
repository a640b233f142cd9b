"""Style channels: between two styles, and how much of each lies in a region."""

from __future__ import annotations

import pytest
import torch

from distill.errors import DistillError
from distill.stylegan2.interpolation.channels import contributions, interpolated, layers_of_channels


def test_all_shares_of_one_are_the_reference_and_none_the_person(tiny_teacher, four_ws):
    person, reference = tiny_teacher.styles(four_ws[:2]), tiny_teacher.styles(four_ws[2:])
    images = tiny_teacher.synthesize(four_ws)
    for share, image in ((0.0, images[:2]), (1.0, images[2:])):
        styles = interpolated(person, reference, torch.full_like(person, share))
        assert torch.allclose(tiny_teacher.synthesize_styles(styles), image, atol=1e-5)
    half = interpolated(person, reference, torch.full((1, person.shape[1]), 0.5))
    assert torch.allclose(half, (person + reference) / 2, atol=1e-6)


def test_another_number_of_styles_is_refused(tiny_teacher):
    with pytest.raises(DistillError, match=r"styles have shape \[1, 3\], this generator takes \[N, \d+\]"):
        tiny_teacher.synthesize_styles(torch.zeros(1, 3))
    channels = sum(tiny_teacher.style_widths)
    with pytest.raises(DistillError, match="noise 'loud' is not one of"):
        tiny_teacher.synthesize_styles(torch.zeros(1, channels), noise="loud")


def test_each_channel_knows_its_w(tiny_teacher, four_ws):
    """A change of w number 3 moves the styles of the channels that are read from it, and no other."""
    changed = four_ws.clone()
    changed[:, 3] += 1
    moved_S = (tiny_teacher.styles(changed) != tiny_teacher.styles(four_ws)).any(dim=0)
    assert torch.equal(moved_S, layers_of_channels(tiny_teacher) == 3)


def test_contributions_are_shares_of_squared_activations(tiny_teacher, four_ws, left_half):
    """Held against features caught on their way into the layers of the reference network."""
    caught, hooks = {}, []
    net = tiny_teacher.network.synthesis
    for block, name, _ in net.layers:
        hooks.append(
            net.get_submodule(f"{block}.{name}").register_forward_pre_hook(
                lambda module, given, key=f"{block}.{name}": caught.update({key: given[0]})
            )
        )
    with torch.no_grad():
        net(four_ws)
    for hook in hooks:
        hook.remove()
    found = contributions(tiny_teacher, four_ws, left_half.expand(4, -1, -1), batch=3)
    layers = zip(net.layers, found.split(tiny_teacher.style_widths, dim=1), strict=True)
    for (block, name, _), part in layers:
        squares = caught[f"{block}.{name}"].square()
        half = squares[..., : squares.shape[-1] // 2].sum(dim=(2, 3))
        wanted = half / squares.sum(dim=(2, 3)).clamp(min=1e-8)
        assert torch.allclose(part, wanted, atol=1e-4), (block, name)


def test_a_region_and_its_complement_share_each_channel(tiny_teacher, four_ws):
    masks = torch.rand(4, 32, 32, generator=torch.Generator().manual_seed(0))
    inside, outside = (contributions(tiny_teacher, four_ws, m) for m in (masks, 1 - masks))
    alive = contributions(tiny_teacher, four_ws, torch.ones(4, 32, 32))
    assert torch.allclose(inside + outside, alive, atol=1e-5)
    assert torch.allclose(alive[alive > 0], torch.ones(()), atol=1e-5)
    assert (alive > 0).float().mean() > 0.9


@pytest.mark.parametrize(
    ("masks", "said"),
    [
        (
            torch.zeros(4, 16, 16),
            r"masks have shape \[4, 16, 16\]; 4 images of this generator need \[4, 32, 32\]",
        ),
        (torch.zeros(3, 32, 32), r"masks have shape \[3, 32, 32\]"),
        (torch.full((4, 32, 32), 255.0), "masks hold numbers outside 0 to 1"),
        (torch.full((4, 32, 32), float("nan")), "masks hold numbers outside 0 to 1"),
    ],
)
def test_masks_that_do_not_fit_are_refused(masks, said, tiny_teacher, four_ws):
    with pytest.raises(DistillError, match=said):
        contributions(tiny_teacher, four_ws, masks)
