"""What is done with w+ that are known."""

from __future__ import annotations

import torch

from distill.pixels import to_uint8
from distill.stylegan2.mixing import between, drawn, mixed, moved, noise_spread, pulled


def latents(count: int, num_ws: int = 8, width: int = 5, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, num_ws, width, generator=torch.Generator().manual_seed(seed))


def test_a_mix_has_the_contents_layers_below_the_crossover_and_the_styles_from_there_on():
    contents, styles = latents(2), latents(3, seed=1)
    found = mixed(contents, styles, 3)
    assert found.shape == (2, 3, 8, 5)
    for row in range(2):
        for column in range(3):
            assert torch.equal(found[row, column, :3], contents[row, :3])
            assert torch.equal(found[row, column, 3:], styles[column, 3:])


def test_strips_begin_and_end_where_they_should():
    first, last = latents(2)
    strip = between(first, last, 5)
    assert torch.equal(strip[0], first)
    assert torch.equal(strip[4], last)
    assert torch.allclose(strip[2], (first + last) / 2)


def test_psi_pulls_to_the_mean():
    ws, mean = latents(2), torch.arange(5.0)
    found = pulled(ws, mean, (0, 0.5, 1))
    assert torch.equal(found[1, 0], mean.expand(8, 5))
    assert torch.allclose(found[:, 1], (ws + mean) / 2)
    assert torch.allclose(found[:, 2], ws)


def test_moved_by_each_strength():
    ws, vector = latents(2), latents(1, seed=3)[0]
    found = moved(ws, vector, (-2, 0, 1))
    assert torch.equal(found[:, 1], ws)
    assert torch.allclose(found[1, 0], ws[1] - 2 * vector)
    assert torch.allclose(found[1, 2], ws[1] + vector)


def test_drawing_many_is_drawing_each(tiny_teacher):
    ws = tiny_teacher.map(torch.randn(6, tiny_teacher.z_dim, generator=torch.Generator().manual_seed(0)))
    grid = drawn(tiny_teacher, ws.unflatten(0, (2, 3)))
    assert grid.shape == (2, 3, 32, 32, 3)
    one = to_uint8(tiny_teacher.synthesize(ws[4:5]))[0].int()
    assert (grid[1, 1].int() - one).abs().max() <= 1


def test_noise_spreads_pixels_only_where_there_is_noise(tiny_teacher):
    ws = tiny_teacher.w_avg.expand(tiny_teacher.num_ws, -1)
    assert noise_spread(tiny_teacher, ws, 8).mean() > 0.1
