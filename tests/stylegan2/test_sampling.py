"""Latents depend on seed, purpose, shard and candidate: nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from distill.stylegan2.sampling import normal, sample_integers, sample_z, uniform

GOLDEN_Z = [
    [
        -1.8219438791275024,
        -0.46347907185554504,
        -0.21560443937778473,
        0.1939174383878708,
        -1.6026402711868286,
        1.4767732620239258,
    ],
    [
        -1.1115496158599854,
        1.1631131172180176,
        -0.9911496043205261,
        1.4817094802856445,
        1.3556873798370361,
        1.4831923246383667,
    ],
]


def test_z_values_are_those_of_the_first_release() -> None:
    assert normal(0, 1, 0, 0, 6).tolist() == GOLDEN_Z[0]
    assert normal(7, 2, 3, 1000, 6).tolist() == GOLDEN_Z[1]


def test_a_candidate_does_not_depend_on_its_batch() -> None:
    alone = sample_z(5, 2, [17], (1, 2), 33)
    among = sample_z(5, 2, range(10, 20), (1, 2), 33)
    np.testing.assert_array_equal(alone[0], among[7])


@pytest.mark.parametrize("other", [(1, 1, 0, 0), (0, 2, 0, 0), (0, 1, 1, 0), (0, 1, 0, 1)])
def test_every_part_of_the_address_makes_another_stream(other: tuple[int, int, int, int]) -> None:
    assert not np.isin(normal(0, 1, 0, 0, 64), normal(*other, 64)).any()


def test_z_is_standard_normal() -> None:
    z = np.concatenate([normal(1, 1, 0, candidate, 512) for candidate in range(400)]).astype(np.float64)
    assert z.dtype == np.float64
    assert abs(z.mean()) < 0.01
    assert abs(z.var() - 1) < 0.015
    assert abs((z**4).mean() - 3) < 0.06
    assert abs(np.corrcoef(z[:-1], z[1:])[0, 1]) < 0.01


def test_uniform_numbers_fill_the_unit_interval() -> None:
    u = uniform(0, 3, 0, 0, 10_000)
    assert 0 <= u.min() < 0.001
    assert 0.999 < u.max() < 1


def test_integers_cover_both_ends_evenly() -> None:
    draws = sample_integers(0, 3, 0, range(3000), 4, 6)
    values, counts = np.unique(draws, return_counts=True)
    assert values.tolist() == [4, 5, 6]
    assert counts.min() > 900
