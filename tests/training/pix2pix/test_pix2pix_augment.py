"""Paired changes befall all roles of a triplet alike, and each triplet by its own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from distill.errors import DistillError
from distill.training.pix2pix.augment import (
    KINDS,
    PAIRED,
    apply_changes,
    check_kinds,
    draw_changes,
    sharpened,
)


def draw(count: int, kinds: tuple[str, ...], seed: int = 0) -> object:
    return draw_changes(count, kinds, torch.Generator().manual_seed(seed))


def smooth(count: int, roles: int = 3, side: int = 24) -> Tensor:
    """Smooth images in [-1, 1], so that interpolation is not what differs."""
    low = torch.rand(count * roles, 3, 5, 5, generator=torch.Generator().manual_seed(7)) * 1.8 - 0.9
    images = torch.nn.functional.interpolate(low, (side, side), mode="bilinear", align_corners=False)
    return images.view(count, roles, 3, side, side)


def test_all_roles_of_a_triplet_change_alike_and_triplets_do_not() -> None:
    one = smooth(1, roles=1).expand(8, 3, -1, -1, -1)
    changed = apply_changes(one, draw(8, PAIRED))
    for role in (1, 2):
        torch.testing.assert_close(changed[:, role], changed[:, 0])
    different = sum(not torch.allclose(changed[i], changed[j], atol=1e-3) for i in range(8) for j in range(i))
    assert different > 20


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_changes_about_half_of_the_triplets_and_keeps_the_range(kind: str) -> None:
    images = smooth(64)
    changed = apply_changes(images, draw(64, (kind,)))
    assert changed.shape == images.shape
    assert float(changed.abs().max()) <= 1 + 1e-6
    share = (changed - images).abs().amax(dim=(1, 2, 3, 4)) > 1e-3
    assert 16 < int(share.sum()) < 48


def test_sharpness_changes_the_inputs_alone_both_ways() -> None:
    images = torch.rand(64, 3, 3, 24, 24, generator=torch.Generator().manual_seed(3)) - 0.5
    changed = apply_changes(images, draw(64, ("sharpness",)))
    torch.testing.assert_close(changed[:, -1], images[:, -1], atol=1e-4, rtol=0)
    spread = (changed[:, 0] - changed[:, 0].mean(dim=(2, 3), keepdim=True)).std(dim=(1, 2, 3))
    before = images[:, 0].std(dim=(1, 2, 3))
    assert 12 < int((spread > 1.05 * before).sum()) < 48
    assert 0 < int((spread < 0.99 * before).sum()) < 24


def test_sharpened_edges_stand_out_and_a_plain_image_stays() -> None:
    step = torch.full((1, 3, 8, 8), -0.5)
    step[..., 4:] = 0.5
    up, down = sharpened(step, torch.tensor([2.0])), sharpened(step, torch.tensor([-1.0]))
    assert float(up[0, 0, 4, 4]) == pytest.approx(1.0)
    assert float(down[0, 0, 4, 4]) == pytest.approx(0.25)
    plain = torch.full((1, 3, 8, 8), 0.3)
    torch.testing.assert_close(sharpened(plain, torch.tensor([3.0])), plain)


def test_nothing_asked_for_is_nothing_done() -> None:
    images = smooth(4)
    torch.testing.assert_close(apply_changes(images, draw(4, ())), images, atol=1e-4, rtol=0)


def test_a_flip_is_a_flip() -> None:
    images = smooth(16)
    changed = apply_changes(images, draw(16, ("flip",)))
    for before, after in zip(images, changed, strict=True):
        assert min(float((after - x).abs().max()) for x in (before, before.flip(-1))) < 1e-4


def test_geometry_stays_small() -> None:
    """The middle of a triplet moves by less than an eighth of the side."""
    side = 64
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    spot = torch.exp(-((x - 31.5) ** 2 + (y - 31.5) ** 2) / 18) * 2 - 1
    changed = apply_changes(spot.expand(64, 1, 3, side, side).contiguous(), draw(64, ("crop", "geometry")))
    weight = (changed[:, 0, 0] + 1).clamp(min=0)
    for places in (x, y):
        mean = (weight * places).sum(dim=(1, 2)) / weight.sum(dim=(1, 2))
        assert float((mean - 31.5).abs().max()) < side / 8
        assert float((mean - 31.5).abs().max()) > 1


def test_colour_keeps_grey_grey_and_its_order() -> None:
    ramp = torch.linspace(-1, 1, 16).expand(8, 1, 3, 16, 16).contiguous()
    changed = apply_changes(ramp, draw(8, ("colour",)))[:, 0]
    torch.testing.assert_close(changed, changed[:, :1].expand(-1, 3, -1, -1), atol=1e-5, rtol=0)
    assert bool((changed.diff(dim=-1) > 0).all())
    torch.testing.assert_close(changed[..., [0, -1]], ramp[:, 0, :, :, [0, -1]], atol=1e-2, rtol=0)


def test_some_triplets_lose_their_colours_in_all_roles_alike() -> None:
    count = 2000
    images = torch.rand(1, 2, 3, 4, 4, generator=torch.Generator().manual_seed(1)).expand(
        count, -1, -1, -1, -1
    )
    changed = apply_changes(images * 2 - 1, draw(count, ("colour",)))
    spread = (changed - changed.mean(dim=2, keepdim=True)).abs().amax(dim=(2, 3, 4))  # [N, R]
    grey = spread < 1e-4
    assert torch.equal(grey[:, 0], grey[:, 1])
    assert (
        0.05 < float(grey[:, 0].float().mean()) < 0.10
    )  # 0.5 * 0.15, with five standard deviations around it


def test_a_part_of_the_batch_changes_as_in_the_whole() -> None:
    images, changes = smooth(8), draw(8, KINDS)
    whole = apply_changes(images, changes)
    for first, count in ((0, 3), (3, 5)):
        part = apply_changes(images[first : first + count], changes.part(first, count))
        torch.testing.assert_close(part, whole[first : first + count])


def test_leaving_a_kind_out_keeps_what_the_others_draw() -> None:
    whole, less = draw(16, KINDS), draw(16, ("flip", "crop", "geometry"))
    assert torch.equal(whole.affine, less.affine)
    assert not torch.equal(whole.gamma, less.gamma)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(
        DistillError, match="'blur' is not one of flip, crop, geometry, colour, sharpness, none"
    ):
        check_kinds(["flip", "blur"])
