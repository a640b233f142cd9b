"""A face moved along a direction by way of each latent space."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from attribute_edits import write_planted

from distill.editing.embedding import Space
from distill.editing.space_edit import open_space_edit, shipped_encoder
from distill.errors import DistillError
from distill.pixels import to_numpy, to_uint8
from distill.stylegan2.generator import Generator
from distill.stylegan2.load import load_generator


def drawn_face(teacher: Generator) -> np.ndarray:
    """What the generator draws of its mean w, as a photograph of 48 px would show it."""
    (image,) = to_numpy(to_uint8(teacher.synthesize(teacher.w_avg.expand(1, teacher.num_ws, -1))))
    return image.repeat(2, axis=0).repeat(2, axis=1)


@pytest.mark.parametrize("space", ["w", "w+", "pti"])
def test_the_face_moves_the_way_that_is_asked_for(
    tmp_path: Path, tiny_teacher: Generator, space: Space
) -> None:
    direction = write_planted(tmp_path / "redder.safetensors", tiny_teacher, "gender")
    move = open_space_edit(tiny_teacher, space, direction, 2.0)
    move.embedder.steps, move.embedder.tuning_steps = 3, 2
    face = drawn_face(tiny_teacher)
    up, down, kept = move(face, 1), move(face, -1), replace(move, strength=0.0)(face, 1)
    assert up.shape == down.shape == face.shape
    assert up[..., 0].mean() > kept[..., 0].mean() + 2 > down[..., 0].mean() + 4


def test_the_encoder_of_a_generator_comes_with_it_or_is_told_to_be_missing(tiny_teacher: Generator) -> None:
    with pytest.raises(DistillError, match=r"no encoder of the generator with sha256 .* embed by w or w\+"):
        shipped_encoder(tiny_teacher)
    portraits = load_generator("portraits", precision="fp32")
    assert shipped_encoder(portraits).generator_sha256 == portraits.sha256


def test_a_direction_of_another_generator_is_refused(tmp_path: Path, tiny_teacher: Generator) -> None:
    direction = write_planted(
        tmp_path / "redder.safetensors", tiny_teacher, "gender", generator_sha256="1" * 64
    )
    with pytest.raises(DistillError, match=r"another generator|sha256"):
        open_space_edit(tiny_teacher, "w", direction, 1.0)
