"""Perceptual path length: the numbers of the public program on a reference network, and its two forms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from distill.metrics.path_length import (
    KINDS,
    PathEnds,
    PathKind,
    as_compared,
    draw_steps,
    forms_differ,
    mean_path_length,
    slerp,
    step_distances,
)
from distill.stylegan2.load import build_generator
from distill.weights.checkpoint import Checkpoint

GOLDEN = Path(__file__).parents[1] / "golden"
CROPPED = PathKind(space="w", full=True, crop=True)
WHOLE = PathKind(space="w", full=True, crop=False)


class PooledPixels:
    """Pixels from 0 to 1, averaged to 4x4, in place of LPIPS."""

    name = "pooled"

    def features(self, images_NCHW):
        return [F.adaptive_avg_pool2d((images_NCHW + 1) * (255 / 2), 4) / 255]

    def distance(self, found, wanted):
        return (found[0] - wanted[0]).square().flatten(1).sum(dim=1)


@pytest.fixture(scope="module")
def reference():
    with np.load(GOLDEN / "stylegan2_tiny32.npz") as data:
        state = {
            key.removeprefix("state/"): torch.from_numpy(data[key]).clone()
            for key in data.files
            if key.startswith("state/")
        }
    return build_generator(Checkpoint(state=state, facts={}, format="safetensors", sha256="0" * 64))


def as_the_program_draws(generator, kind, batches, batch):
    """Places, latents and noise maps from torch's own generator, in NVIDIA's order."""
    for _ in range(batches):
        place = torch.rand(batch) * (1 if kind.full else 0)
        first, second = torch.randn(batch * 2, generator.z_dim).chunk(2)
        buffers = [
            (name, noise)
            for name, noise in generator.network.synthesis.named_buffers()
            if name.endswith("noise_const")
        ]
        maps = {name: torch.randn_like(noise).expand(batch, 1, -1, -1) for name, noise in buffers}
        yield PathEnds(first=first, second=second, place=place), maps


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ppl_zfull", 194.131),
        ("ppl_wfull", 68.867),
        ("ppl_zend", 279.778),
        ("ppl_wend", 51.364),
        ("ppl2_wend", 27.733),
    ],
)
def test_the_numbers_of_the_public_program(reference, name, expected):
    """NVIDIA's perceptual_path_length.py on the network of 32 px: 16 pairs, batches of 2, seed 0; ε is near the last
    digits of float32."""
    kind, found = KINDS[name], []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for ends, maps in as_the_program_draws(reference, kind, 8, 2):
            found.append(step_distances(draw_steps(reference, ends, maps, kind), PooledPixels(), kind))
    assert mean_path_length(torch.cat(found).numpy()).mean == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize(
    ("side", "tf", "ada"), [(1024, 256, 128), (512, 256, 128), (256, 128, 128), (64, 32, 32)]
)
def test_the_two_forms_compare_crops_of_different_sizes(side, tf, ada):
    rows = torch.arange(side).float()[None, None, :, None].expand(1, 3, -1, side)
    columns = rows.transpose(2, 3)
    for form, seen in (("tf", tf), ("ada", ada)):
        assert as_compared(rows, CROPPED, form).shape == (1, 3, seen, seen)
        middle = [float(as_compared(x, CROPPED, form).mean()) for x in (rows, columns)]
        assert middle == [5 / 8 * side - 0.5, side / 2 - 0.5], "rows 3/8 to 7/8, columns 2/8 to 6/8"
        assert as_compared(rows, WHOLE, form).shape[-1] == min(side, 256)
    assert forms_differ(side, CROPPED) is (tf != ada)
    assert not forms_differ(side, WHOLE)


def test_slerp_goes_round_the_sphere():
    a, b = torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 0.5]])
    half = slerp(a, b, torch.tensor([[0.5]]))
    assert torch.allclose(half, torch.full((1, 2), 0.5).sqrt())
    assert torch.allclose(slerp(a, b, torch.zeros(1, 1)), torch.tensor([[1.0, 0.0]]))


def test_both_ends_of_a_step_get_the_same_noise(reference):
    random = torch.Generator().manual_seed(0)
    ends = PathEnds(
        first=torch.randn(2, reference.z_dim, generator=random),
        second=torch.randn(2, reference.z_dim, generator=random),
        place=torch.rand(2, generator=random),
    )
    maps = {
        name: torch.randn(2, 1, *noise.shape, generator=random)
        for name, noise in reference.network.synthesis.named_buffers()
        if name.endswith("noise_const")
    }
    before, after = draw_steps(reference, ends, maps, KINDS["ppl_wfull"], epsilon=0.0).chunk(2)
    assert torch.equal(before, after)
    quiet, _ = draw_steps(reference, ends, {}, KINDS["ppl_wfull"], epsilon=0.0).chunk(2)
    assert not torch.allclose(before, quiet)


def test_the_extreme_hundredths_are_left_out():
    middle = np.linspace(1, 2, 982)
    distances = np.r_[middle, np.full(9, 1e6), np.full(9, -1e6)]
    np.random.default_rng(0).shuffle(distances)
    found = mean_path_length(distances)
    assert found.mean == pytest.approx(1.5)
    assert (found.low, found.high) == (1.0, 2.0)
    assert found.error == pytest.approx(middle.std() / 982**0.5)
