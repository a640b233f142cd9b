"""Style mixing in w+, and the ways to name a crossover."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from distill.edits import StyleMix, parse_crossover
from distill.errors import DistillError


def test_mixed_takes_content_below_its_crossover_and_style_above() -> None:
    parents = torch.randn(2, 2, 6, 3)
    roles = StyleMix(low=1, high=5).apply(parents, {"crossover": np.array([2, 5])})
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
