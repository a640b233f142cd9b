"""Drawings of photographs: few colours, lines where a face has them, and each drawn once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylegan_weights.making.draw_photos import SIDE, at_side, draw_folder, drawn, features, ink_lines


def portrait(skin: int) -> np.ndarray:
    """A disc of one grey on a dark ground, with noise as of a photograph and two dark bars for eyes."""
    y, x = np.mgrid[:SIDE, :SIDE]
    photo = np.where((x - 64) ** 2 + (y - 64) ** 2 < 45**2, skin, skin - 60).astype(float)
    for left in (44, 72):
        photo[54:58, left : left + 12] -= 30
    photo = photo[..., None] + np.random.default_rng(0).normal(0, 3, (SIDE, SIDE, 3))
    return photo.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("skin", [90, 220])
def test_eyes_and_outline_are_inked_and_the_rest_is_flat_on_dark_and_light_skin(skin: int) -> None:
    photo, drawing = portrait(skin), drawn(portrait(skin), None)
    assert drawing.shape == photo.shape
    cheek = np.s_[75:95, 55:75]
    assert drawing[cheek].std() < photo[cheek].std() / 2
    assert drawing[56, 46:54].mean() < drawing[cheek].mean() / 2  # an eye
    assert drawing[64, 18:20].mean() < 0.8 * drawing[64, 8:14].mean()  # the outline, on the ground's side


def test_a_weak_edge_becomes_a_line_where_landmarks_say_that_a_feature_is() -> None:
    lightness = np.full((SIDE, SIDE), 60.0)
    lightness[:, 64:] = 48.0
    lightness[:16] += np.random.default_rng(0).normal(0, 12, (16, SIDE))  # stronger edges elsewhere
    marks = np.stack([np.full(68, 64.0), np.linspace(40, 110, 68)], axis=1)
    without, near = (ink_lines(lightness, features(found))[60:90, 60:70].max() for found in (None, marks))
    assert near > without


def test_landmarks_beyond_the_border_do_no_harm() -> None:
    marks = np.random.default_rng(0).uniform(-40, SIDE + 40, (68, 2))
    assert features(marks).max() <= 1
    assert not features(None).any()


def test_a_folder_is_drawn_once_and_any_size_becomes_128_px(tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "drawings"
    photos.mkdir()
    Image.fromarray(portrait(200)).resize((160, 160)).save(photos / "a.png")
    draw_folder(photos, out)
    assert np.asarray(Image.open(out / "a.png")).shape == (SIDE, SIDE, 3)
    before = (out / "a.png").stat().st_mtime_ns
    draw_folder(photos, out)
    assert (out / "a.png").stat().st_mtime_ns == before
    assert at_side(portrait(200)).shape == (SIDE, SIDE, 3)
