"""Pairs of two generators that draw the same w: what a row holds, and which generators go together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from attribute_edits import generate_small
from children import make_child

from distill.errors import DistillError
from distill.faces.detection import Face, FaceDetector
from distill.generation.align import framed
from distill.generation.batch import Batch
from distill.generation.edits.second_generator import Embedded, SecondGenerator, SharedW
from distill.generation.recipe import Recipe
from distill.generation.request import GenerateRequest, TaskChoices, recipe_of
from distill.pixels import to_float, to_uint8
from distill.shards.digest import digest_of
from distill.shards.layout import ShardContent
from distill.shards.write import build_shard
from distill.stylegan2.facts import Teacher
from distill.stylegan2.generator import Generator
from distill.stylegan2.load import load_generator
from distill.weights.registry import resolve
from pipelines import RECIPES

FACTS = Teacher(name="toy", sha256="ab" * 32, resolution=64, num_ws=10, z_dim=32, w_dim=48)


def asked(task: str, first: str | Path, second: str | Path, **choices: Any) -> Recipe:
    """The recipe that a request comes to, without faces."""
    request = GenerateRequest(
        task=RECIPES[task],
        n=4,
        generator=str(first),
        choices=TaskChoices(second_generator=str(second), align="none", **choices),
    )
    return recipe_of(request)[0]


@pytest.fixture(scope="session")
def child(tiny_child: Path) -> Generator:
    return load_generator(tiny_child, precision="fp32")


@pytest.fixture(scope="module")
def pairs(tiny_weights: Path, tiny_child: Path, tiny_teacher: Generator, child: Generator) -> ShardContent:
    recipe = asked("face-to-drawing", tiny_weights, tiny_child)
    return generate_small(recipe, 0, 6, teacher=tiny_teacher, second=child)


def test_both_images_of_a_row_are_drawn_from_its_one_w(
    pairs: ShardContent, tiny_teacher: Generator, child: Generator
) -> None:
    assert {name for name in pairs.columns if "/" in name} == {"latents/source", "scores/ssim"}
    ws_NLD = torch.from_numpy(pairs.columns["latents/source"])
    for role, generator in {"source": tiny_teacher, "target": child}.items():
        expected = to_uint8(generator.synthesize(ws_NLD)).numpy().astype(int)
        assert np.abs(pairs.images[role] - expected).max() <= 1
    assert not np.array_equal(pairs.images["source"], pairs.images["target"])


def test_drawing_to_face_is_the_same_pairs_the_other_way(
    pairs: ShardContent, tiny_weights: Path, tiny_child: Path, tiny_teacher: Generator, child: Generator
) -> None:
    recipe = asked("drawing-to-face", tiny_weights, tiny_child)
    turned = generate_small(recipe, 0, 6, teacher=tiny_teacher, second=child)
    np.testing.assert_array_equal(turned.images["source"], pairs.images["target"])
    np.testing.assert_array_equal(turned.images["target"], pairs.images["source"])
    np.testing.assert_array_equal(turned.columns["scores/ssim"], pairs.columns["scores/ssim"])
    assert recipe.digest != pairs.digest


def test_threads_change_no_byte(
    pairs: ShardContent, tiny_weights: Path, tiny_child: Path, tiny_teacher: Generator, child: Generator
) -> None:
    recipe = asked("face-to-drawing", tiny_weights, tiny_child)
    again = generate_small(recipe, 0, 6, teacher=tiny_teacher, second=child, threads=3)
    assert build_shard(again) == build_shard(pairs)


def test_without_a_choice_a_child_shares_w_and_any_other_is_embedded_into(
    tiny_weights: Path, tiny_child: Path, tmp_path: Path
) -> None:
    other = make_child(tiny_weights, tmp_path / "other.safetensors", mapping=1.0)
    shared = asked("face-to-drawing", tiny_weights, tiny_child)
    embedded = asked("face-to-drawing", tiny_weights, other)
    for recipe, pairing, size, least in ((shared, SharedW, 256, -1.0), (embedded, Embedded, 8, 0.6)):
        assert isinstance(recipe.edit, SecondGenerator)
        assert isinstance(recipe.edit.pairing, pairing)
        assert recipe.shard_size == size
        assert recipe.filters[-1].model_dump()["min_ssim"] == least
    chosen = asked("face-to-drawing", tiny_weights, tiny_child, pairing="embed", shard_size=3, min_ssim=0.2)
    assert chosen.edit.latents == ("source", "target")
    assert (chosen.shard_size, chosen.filters[-1].model_dump()["min_ssim"]) == (3, 0.2)


def test_the_shipped_child_shares_its_w() -> None:
    recipe = recipe_of(GenerateRequest(task=RECIPES["face-to-drawing"], n=4))[0]
    assert isinstance(recipe.edit, SecondGenerator)
    assert recipe.edit.second is not None
    assert recipe.edit.second.name == "drawings"
    assert isinstance(recipe.edit.pairing, SharedW)


def test_the_shipped_avatars_are_embedded_into() -> None:
    choices = TaskChoices(second_generator="avatars")
    recipe = recipe_of(GenerateRequest(task=RECIPES["face-to-drawing"], n=4, choices=choices))[0]
    assert isinstance(recipe.edit, SecondGenerator)
    assert recipe.edit.second is not None
    assert (recipe.edit.second.name, recipe.edit.second.licence) == ("avatars", "CC BY 4.0")
    assert isinstance(recipe.edit.pairing, Embedded)
    assert (recipe.edit.pairing.steps, recipe.edit.pairing.features) == (1000, "efficientnet_lite0")


def test_the_digest_holds_both_weights_and_neither_name(tiny_weights: Path, tiny_child: Path) -> None:
    recipe = asked("face-to-drawing", tiny_weights, tiny_child)
    assert Recipe.from_json(recipe.to_json()) == recipe
    fields = recipe.model_dump(mode="json")
    second = fields["edit"]["second_generator"]
    renamed = {**fields, "edit": {**fields["edit"], "second_generator": {**second, "licence": "another"}}}
    assert digest_of(renamed) == recipe.digest
    other = {**fields, "edit": {**fields["edit"], "second_generator": {**second, "sha256": "cd" * 32}}}
    assert digest_of(other) != recipe.digest


def test_a_recipe_that_only_names_its_second_generator_is_refused(
    tiny_weights: Path, tiny_child: Path
) -> None:
    fields = asked("face-to-drawing", tiny_weights, tiny_child).model_dump(mode="json")
    fields["edit"]["second_generator"] = "avatars"
    with pytest.raises(DistillError, match="second generator is named without its facts"):
        Recipe.from_json(json.dumps(fields))


@pytest.mark.parametrize(
    ("changes", "numbers"),
    [
        ({"resolution": 32}, "64 px, 10 w+ layers of 48, 'b' 32 px, 10"),
        ({"num_ws": 8}, "'b' 64 px, 8 w+ layers of 48"),
        ({"w_dim": 24}, "'b' 64 px, 10 w+ layers of 24"),
    ],
)
def test_generators_that_are_not_alike_share_no_w(changes: dict[str, int], numbers: str) -> None:
    second = FACTS.model_copy(update={"name": "b", "sha256": "cd" * 32, **changes})
    edit = SecondGenerator(second_generator=second, pairing=SharedW())
    with pytest.raises(DistillError) as refused:
        edit.settled(FACTS, None)
    assert numbers in str(refused.value)
    assert "--pairing embed" in str(refused.value)
    assert SecondGenerator(second_generator=second, pairing=Embedded()).settled(FACTS, None).second == second


def test_a_generator_beside_itself_is_refused(tiny_weights: Path) -> None:
    with pytest.raises(DistillError, match="is the generator itself"):
        asked("face-to-drawing", tiny_weights, tiny_weights)


def test_the_stored_side_is_that_of_the_smaller_generator() -> None:
    second = FACTS.model_copy(update={"sha256": "cd" * 32, "resolution": 32, "num_ws": 8})
    base = RECIPES["face-to-drawing"].without_faces().revised(second_generator=second.model_dump())
    assert base.bind(FACTS).resolution == 32
    with pytest.raises(DistillError, match="resolution 64 is above the teacher's 32 px"):
        base.revised(resolution=64).bind(FACTS)


def test_faces_are_looked_for_where_the_first_generator_draws_and_frame_both_images(
    tmp_path: Path,
) -> None:
    child = make_child(resolve("portraits"), tmp_path / "child.safetensors", moved=0.15)
    request = GenerateRequest(
        task=RECIPES["drawing-to-face"],
        n=2,
        choices=TaskChoices(second_generator=str(child), align="ffhq"),
    )
    generators = {"teacher": load_generator("portraits"), "second": load_generator(child)}
    content = generate_small(recipe_of(request)[0], 0, 2, **generators)
    assert {name for name in content.columns if name.startswith(("landmarks", "quads"))} == {
        "landmarks/target",
        "quads/target",
    }
    assert content.columns["scores/face_confidence"].shape == (2, 1)


def test_a_drawing_of_another_size_is_framed_by_the_quad_of_its_face() -> None:
    """A face of 64 px and its drawing of 128 px, the same picture: warped, they are the same again."""
    rng = np.random.default_rng(0)
    coarse = np.kron(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8), np.ones((8, 8, 1), np.uint8))
    fine = np.kron(coarse, np.ones((2, 2, 1), np.uint8))
    drawn = {
        "source": to_float(torch.from_numpy(coarse[None])),
        "target": to_float(torch.from_numpy(fine[None])),
    }
    batch = Batch.of(range(1), drawn)
    angles = np.linspace(0, 2 * np.pi, 68, endpoint=False)
    landmarks = 32 + 12 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    landmarks[36:42], landmarks[42:48], landmarks[48], landmarks[54] = (25, 28), (39, 28), (26, 42), (38, 42)
    batch.faces = {"source": [[Face(box=(10, 10, 54, 54), confidence=1.0, landmarks=landmarks)]]}
    second = FACTS.model_copy(update={"sha256": "cd" * 32, "resolution": 128, "num_ws": 12})
    base = RECIPES["face-to-drawing"].revised(second_generator=second.model_dump(), align="ffhq")
    recipe = base.bind(FACTS, landmarks_sha256=FaceDetector().landmarks_sha256)
    stored = framed(batch, [0], recipe)
    assert stored["source"].shape == stored["target"].shape == (1, 64, 64, 3)
    assert np.abs(stored["source"].astype(int) - stored["target"]).mean() < 12


def test_a_pairing_that_there_is_not_is_refused(tiny_weights: Path, tiny_child: Path) -> None:
    with pytest.raises(
        DistillError, match="--pairing blend: the pairings of the task face-to-drawing are shared and embed"
    ):
        asked("face-to-drawing", tiny_weights, tiny_child, pairing="blend")
    with pytest.raises(DistillError, match="steps"):
        asked("face-to-drawing", tiny_weights, tiny_child, pairing="embed", steps=0)


def test_a_second_generator_that_is_not_there_is_named() -> None:
    with pytest.raises(DistillError, match="'nobody'"):
        asked("face-to-drawing", "portraits", "nobody")
