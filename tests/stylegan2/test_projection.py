"""Embedding images into a generator, and editing them there."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from attribute_edits import Redness, planted, write_planted

from distill.editing.latent_edit import LatentEdit
from distill.errors import DistillError
from distill.faces.detection import Face
from distill.networks.image_distance import FeatureDistance
from distill.networks.perceptual import load_perceptual
from distill.pixels import to_numpy, to_uint8
from distill.stylegan2.generator import Generator
from distill.stylegan2.projection import RATE, Projected, project, rate_at

NO_FEATURES = load_perceptual("none")
PIXELS_ALONE = FeatureDistance(NO_FEATURES)
SOMEBODY = Face(box=(0, 0, 31, 31), confidence=1.0, landmarks=np.zeros((68, 2)))


def drawn(teacher: Generator, count: int) -> torch.Tensor:
    z_NZ = torch.randn(count, teacher.z_dim, generator=torch.Generator().manual_seed(3))
    return teacher.synthesize(teacher.map(z_NZ)).clone()


def missed(found: Projected, images: torch.Tensor) -> torch.Tensor:
    return (found.images - images).abs().mean(dim=(1, 2, 3))


def test_drawn_pictures_are_found_again(tiny_teacher):
    images = drawn(tiny_teacher, 3)
    heard = []
    found = project(tiny_teacher, images, distance=PIXELS_ALONE, steps=150, advance=heard.append)
    mean = tiny_teacher.synthesize(tiny_teacher.w_avg.expand(3, tiny_teacher.num_ws, -1))
    assert (missed(found, images) < 0.3 * (mean - images).abs().mean(dim=(1, 2, 3))).all()
    assert torch.equal(tiny_teacher.synthesize(found.ws), found.images)
    assert heard == list(range(1, 151))


def test_more_steps_come_nearer_and_the_same_call_gives_the_same(tiny_teacher):
    images = drawn(tiny_teacher, 2)
    few, many, again = (
        project(tiny_teacher, images, distance=PIXELS_ALONE, steps=steps, seed=1) for steps in (20, 120, 120)
    )
    assert (missed(many, images) < missed(few, images)).all()
    assert torch.equal(many.ws, again.ws)


def test_an_image_does_not_depend_on_which_others_are_embedded_with_it(tiny_teacher):
    images = drawn(tiny_teacher, 4)
    together, turned = (
        project(tiny_teacher, some, distance=PIXELS_ALONE, steps=60, stalled=0.5)
        for some in (images, torch.cat([images[:1].flip(3), images[1:3], torch.zeros_like(images[:1])]))
    )
    assert torch.equal(together.ws[1:3], turned.ws[1:3])
    assert together.steps[1:3] == turned.steps[1:3]
    alone = project(tiny_teacher, images[2:3], distance=PIXELS_ALONE, steps=60, stalled=0.5)
    assert torch.allclose(alone.images, together.images[2:3], atol=0.02)


def test_one_w_for_all_layers_comes_less_near_than_one_for_each(tiny_teacher):
    images = drawn(tiny_teacher, 2).flip(3)
    one, many = (
        project(tiny_teacher, images, distance=PIXELS_ALONE, space=space, steps=80) for space in ("w", "w+")
    )
    assert torch.equal(one.ws, one.ws[:, :1].expand_as(one.ws))
    assert one.ws.shape == many.ws.shape
    assert (missed(many, images) < missed(one, images)).all()


def test_what_stalls_ends_sooner(tiny_teacher):
    images = drawn(tiny_teacher, 2)
    heard = []
    full, early = (
        project(tiny_teacher, images, distance=PIXELS_ALONE, steps=200, stalled=stalled, advance=heard.append)
        for stalled in (0.0, 0.5)
    )
    assert full.steps == (200, 200)
    assert max(early.steps) < 200
    assert heard[200:] == list(range(1, max(early.steps) + 1))
    mean = tiny_teacher.synthesize(tiny_teacher.w_avg.expand(2, tiny_teacher.num_ws, -1))
    assert (missed(early, images) < 0.7 * (mean - images).abs().mean(dim=(1, 2, 3))).all()


def test_perceptual_features_take_part(tiny_teacher):
    images = drawn(tiny_teacher, 1)
    alone, seen = (
        project(tiny_teacher, images, distance=distance, steps=5)
        for distance in (PIXELS_ALONE, FeatureDistance(load_perceptual("efficientnet_lite0")))
    )
    assert not torch.equal(alone.ws, seen.ws)


def test_the_rate_rises_stays_and_falls_to_nothing():
    assert [rate_at(x) for x in (0.0, 0.05, 0.5, 0.75, 1.0)] == pytest.approx([0, RATE, RATE, RATE, 0])
    assert rate_at(0.025) == pytest.approx(RATE / 2)
    assert rate_at(0.875) == pytest.approx(RATE / 2)


def test_other_sizes_are_refused(tiny_teacher):
    with pytest.raises(DistillError, match=r"\[1, 3, 16, 16\], this generator draws \[N, 3, 32, 32\]"):
        project(tiny_teacher, torch.zeros(1, 3, 16, 16), distance=PIXELS_ALONE)
    with pytest.raises(DistillError, match="0 steps"):
        project(tiny_teacher, torch.zeros(1, 3, 32, 32), distance=PIXELS_ALONE, steps=0)


def an_edit(teacher, tmp_path, attribute="gender", **changes):
    direction = write_planted(tmp_path / "redder.safetensors", teacher, attribute)
    fields = {
        "generator": teacher, "direction": direction, "strength": 2.0, "features": NO_FEATURES,
        "way": None, "scorer": Redness(planted(teacher)[1]), "steps": 120,
    }  # fmt: skip
    return LatentEdit(**fields | changes)


def red(images):
    return np.array([image[..., 0].mean() for image in images])


def test_each_face_goes_to_the_other_class(tiny_teacher, tmp_path):
    images = list(to_numpy(to_uint8(drawn(tiny_teacher, 6))))
    edit = an_edit(tiny_teacher, tmp_path)
    was_red = red(images) > edit.scorer.middle
    assert 0 < was_red.sum() < 6
    change = red(edit(images, [SOMEBODY] * 6)) - red(images)
    assert ((change < 0) == was_red).all()


def test_with_a_way_all_go_there_and_come_back_in_their_size(tiny_teacher, tmp_path):
    images = [
        np.kron(image, np.ones((2, 2, 1), np.uint8)) for image in to_numpy(to_uint8(drawn(tiny_teacher, 3)))
    ]
    edit = an_edit(tiny_teacher, tmp_path, "age", way=1, scorer=None)
    edited = edit(images, [SOMEBODY] * 3)
    assert [image.shape for image in edited] == [(64, 64, 3)] * 3
    assert (red(edited) > red(images)).all()


def test_an_edit_that_cannot_be_is_refused(tiny_teacher, tmp_path):
    with pytest.raises(DistillError, match="a scorer of 'gender' is needed"):
        an_edit(tiny_teacher, tmp_path, scorer=None)
    stranger = write_planted(
        tmp_path / "other.safetensors", tiny_teacher, "gender", generator_sha256="cd" * 32
    )
    with pytest.raises(DistillError, match="belongs to the generator with sha256 cdcdcdcdcdcd"):
        an_edit(tiny_teacher, tmp_path, direction=stranger)
