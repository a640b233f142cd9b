"""What a run would do, and which folders it refuses."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from distill.directions.file import Direction
from distill.errors import DiskFull, DistillError
from distill.generation.plan import check_space, estimate_bytes, plan_job, shard_rows
from distill.generation.recipe import Recipe
from distill.shards.layout import shard_name
from distill.stylegan2.facts import Teacher
from pipelines import RECIPES

TEACHER = Teacher(name="toy", sha256="ab" * 32, resolution=1024, num_ws=18, z_dim=512, w_dim=512)


def recipe(**choices: object) -> Recipe:
    base = RECIPES["style-mix"].without_faces().revised(**choices)
    return base.bind(TEACHER)


@pytest.mark.parametrize(("n", "rows"), [(1, [1]), (256, [256]), (257, [256, 1]), (512, [256, 256])])
def test_rows_fill_shards_and_the_last_takes_the_rest(n: int, rows: list[int]) -> None:
    assert shard_rows(n, 256) == rows


def test_planning_changes_nothing_on_disk(tmp_path: Path) -> None:
    plan = plan_job(recipe(), 1000, tmp_path / "a" / "b")
    assert plan.todo == [0, 1, 2, 3]
    assert list(tmp_path.iterdir()) == []


def test_no_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DistillError, match="--n is 0"):
        plan_job(recipe(), 0, tmp_path)


@pytest.mark.parametrize(
    ("n", "shard_size", "words"),
    [
        (10**23, 256, "at most 1,000,000,000 triplets"),
        (2**63 - 1, 100_000, "at most 1,000,000,000 triplets"),
        (10**9, 256, "more than 100,000 shards of 256: take a larger --shard-size"),
        (100_001, 1, "more than 100,000 shards of 1"),
    ],
)
def test_more_rows_than_a_data_set_has_are_refused_at_once(
    n: int, shard_size: int, words: str, tmp_path: Path
) -> None:
    with pytest.raises(DistillError, match=words):
        plan_job(recipe(shard_size=shard_size), n, tmp_path)


def test_the_largest_data_set_has_names_of_five_digits(tmp_path: Path) -> None:
    plan = plan_job(recipe(shard_size=1), 100_000, tmp_path / "a")
    assert shard_name(plan.todo[-1]) == "shard-99999.h5"


def test_a_foreign_folder_a_file_and_another_recipe_are_refused(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(DistillError, match=r"photo\.jpg"):
        plan_job(recipe(), 8, tmp_path)
    with pytest.raises(DistillError, match="is a file"):
        plan_job(recipe(), 8, tmp_path / "photo.jpg")
    (tmp_path / "recipe.json").write_text(recipe(seed=5).to_json())
    with pytest.raises(DistillError, match="seed is 5 there and 0 here"):
        plan_job(recipe(), 8, tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(DistillError, match="no permission to write there"):
        plan_job(recipe(), 8, tmp_path / "out")


def test_a_disk_that_is_too_small_is_known_before_the_start(tmp_path: Path) -> None:
    with pytest.raises(DiskFull, match="are needed"):
        check_space(plan_job(recipe(codec="raw", shard_size=100_000), 10**9, tmp_path))


def test_estimates_follow_codec_and_resolution() -> None:
    raw, jpeg = estimate_bytes(recipe(codec="raw"), 100), estimate_bytes(recipe(codec="jpeg"), 100)
    assert 0.9e9 < raw < 1.1e9  # three 1024-px images of 3.1 MB, 100 times
    assert raw / 5 < jpeg < raw / 3
    assert estimate_bytes(recipe(codec="raw", resolution=512), 100) < raw / 3.5


@pytest.mark.parametrize(("task", "images"), [("morph", 3), ("gender-swap", 2)])
def test_estimates_follow_the_roles_of_the_task(task: str, images: int) -> None:
    base = RECIPES[task].without_faces().revised(codec="raw", resolution=64)
    direction = Direction(
        name="toy",
        attribute="gender",
        vector=torch.zeros(18, 512),
        generator_sha256=TEACHER.sha256,
        sha256="12" * 32,
    )
    found = base.bind(TEACHER, directions=[direction])
    row = images * 64 * 64 * 3 + 2 * 18 * 512 * 4
    assert 1000 * row < estimate_bytes(found, 1000) < 1000 * (row + 3000)
