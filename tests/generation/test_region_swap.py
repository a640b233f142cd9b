"""A part of one face onto another: what a row holds, what is dropped, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from region_swaps import painted_left, swap_request, written_shares

from distill.faces.detection import Face
from distill.faces.regions.parts import PARTS, RegionPictures
from distill.generation.batch import Batch
from distill.generation.edits.region_swap import RegionSwap
from distill.generation.filters.region import mean_change
from distill.generation.move_region import RegionMover, open_mover
from distill.generation.pipeline import generate_shard
from distill.generation.recipe import Recipe
from distill.generation.region_choices import BOUNDS
from distill.generation.request import recipe_of
from distill.pixels import to_uint8
from distill.shards.layout import ShardContent
from distill.shards.write import build_shard
from distill.stylegan2.generator import Generator
from distill.stylegan2.interpolation.change import region_change
from distill.stylegan2.interpolation.channels import interpolated
from distill.stylegan2.interpolation.shares_file import read_shares

Images = dict[str, np.ndarray[Any, Any]]


@pytest.fixture(scope="module")
def mask(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(painted_left(tmp_path_factory.mktemp("mask") / "left.png"))


@pytest.fixture(scope="module")
def asked(tiny_weights: Path, mask: str) -> Callable[..., Recipe]:
    return lambda **choices: recipe_of(swap_request(tiny_weights, regions=mask, **choices))[0]


def drawn(
    recipe: Recipe, teacher: Generator, mask: str, rows: int = 5, shares: str = "", **more: Any
) -> ShardContent:
    assert isinstance(recipe.edit, RegionSwap)
    mover = more.pop("mover", None) or open_mover(teacher, recipe.edit, mask, shares)
    return generate_shard(recipe, 0, rows, teacher=teacher, mover=mover, batch_size=2, **more)


@pytest.fixture(scope="module")
def content(asked: Callable[..., Recipe], tiny_teacher: Generator, mask: str) -> ShardContent:
    return drawn(asked(steps=25), tiny_teacher, mask)


def soft_left(side: int = 32) -> np.ndarray[Any, np.dtype[np.float32]]:
    weight = np.zeros((side, side), np.float32)
    weight[:, : side // 2 - 1], weight[:, side // 2 - 1] = 1, 128 / 255
    return weight


def test_the_part_moves_towards_the_reference_and_the_rest_stays(content: ShardContent) -> None:
    inside, outside, missed = (
        content.columns[f"scores/{name}"] for name in ("inside", "outside", "to_reference")
    )
    person, reference = content.images["person"], content.images["reference"]
    before = [mean_change(a, b, soft_left()) for a, b in zip(person, reference, strict=True)]
    assert (outside < inside).all()
    assert (missed < before).all()


def test_the_filter_measures_what_distill_region_tells(content: ShardContent) -> None:
    images = [torch.from_numpy(np.stack(content.images[role])) for role in ("person", "result", "reference")]
    floats = [image.permute(0, 3, 1, 2).float() / 127.5 - 1 for image in images]
    change = region_change(*floats, torch.from_numpy(soft_left()).expand(len(images[0]), -1, -1))
    for name, values in (
        ("inside", change.inside),
        ("outside", change.outside),
        ("to_reference", change.to_reference),
    ):
        np.testing.assert_allclose(content.columns[f"scores/{name}"], values, rtol=1e-4)


def test_scores_are_what_the_stored_images_show(content: ShardContent) -> None:
    person, reference, result = (
        content.images[role].astype(float) for role in ("person", "reference", "result")
    )
    weight = soft_left()[..., None]
    for i in range(5):
        for name, first, w in (
            ("inside", person, weight),
            ("outside", person, 1 - weight),
            ("to_reference", reference, weight),
        ):
            expected = (np.abs(first[i] - result[i]) * w).sum() / (3 * w.sum()) / 255
            assert content.columns[f"scores/{name}"][i] == pytest.approx(expected, rel=1e-4)


def test_person_and_reference_are_the_w_that_are_stored_and_differ(
    content: ShardContent, tiny_teacher: Generator
) -> None:
    assert {name for name in content.columns if name.startswith("latents")} == {
        "latents/person",
        "latents/reference",
    }
    for role in ("person", "reference"):
        again = to_uint8(tiny_teacher.synthesize(torch.from_numpy(content.columns[f"latents/{role}"])))
        assert np.abs(again.numpy().astype(int) - content.images[role]).max() <= 1
    assert not np.allclose(content.columns["latents/person"], content.columns["latents/reference"])


def test_a_row_depends_neither_on_how_many_are_wanted_nor_on_threads(
    asked: Callable[..., Recipe], tiny_teacher: Generator, mask: str
) -> None:
    recipe = asked()
    five, three = (drawn(recipe, tiny_teacher, mask, rows) for rows in (5, 3))
    for role in recipe.roles:
        np.testing.assert_array_equal(five.images[role][:3], three.images[role])
    assert build_shard(drawn(recipe, tiny_teacher, mask, threads=3)) == build_shard(five)


def test_given_shares_draw_every_pair(
    asked: Callable[..., Recipe], tiny_teacher: Generator, mask: str, tmp_path: Path
) -> None:
    file = written_shares(tmp_path / "q.safetensors", tiny_teacher)
    recipe = asked(shares=str(file))
    assert recipe.edit.search is None
    found = drawn(recipe, tiny_teacher, mask, shares=str(file))
    shares, _ = read_shares(file, tiny_teacher)
    person, reference = (
        tiny_teacher.styles(torch.from_numpy(found.columns[f"latents/{role}"]))
        for role in ("person", "reference")
    )
    expected = to_uint8(tiny_teacher.synthesize_styles(interpolated(person, reference, shares))).numpy()
    assert np.abs(found.images["result"].astype(int) - expected).max() <= 1


class SomeLack:
    """The left half, which every third picture of a run lacks."""

    parts = face_parts = ("hair",)

    def __init__(self) -> None:
        self.seen = 0

    def masks(self, pictures: RegionPictures, parts: Any, /) -> dict[str, Any]:
        found = np.repeat(soft_left()[None], len(pictures.images), axis=0)
        for n in range(len(found)):
            found[n] *= (self.seen + n) % 3 != 0
        self.seen += len(found)
        return {"hair": found}


def test_candidates_without_the_part_are_dropped_and_counted(
    asked: Callable[..., Recipe], tiny_teacher: Generator, mask: str
) -> None:
    recipe = asked()
    assert isinstance(recipe.edit, RegionSwap)
    mover = RegionMover(
        generator=tiny_teacher,
        edit=recipe.edit,
        source=SomeLack(),
        distance=open_mover(tiny_teacher, recipe.edit, mask, "").distance,
    )
    found = drawn(recipe, tiny_teacher, mask, mover=mover)
    reasons = [found.reasons[code] for code in found.tried["reason"]]
    assert set(reasons) == {"accepted", "part.missing"}
    assert reasons.count("accepted") == 5
    assert np.isnan(found.tried["scores/inside"][[r != "accepted" for r in reasons]]).all()


def no_face(image: Any) -> list[Face]:
    return []


def test_a_part_of_the_landmarks_needs_a_face_in_both(
    asked: Callable[..., Recipe], tiny_teacher: Generator, mask: str
) -> None:
    recipe = asked()
    assert isinstance(recipe.edit, RegionSwap)
    edit = recipe.edit.model_copy(update={"by_landmarks": True})
    z = torch.randn(2, 2, tiny_teacher.z_dim, generator=torch.Generator().manual_seed(1))
    ws = {role: tiny_teacher.map(z[k]) for k, role in enumerate(("person", "reference"))}
    batch = Batch.of(range(2), {role: tiny_teacher.synthesize(w) for role, w in ws.items()}, ws)
    batch.find_faces(("person", "reference"), no_face)
    mover = open_mover(tiny_teacher, recipe.edit, mask, "")
    RegionMover(generator=tiny_teacher, edit=edit, source=mover.source)(batch, noise="const", at_once=2)
    assert batch.reasons == ["part.no-face"] * 2
    np.testing.assert_array_equal(batch.host("result"), batch.host("person"))


def test_bounds_drop_what_changed_too_little_or_too_much(
    asked: Callable[..., Recipe], tiny_teacher: Generator, mask: str, content: ShardContent
) -> None:
    middle = {name: float(np.median(content.columns[f"scores/{name}"])) for name in ("inside", "outside")}
    for bound, reason, name, sign in (
        ({"min_inside_change": middle["inside"]}, "region.unchanged", "inside", 1),
        ({"max_outside_change": middle["outside"]}, "region.outside-changed", "outside", -1),
    ):
        found = drawn(asked(steps=25, **bound), tiny_teacher, mask, rows=3)
        assert reason in [found.reasons[code] for code in found.tried["reason"]]
        assert (sign * (found.columns[f"scores/{name}"] - middle[name]) >= 0).all()


def bounds_of(recipe: Recipe) -> tuple[float, float, float | None]:
    named = {item.name: item.model_dump() for item in recipe.filters}
    identity = named.get("identity", {}).get("max_distance")
    return named["region"]["min_inside"], named["region"]["max_outside"], identity


@pytest.mark.parametrize("part", PARTS)
def test_each_part_has_its_bounds_and_the_user_changes_them(part: str) -> None:
    ask = {"part": part, "align": None, "min_inside_change": None, "max_outside_change": None}
    usual, chosen = (
        recipe_of(swap_request("portraits", **ask | more))[0]
        for more in (
            {},
            {"min_inside_change": 0.015, "max_outside_change": 0.9, "max_identity_distance": 0.4},
        )
    )
    bounds = BOUNDS[part]
    assert bounds_of(usual) == (bounds.min_inside, bounds.max_outside, bounds.max_identity)
    assert bounds_of(chosen) == (0.015, 0.9, 0.4)
    assert isinstance(usual.edit, RegionSwap)
    assert usual.edit.by_landmarks == (part in ("eyes", "nose", "mouth", "face"))
    assert (usual.edit.search is not None, usual.align) == (True, "gate")


def test_a_recipe_names_everything_that_decides_the_result(
    asked: Callable[..., Recipe], tiny_teacher: Generator, tmp_path: Path
) -> None:
    base = asked()
    assert Recipe.from_json(base.to_json()) == base
    file = written_shares(tmp_path / "q.safetensors", tiny_teacher)
    for choices, words in (
        ({"part": "eyes"}, "--part is 'hair' there and 'eyes' here"),
        ({"steps": 7}, "--steps is 6 there and 7 here"),
        ({"min_inside_change": 0.2}, "--min-inside-change is 0.0 there and 0.2 here"),
        ({"max_outside_change": 0.2}, "--max-outside-change is 1.0 there and 0.2 here"),
        ({"shares": str(file)}, "--shares"),
    ):
        changed = asked(**choices)
        assert changed.digest != base.digest
        assert words in str(changed.difference(base))


@pytest.mark.parametrize("noise", ["const", "none"])
def test_noise_is_that_of_the_recipe(
    noise: str, asked: Callable[..., Recipe], tiny_teacher: Generator, mask: str, tmp_path: Path
) -> None:
    file = written_shares(tmp_path / "q.safetensors", tiny_teacher)
    found = drawn(asked(shares=str(file), noise=noise), tiny_teacher, mask, rows=2, shares=str(file))
    shares, _ = read_shares(file, tiny_teacher)
    styles = [
        tiny_teacher.styles(torch.from_numpy(found.columns[f"latents/{role}"]))
        for role in ("person", "reference")
    ]
    expected = to_uint8(tiny_teacher.synthesize_styles(interpolated(*styles, shares), noise=noise)).numpy()
    assert np.abs(found.images["result"].astype(int) - expected).max() <= 1
