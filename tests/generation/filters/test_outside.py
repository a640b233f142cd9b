"""What counts as a change outside the face."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from distill.generation.filters.outside import change_outside, face_mask


def oval(side: int) -> Any:
    angle = np.linspace(0, 2 * np.pi, 68, endpoint=False)
    return side / 2 + np.stack([np.cos(angle), np.sin(angle)], axis=1) * side / 5


def test_change_outside_the_face_counts_only_that() -> None:
    before = np.full((60, 60, 3), 100, dtype=np.uint8)
    inside, outside = before.copy(), before.copy()
    inside[25:35, 25:35] = 255
    outside[:, :5] = 50
    face = oval(60)
    mask = face_mask([face], 60, 60)
    assert mask.mean() == pytest.approx(np.pi * 0.3**2, rel=0.05), "the hull, half as wide again"
    assert change_outside(before, inside, [face, face]) == 0
    assert change_outside(before, outside, [face, face]) == pytest.approx(50 / 255 * 300 / (~mask).sum())
    assert change_outside(outside, before, [face, face]) > 0, "uint8 does not wrap round"
    assert np.isnan(change_outside(before, before, [face * 10 - 270]))
