"""The face filter on the embedded teacher and on pictures without one face."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from attribute_edits import batch_of, generate_small

from distill.errors import DistillError
from distill.faces.alignment import ffhq_quad, warp_quad
from distill.faces.detection import FaceDetector
from distill.generation.align import framed
from distill.generation.batch import Batch
from distill.generation.recipe import Recipe
from distill.pixels import to_uint8
from distill.stylegan2.facts import teacher_facts
from distill.stylegan2.generator import Generator
from distill.stylegan2.load import load_generator
from distill.stylegan2.sampling import CONTENT, sample_z
from pipelines import RECIPES


@pytest.fixture(scope="module")
def portraits() -> Generator:
    return load_generator("portraits")


def recipe_for(**choices: Any) -> Recipe:
    base = RECIPES["style-mix"].revised(**choices)
    return base.bind(teacher_facts("portraits"), landmarks_sha256=FaceDetector().landmarks_sha256)


def faces_of(teacher: Generator, count: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    z = torch.from_numpy(sample_z(0, 0, range(count), (CONTENT,), teacher.z_dim)[:, 0])
    return to_uint8(teacher.synthesize(teacher.map(z, truncation_psi=0.7))).numpy()


def judge(batch: Batch, recipe: Recipe) -> None:
    """Look for faces, and ask the face filter alone."""
    assert recipe.faces is not None
    batch.find_faces(recipe.roles, recipe.faces.detector())
    recipe.filters[-1].judge(batch, recipe)


def batch_with_mixed(good: np.ndarray[Any, Any], mixed: np.ndarray[Any, Any]) -> Batch:
    images = {"content": good, "style": good, "mixed": mixed}
    return batch_of({role: torch.from_numpy(x.copy()) for role, x in images.items()})


def test_drops_are_named_by_what_is_wrong(portraits: Generator) -> None:
    good = faces_of(portraits, 4)
    mixed = good.copy()
    mixed[1] = 127  # nothing to see
    mixed[2] = np.roll(good[2], 16, axis=1)  # a face a quarter of the picture off
    batch = batch_with_mixed(good, mixed)
    judge(batch, recipe_for())
    assert batch.reasons == [None, "face.none", "face.framing", None]
    assert np.isfinite(batch.scores["face_confidence"][0]).all()
    assert np.isnan(batch.scores["face_confidence"][1, 2])
    assert batch.scores["face_framing"][2, 2] > 0.15
    assert batch.landmarks("style", 0).shape == (68, 2)


def test_two_faces_are_one_too_many(portraits: Generator) -> None:
    good = faces_of(portraits, 2)
    pair = np.concatenate([good[0], good[1]], axis=1)
    square = np.concatenate([pair, np.full_like(pair, 128)], axis=0)[None]
    batch = batch_with_mixed(square, square)
    judge(batch, recipe_for(faces={"detect_size": 256}))  # each face fills 100 px of it
    assert batch.reasons == ["face.several"]

    as_shipped = batch_with_mixed(square, square)
    judge(as_shipped, recipe_for())
    assert as_shipped.reasons == ["face.none"], "too small to be seen at 144 px, and dropped all the same"


def test_a_candidate_that_was_dropped_is_not_looked_at(portraits: Generator) -> None:
    good = faces_of(portraits, 2)
    batch = batch_with_mixed(good, good)
    batch.reasons[0] = "ssim.nothing-changed"
    judge(batch, recipe_for())
    assert batch.reasons == ["ssim.nothing-changed", None]
    assert np.isnan(batch.scores["face_confidence"][0]).all()
    assert batch.faces["content"][0] is None


def test_another_landmark_model_than_the_recipe_s_is_refused() -> None:
    faces = recipe_for().faces
    assert faces is not None
    with pytest.raises(DistillError, match="landmark model"):
        faces.model_copy(update={"landmarks_sha256": "0" * 64}).detector()


def test_the_embedded_teacher_passes_and_rows_carry_landmarks(portraits: Generator) -> None:
    content = generate_small(recipe_for(), 0, 8, teacher=portraits)
    assert len(content.tried["candidate"]) <= 10
    for role in ("content", "style", "mixed"):
        landmarks, quads = content.columns[f"landmarks/{role}"], content.columns[f"quads/{role}"]
        assert landmarks.shape == (8, 68, 2)
        np.testing.assert_allclose(quads[3], ffhq_quad(landmarks[3]), atol=1e-3)
        corners = np.array([[0, 0], [0, 64], [64, 64], [64, 0]]) - 0.5
        assert np.abs(quads - corners).max() < 0.15 * 64


@pytest.mark.parametrize("align", ["ffhq", "chip"])
def test_registered_roles_share_one_warp_and_the_style_has_its_own(portraits: Generator, align: str) -> None:
    recipe = recipe_for(align=align)
    good = faces_of(portraits, 3)
    pictures = {"content": good, "style": np.roll(good, 1, axis=0), "mixed": 255 - good}
    batch = batch_of({role: torch.from_numpy(x.copy()) for role, x in pictures.items()})
    batch.find_faces(["content", "style"], FaceDetector(detect_size=192))
    stored = framed(batch, [0, 2], recipe)
    inner = np.s_[:, 20:44, 20:44]
    negative = 255 - stored["mixed"].astype(int)
    assert np.abs(negative[inner] - stored["content"][inner]).max() <= 2, "content's warp, not its own"
    assert np.abs(stored["style"][0].astype(int) - stored["content"][0]).mean() > 3
    if align == "ffhq":
        expected = warp_quad(good[2], ffhq_quad(batch.landmarks("content", 2)), 64)
        np.testing.assert_array_equal(stored["content"][1], expected)
