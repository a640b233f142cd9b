"""Recipes: validated, digested, compared."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import torch

from distill.directions.file import Direction
from distill.errors import DistillError
from distill.generation.edits.along_direction import AlongDirection
from distill.generation.edits.style_mix import Crossover, StyleMix
from distill.generation.filters.face import FaceFilter
from distill.generation.filters.ssim import SsimFilter
from distill.generation.recipe import Recipe, TaskRecipe
from distill.generation.selections.pair import Opposite
from distill.stylegan2.facts import Teacher
from pipelines import RECIPES

TEACHER = Teacher(name="toy", sha256="ab" * 32, resolution=64, num_ws=10, z_dim=32, w_dim=48)


def bound(teacher: Teacher = TEACHER, **choices: Any) -> Recipe:
    return RECIPES["style-mix"].revised(**choices).bind(teacher, landmarks_sha256="cd" * 32)


def test_a_bound_recipe_has_every_choice_as_a_value() -> None:
    recipe = bound()
    assert recipe.edit == StyleMix(crossover=Crossover(lo=5, hi=5))
    assert recipe.resolution == 64
    assert recipe.codec == "raw"
    assert recipe.roles == ("content", "style", "mixed")
    assert recipe.faces is not None
    assert recipe.faces.landmarks_sha256 == "cd" * 32


def test_json_round_trip_keeps_recipe_and_digest() -> None:
    recipe = bound(crossover="3-7", seed=2**62)
    again = Recipe.from_json(recipe.to_json())
    assert again == recipe
    assert again.digest == recipe.digest
    assert len(recipe.digest) == 12


def test_the_digest_names_data_not_labels() -> None:
    renamed = TEACHER.model_copy(update={"name": "other", "licence": "CC0", "origin": "elsewhere"})
    assert bound(renamed).digest == bound().digest
    assert bound(TEACHER.model_copy(update={"sha256": "ba" * 32})).digest != bound().digest


@pytest.mark.parametrize(
    ("choices", "key"),
    [
        ({"seed": 1}, "seed"),
        ({"truncation_psi": 0.5}, "truncation_psi"),
        ({"truncation_cutoff": 4}, "truncation_cutoff"),
        ({"crossover": "4"}, "--crossover"),
        ({"noise": "none"}, "noise"),
        ({"resolution": 32}, "resolution"),
        ({"codec": "jpeg"}, "codec"),
        ({"latents": "float16"}, "latents"),
        ({"shard_size": 128}, "shard_size"),
        ({"align": "ffhq"}, "align"),
    ],
)
def test_each_choice_changes_the_digest_and_is_named_as_the_difference(
    choices: dict[str, Any], key: str
) -> None:
    difference = bound().difference(bound(**choices))
    assert difference is not None
    assert difference.startswith(f"{key} is ")


def test_same_recipe_has_no_difference() -> None:
    assert bound().difference(bound(TEACHER.model_copy(update={"name": "x"}))) is None


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"resolution": 128}, "above the teacher's 64"),
        ({"resolution": 24}, "does not divide"),
        ({"resolution": 2}, "resolution 2 is too small: 4 px is the least"),
        ({"resolution": 0}, "resolution 0 is too small: 4 px is the least"),
        ({"shard_size": 0}, "shard_size"),
        ({"seed": -1}, "seed"),
        ({"codec": "png"}, "codec"),
        ({"align": "sideways"}, "align"),
        ({"truncation_cutoff": 11}, "exceeds the 10"),
        ({"truncation_psi": float("nan")}, "truncation_psi"),
        ({"colour": "red"}, "colour"),
        ({"crossover": "10"}, "crossover"),
    ],
)
def test_bad_choices_are_refused_in_one_line(choices: dict[str, Any], words: str) -> None:
    with pytest.raises(DistillError, match=words) as refused:
        bound(**choices)
    assert "\n" not in str(refused.value)


def test_codec_follows_the_stored_resolution() -> None:
    large = TEACHER.model_copy(update={"resolution": 512, "num_ws": 16})
    assert bound(large).codec == "jpeg"
    assert bound(large, resolution=128).codec == "raw"


def test_a_teacher_without_faces_gets_no_face_stage() -> None:
    recipe = RECIPES["style-mix"].without_faces()
    assert recipe.align == "none"
    assert [item.name for item in recipe.filters] == ["ssim"]
    assert recipe.bind(TEACHER).faces is None
    with pytest.raises(DistillError, match="needs the face filter"):
        recipe.revised(align="ffhq").bind(TEACHER)


def test_recipes_are_immutable_and_closed() -> None:
    with pytest.raises(Exception, match="frozen"):
        bound().seed = 5  # type: ignore[misc]
    with pytest.raises(DistillError, match="not a recipe"):
        Recipe.from_json('{"task": "style-mix"}')
    with pytest.raises(DistillError, match="not a recipe"):
        Recipe.from_json("not json")


def test_tasks_are_listed_under_their_own_names() -> None:
    assert all(name == recipe.task and isinstance(recipe, TaskRecipe) for name, recipe in RECIPES.items())
    assert isinstance(RECIPES["style-mix"].filters[0], SsimFilter)
    assert isinstance(RECIPES["style-mix"].filters[1], FaceFilter)


def test_the_digest_of_a_style_mix_changes_only_on_purpose() -> None:
    assert bound().digest == "03aa4d8c13b0"
    assert '"edit":{"crossover":{"hi":5,"lo":5},"name":"style-mix"}' in bound().to_json()


def test_a_recipe_says_nothing_of_how_it_is_drawn() -> None:
    assert not {"batch_size", "precision", "compiled", "device"} & bound().model_dump().keys()


def test_a_recipe_of_an_earlier_version_is_refused_in_one_line() -> None:
    old = json.loads(bound().to_json()) | {"schema_version": 1, "precision": "fp32"}
    with pytest.raises(DistillError, match=r"earlier version.*made again") as refused:
        Recipe.from_json(json.dumps(old))
    assert "\n" not in str(refused.value)


GENDER = Direction(
    name="toy-gender",
    attribute="gender",
    vector=torch.zeros(10, 48),
    generator_sha256="ab" * 32,
    sha256="12" * 32,
)


def swap(direction: Direction = GENDER, **choices: Any) -> Recipe:
    models = {"landmarks_sha256": "cd" * 32, "scorer_sha256": "ef" * 32}
    base = RECIPES["gender-swap"].revised(**choices)
    return base.bind(TEACHER, directions=[direction], **models)


def test_an_edit_along_a_direction_goes_to_json_and_back_with_every_hash() -> None:
    recipe = swap(strength=2.5)
    again = Recipe.from_json(recipe.to_json())
    assert again == recipe
    assert again.edit == AlongDirection(
        direction="toy-gender",
        sha256="12" * 32,
        attribute="gender",
        strength=2.5,
        fractions=(-1, -0.5, 0, 0.5, 1),
    )
    assert isinstance(again.select, Opposite)
    assert again.faces is not None
    assert (again.select.scorer_sha256, again.faces.landmarks_sha256) == ("ef" * 32, "cd" * 32)


def test_direction_scorer_and_strength_are_part_of_the_digest_and_named_as_differences() -> None:
    other = replace(GENDER, sha256="34" * 32)
    assert str(swap().difference(swap(other))).startswith("the direction is another file: sha256 '34")
    assert str(swap().difference(swap(strength=2.0))).startswith("--strength is 2.0 there")
    stricter = RECIPES["gender-swap"].reselected(min_confidence=0.95)
    models = {"landmarks_sha256": "cd" * 32, "scorer_sha256": "ef" * 32}
    bounds = stricter.bind(TEACHER, directions=[GENDER], **models)
    assert str(swap().difference(bounds)).startswith("--min-confidence is 0.95 there")
    bounded = RECIPES["gender-swap"].refiltered("outside", max_change=0.05)
    filtered = bounded.bind(TEACHER, directions=[GENDER], **models)
    assert swap().difference(filtered) == "--max-outside-change is 0.05 there and not set here"
    assert str(swap().difference(bound())).startswith("task is 'style-mix' there")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"inputs": ("content",)}, "has the roles source, target"),
        ({"edit": {"name": "morph"}}, "has the roles first, second, morph"),
        ({"edit": {"name": "direction", "attribute": "age"}}, "moves 'gender', this task edits 'age'"),
        ({"edit": {"name": "direction", "attribute": "gender", "fractions": (1.0, 0.0)}}, "must rise"),
        ({"edit": {"name": "warp"}}, "edit"),
        ({"crossover": "4"}, "crossover"),
    ],
)
def test_parts_that_do_not_belong_together_are_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(DistillError, match=words) as refused:
        swap(**{"align": "none"} | change)
    assert "\n" not in str(refused.value)


def test_filters_that_use_landmarks_stand_behind_the_face_filter() -> None:
    base = RECIPES["style-mix"].refiltered("identity", max_distance=0.6)
    assert base.bind(TEACHER).filters[-1].name == "identity"
    with pytest.raises(DistillError, match="'identity' needs the face filter before it"):
        RECIPES["style-mix"].without_faces().refiltered("identity", max_distance=0.6).bind(TEACHER)


def test_selections_are_for_directions_alone() -> None:
    with pytest.raises(DistillError, match="for edits along a direction"):
        bound(select={"name": "opposite", "attribute": "gender"})
    unselective = RECIPES["gender-swap"].model_copy(update={"select": None})
    with pytest.raises(DistillError, match="needs `select`, which chooses its pair"):
        unselective.bind(TEACHER, directions=[GENDER])


def test_a_generator_too_small_for_a_filter_is_refused() -> None:
    small = TEACHER.model_copy(update={"resolution": 8, "num_ws": 4})
    with pytest.raises(DistillError, match="'ssim' needs images of 11 px or more, the generator draws 8"):
        bound(small)
