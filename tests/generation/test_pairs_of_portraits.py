"""Pairs from the embedded teacher, looked at by the real detector, scorer and face descriptor."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from attribute_edits import generate_small

from distill.attributes.open import open_scorer
from distill.directions.file import Direction
from distill.errors import DistillError
from distill.faces.detection import FaceDetector
from distill.faces.identity import descriptor_sha256
from distill.generation.filters.identity import IdentityFilter
from distill.generation.recipe import Recipe
from distill.stylegan2.facts import teacher_facts
from distill.stylegan2.generator import Generator
from distill.stylegan2.load import load_generator
from pipelines import RECIPES


@pytest.fixture(scope="module")
def portraits() -> Generator:
    return load_generator("portraits")


@pytest.fixture(scope="module")
def somewhere(portraits: Generator) -> Direction:
    """A made-up direction, one step of about a standard deviation of w: it moves age by a little."""
    z = torch.randn(2, portraits.z_dim, generator=torch.Generator().manual_seed(3))
    first, second = portraits.map(z)
    return Direction(
        name="somewhere",
        attribute="age",
        vector=(second - first) / 4,
        generator_sha256=portraits.sha256,
        sha256="12" * 32,
    )


def recipe_for(direction: Direction, **models: str) -> Recipe:
    base = RECIPES["ageing"].reselected(min_gap=0.5).revised(strength=1.0)
    base = base.refiltered("outside", max_change=1.0).refiltered("identity", max_distance=2.0)
    models = {"landmarks_sha256": FaceDetector().landmarks_sha256, **models}
    return base.bind(teacher_facts("portraits"), directions=[direction], **models)


def test_pairs_of_faces_have_scores_landmarks_and_distances(
    portraits: Generator, somewhere: Direction
) -> None:
    scorer = open_scorer("builtin", "age")
    recipe = recipe_for(somewhere, descriptor_sha256=descriptor_sha256(), scorer_sha256=scorer.sha256)
    content = generate_small(
        recipe, 0, 4, teacher=portraits, directions=[somewhere], scorer=scorer, threads=2
    )
    assert {name for name in content.columns if name.startswith("scores/")} >= {
        "scores/age",
        "scores/gender",
        "scores/identity",
        "scores/outside",
    }
    ages, rows = content.columns["scores/age"], np.arange(4)
    assert ages.shape == (4, 5)
    before, after = (ages[rows, content.columns[f"params/{role}_picture"]] for role in ("source", "target"))
    assert (after - before >= 0.5).all()
    assert ((ages > 5) & (ages < 80))[np.isfinite(ages)].all()
    distance, outside = content.columns["scores/identity"], content.columns["scores/outside"]
    assert ((distance > 0) & (distance < 1.2)).all()
    assert ((outside > 0) & (outside < 100)).all()
    for role in ("source", "target"):
        assert content.columns[f"landmarks/{role}"].shape == (4, 68, 2)


def test_another_descriptor_or_landmark_model_than_the_recipe_s_is_refused(somewhere: Direction) -> None:
    with pytest.raises(DistillError, match="face descriptor model here"):
        IdentityFilter(max_distance=0.6, descriptor_sha256="0" * 64).prepare()
    faces = recipe_for(somewhere, landmarks_sha256="0" * 64).faces
    assert faces is not None
    with pytest.raises(DistillError, match="landmark model here"):
        faces.detector()


def test_the_scorer_is_asked_for_what_the_task_edits() -> None:
    gender, age = (open_scorer("builtin", attribute) for attribute in ("gender", "age"))
    assert list(gender.names) == ["gender"]
    assert {"gender", "age"} <= set(age.names)
    assert gender.sha256 != age.sha256
    assert open_scorer("builtin", ("gender",)).sha256 == gender.sha256, "no network that is not needed"
    assert open_scorer("builtin", ("age", "gender")).sha256 == age.sha256
    assert list(open_scorer("builtin", "smile").names) == ["smile"]
    assert list(open_scorer("builtin", ("yaw", "age")).names) == ["gender", "age", "age_spread", "yaw"]
    with pytest.raises(
        DistillError,
        match="unknown attribute 'hat': the scorer 'builtin' gives gender, age, smile, yaw",
    ):
        open_scorer("builtin", "hat")
    with pytest.raises(DistillError, match="nobody"):
        open_scorer("nobody.toml", "hat")
