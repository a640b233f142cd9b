"""Shards of edits along a direction, and of morphs: what stands in them, and that nothing else decides it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from attribute_edits import Redness, bound, generate_small, planted, task_of, write_planted

from distill.directions.file import Direction
from distill.errors import DistillError, TooStrict
from distill.generation.recipe import Recipe
from distill.pixels import to_uint8
from distill.shards.layout import ShardContent
from distill.shards.write import build_shard
from distill.stylegan2.generator import Generator
from distill.stylegan2.sampling import sample_z


@pytest.fixture(scope="module")
def scorer(tiny_teacher: Generator) -> Redness:
    return Redness(middle=planted(tiny_teacher)[1], width=1.0)


@pytest.fixture(scope="module")
def directions(tiny_teacher: Generator, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Direction]:
    folder = tmp_path_factory.mktemp("directions")
    return {
        name: write_planted(folder / f"{name}.safetensors", tiny_teacher, name) for name in ("gender", "age")
    }


def made(recipe: Recipe, teacher: Generator, rows: int, **options: Any) -> ShardContent:
    return generate_small(recipe, 2, rows, teacher=teacher, max_candidates=2000, **options)


def test_a_pair_is_two_pictures_along_the_direction_with_their_latents(
    tiny_teacher: Generator, directions: dict[str, Direction], scorer: Redness
) -> None:
    recipe = bound(task_of("gender-swap"), tiny_teacher, directions["gender"])
    content = made(recipe, tiny_teacher, 12, directions=[directions["gender"]], scorer=scorer)
    assert list(content.images) == ["source", "target"]
    strengths = np.array([-3.0, -1.5, 0.0, 1.5, 3.0])
    for row in range(12):
        z = torch.from_numpy(sample_z(0, 2, [int(content.columns["candidate"][row])], (4,), 64))
        w = tiny_teacher.map(z[:, 0], truncation_psi=0.7)
        scores = content.columns["scores/gender"][row]
        for role in ("source", "target"):
            picture = int(content.columns[f"params/{role}_picture"][row])
            ws = w + float(strengths[picture]) * directions["gender"].vector
            np.testing.assert_allclose(content.columns[f"latents/{role}"][row], ws[0].numpy(), atol=1e-5)
            expected = to_uint8(tiny_teacher.synthesize(ws))[0].numpy().astype(int)
            assert np.abs(content.images[role][row].astype(int) - expected).max() <= 1
            assert max(scores[picture], 1 - scores[picture]) >= 0.9
        assert scores.min() <= 0.1
        assert scores.max() >= 0.9
    before, after = (content.columns[f"params/{role}_picture"] for role in ("source", "target"))
    assert 3 <= (before < after).sum() <= 9, "both ways in balance"
    assert content.tried["scores/gender"].shape == (len(content.tried["candidate"]), 5)


@pytest.mark.parametrize(("task", "sign"), [("ageing", 1), ("rejuvenation", -1)])
def test_age_goes_one_way_by_the_years_asked_for(
    tiny_teacher: Generator, directions: dict[str, Direction], scorer: Redness, task: str, sign: int
) -> None:
    recipe = bound(task_of(task, min_gap=2.0), tiny_teacher, directions["age"])
    content = made(recipe, tiny_teacher, 6, directions=[directions["age"]], scorer=scorer)
    ages, rows = content.columns["scores/age"], np.arange(6)
    source, target = (ages[rows, content.columns[f"params/{role}_picture"]] for role in ("source", "target"))
    assert (sign * (target - source) >= 2).all()
    assert content.reasons == ["accepted", "face.none", "age.too-close"]


def test_a_morph_is_drawn_from_the_mean_of_two_latents(tiny_teacher: Generator) -> None:
    content = made(bound(task_of("morph"), tiny_teacher), tiny_teacher, 3)
    assert list(content.images) == ["first", "second", "morph"]
    first, second = (torch.from_numpy(content.columns[f"latents/{role}"]) for role in ("first", "second"))
    expected = to_uint8(tiny_teacher.synthesize((first + second) / 2)).numpy().astype(int)
    assert np.abs(np.stack(content.images["morph"]).astype(int) - expected).max() <= 1
    assert not np.array_equal(content.images["first"][0], content.images["second"][0])


@pytest.mark.parametrize("resolution", [None, 16])
def test_threads_and_a_second_run_change_no_byte(
    tiny_teacher: Generator, directions: dict[str, Direction], scorer: Redness, resolution: int | None
) -> None:
    recipe = bound(task_of("gender-swap").revised(resolution=resolution), tiny_teacher, directions["gender"])
    shards = [
        build_shard(
            made(recipe, tiny_teacher, 9, directions=[directions["gender"]], scorer=scorer, threads=threads)
        )
        for threads in (1, 1, 4)
    ]
    assert shards[0] == shards[1] == shards[2]


def test_stored_pictures_can_be_smaller_than_those_that_were_scored(
    tiny_teacher: Generator, directions: dict[str, Direction], scorer: Redness
) -> None:
    contents = [
        made(
            bound(task_of("gender-swap").revised(resolution=side), tiny_teacher, directions["gender"]),
            tiny_teacher,
            2,
            directions=[directions["gender"]],
            scorer=scorer,
        )
        for side in (32, 16)
    ]
    full, half = (content.images["target"] for content in contents)
    cells = np.stack(full).reshape(2, 16, 2, 16, 2, 3).astype(float).mean(axis=(2, 4))
    assert np.abs(np.stack(half) - cells).max() <= 1.0


def test_a_bound_that_nothing_reaches_says_what_to_loosen(
    tiny_teacher: Generator, directions: dict[str, Direction]
) -> None:
    recipe = bound(task_of("gender-swap"), tiny_teacher, directions["gender"])
    with pytest.raises(TooStrict) as refused:
        generate_small(
            recipe,
            0,
            4,
            teacher=tiny_teacher,
            directions=[directions["gender"]],
            scorer=Redness(middle=500),
            max_candidates=8,
        )
    line = str(refused.value)
    for words in ("0 of 8 candidates accepted (0.0%)", "'gender'", "gender.same: 8", "--strength"):
        assert words in line


def test_another_direction_than_the_recipe_s_is_refused(
    tiny_teacher: Generator, directions: dict[str, Direction], scorer: Redness, tmp_path: Path
) -> None:
    recipe = bound(task_of("gender-swap"), tiny_teacher, directions["gender"])
    other = write_planted(tmp_path / "d.safetensors", tiny_teacher, "gender", name="other")
    for wrong in (other, None):
        with pytest.raises(DistillError, match="give every worker the same file"):
            made(recipe, tiny_teacher, 1, directions=[wrong] if wrong else [], scorer=scorer)
