"""Style mixing in w+, and the ways to name a crossover."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from distill.directions.file import Direction
from distill.errors import DistillError
from distill.generation.edits.along_direction import AlongDirection
from distill.generation.edits.morph import Morph
from distill.generation.edits.style_mix import Crossover, StyleMix, parse_crossover


def test_mixed_takes_content_below_its_crossover_and_style_above() -> None:
    parents = torch.randn(2, 2, 6, 3)
    roles = StyleMix(crossover=Crossover(lo=1, hi=5)).apply(parents, {"crossover": np.array([2, 5])})
    for i, crossover in enumerate([2, 5]):
        assert torch.equal(roles["mixed"][i, :crossover], parents[i, 0, :crossover])
        assert torch.equal(roles["mixed"][i, crossover:], parents[i, 1, crossover:])
    assert torch.equal(roles["content"], parents[:, 0])
    assert torch.equal(roles["style"], parents[:, 1])


@pytest.mark.parametrize(
    ("spec", "num_ws", "expected"),
    [
        ("half", 18, (9, 9)),
        ("half", 10, (5, 5)),
        ("fine", 18, (8, 8)),
        ("fine", 10, (8, 8)),
        ("7", 10, (7, 7)),
        ("4-8", 18, (4, 8)),
    ],
)
def test_crossover_names(spec: str, num_ws: int, expected: tuple[int, int]) -> None:
    assert parse_crossover(spec, num_ws) == expected


@pytest.mark.parametrize("spec", ["0", "10", "8-4", "3-10", "fine", "middle", "", "-3", "4-", "1e1", "99999"])
def test_a_crossover_outside_the_network_is_refused_by_name(spec: str) -> None:
    with pytest.raises(DistillError, match="crossover") as refused:
        parse_crossover(spec, 8 if spec == "fine" else 10)
    assert repr(spec) in str(refused.value)


def along(vector: torch.Tensor, **settings: Any) -> AlongDirection:
    direction = Direction(
        name="d", attribute="age", vector=vector, generator_sha256="ab" * 32, sha256="cd" * 32
    )
    return AlongDirection(attribute="age", sha256="cd" * 32, **settings).ready([direction])


def test_a_direction_is_added_at_each_strength_and_leaves_the_layers_that_it_lacks() -> None:
    vector = torch.zeros(6, 3)
    vector[2:5] = torch.randn(3, 3)
    edit = along(vector, strength=2.0, fractions=(-1.0, 0.0, 1.0))
    parents = torch.randn(4, 1, 6, 3)
    ws = edit.apply(parents, {})
    assert list(ws) == ["strength0", "strength1", "strength2"] == list(edit.together)
    assert torch.equal(ws["strength1"], parents[:, 0])
    assert torch.allclose(ws["strength2"] - ws["strength0"], 4 * vector.expand(4, 6, 3), atol=1e-6)
    assert edit.shared_layers == 2
    assert torch.equal(ws["strength0"][:, :2], ws["strength2"][:, :2])


def test_the_source_end_is_drawn_per_candidate_and_evenly() -> None:
    edit = along(torch.ones(6, 3), fractions=(-1.0, 1.0))
    ends = edit.sample(0, 0, range(400))["source_end"]
    assert 160 < ends.sum() < 240
    assert edit.sample(0, 0, range(300, 310))["source_end"].tolist() == ends[300:310].tolist()


def test_a_morph_is_the_mean() -> None:
    parents = torch.randn(4, 2, 6, 3)
    ws = Morph().apply(parents, {})
    assert torch.allclose(ws["morph"], parents.mean(dim=1))
    assert torch.equal(ws["first"], parents[:, 0])
