"""The pool of earlier outputs, beside a plain list that does as the public code does."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from distill.training.cyclegan.pool import ImagePool

CPU = torch.device("cpu")


def numbered(first: int, count: int) -> Tensor:
    return torch.arange(first, first + count).float()[:, None, None, None].expand(-1, 3, 2, 2).contiguous()


def test_half_of_what_is_shown_is_old_and_nothing_is_lost() -> None:
    pool, kept = ImagePool(50, 2, 2, device=CPU), list[float]()
    old = 0
    for number in range(250):
        images = numbered(4 * number, 4)
        shown = pool.exchange(images, torch.Generator().manual_seed(number))
        for given, seen in zip(images[:, 0, 0, 0].tolist(), shown[:, 0, 0, 0].tolist(), strict=True):
            if len(kept) < 50:
                assert seen == given
                kept.append(given)
            elif seen != given:
                kept[kept.index(seen)] = given  # an image that was kept, and is kept no longer
                old += 1
        assert sorted(pool.images[: pool.count, 0, 0, 0].tolist()) == sorted(kept)
    assert pool.count == 50
    assert 420 < old < 530  # of 950


def test_a_pool_of_none_shows_what_comes() -> None:
    images = numbered(0, 3)
    assert torch.equal(ImagePool(0, 2, 2, device=CPU).exchange(images, torch.Generator()), images)


def test_a_state_goes_on_and_one_that_cannot_be_is_refused() -> None:
    pool, other = (ImagePool(3, 2, 2, device=CPU) for _ in range(2))
    pool.exchange(numbered(0, 5), torch.Generator().manual_seed(1))
    other.load_state(pool.state())
    shown = [one.exchange(numbered(9, 4), torch.Generator().manual_seed(2)) for one in (pool, other)]
    assert torch.equal(*shown)
    with pytest.raises(ValueError, match="a pool of 3 images holds 4"):
        other.load_state({**pool.state(), "count": 4})
