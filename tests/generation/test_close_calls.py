"""Close calls of the filters: who they are, and that float32 settles them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from attribute_edits import Redness, bound, pictures, task_of, write_planted

from distill.directions.file import Direction
from distill.generation.filters import Batch
from distill.generation.filters.change import CLOSE
from distill.generation.filters.pair import pair_gate
from distill.generation.filters.settings import ApartFilter, OppositeFilter
from distill.generation.pipeline import generate_shard
from distill.generation.recipe import Recipe, TaskRecipe
from distill.shards.layout import ShardContent
from distill.stylegan2.generator import Generator
from pipelines import RECIPES

CLOSE_TO_FP32 = 5e-3  # years


@pytest.fixture(scope="module")
def half(tiny_teacher: Generator) -> Generator:
    return Generator(tiny_teacher.network, sha256=tiny_teacher.sha256, precision="bf16")


def mixes(**window: float) -> TaskRecipe:
    filters = ({"name": "change", "min_ssim": -1, "max_ssim": 1, **window},)
    return RECIPES["style-mix"].without_faces().revised(batch_size=4, filters=filters)


def in_bf16(recipe: Recipe, close_calls: str) -> Recipe:
    return recipe.model_copy(update={"precision": "bf16", "close_calls": close_calls})


def verdicts(content: ShardContent) -> list[bool]:
    return (content.tried["reason"] == 0).tolist()


def middle_of(teacher: Generator) -> float:
    """The similarity that half of the mixes exceed."""
    scores = generate_shard(bound(mixes(), teacher), 0, 64, teacher=teacher).columns["scores/change"]
    return float(np.median(scores))


def test_mixes_near_the_bound_are_those_of_float32(tiny_teacher: Generator, half: Generator) -> None:
    middle = middle_of(tiny_teacher)
    exact = bound(mixes(min_ssim=middle), tiny_teacher)
    contents = [
        generate_shard(recipe, 0, 24, teacher=teacher)
        for recipe, teacher in (
            (exact, tiny_teacher),
            (in_bf16(exact, "as-drawn"), half),
            (in_bf16(exact, "fp32"), half),
        )
    ]
    in_fp32, as_drawn, settled = contents
    tried = min(len(content.tried["reason"]) for content in contents)
    one, other, mixed = (content.tried["scores/change"][:tried] for content in contents)
    close = np.abs(other - middle) < CLOSE
    assert 0 < close.sum() < tried
    np.testing.assert_allclose(mixed[close], one[close], atol=1e-4)
    np.testing.assert_array_equal(mixed[~close], other[~close])
    assert np.abs(other[close] - one[close]).max() > 2e-4, "bf16 is that far off"
    assert verdicts(settled)[:tried] == verdicts(in_fp32)[:tried]
    for row, candidate in enumerate(settled.columns["candidate"][:8].tolist()):
        reference = in_fp32 if close[candidate] else as_drawn
        same = reference.columns["candidate"].tolist().index(candidate)
        for role in exact.roles:
            difference = settled.images[role][row].astype(int) - reference.images[role][same]
            assert np.abs(difference).max() <= 1
            assert np.abs(difference).mean() < 0.01


def test_pairs_near_the_bound_are_those_of_float32(
    tiny_teacher: Generator, half: Generator, tmp_path: Any
) -> None:
    direction: Direction = write_planted(tmp_path / "redder.safetensors", tiny_teacher, "age")
    base = task_of("ageing", min_gap=2.0)
    exact = bound(base, tiny_teacher, direction)
    contents = [
        generate_shard(recipe, 0, 12, teacher=teacher, direction=direction, scorer=Redness())
        for recipe, teacher in (
            (exact, tiny_teacher),
            (in_bf16(exact, "fp32"), half),
            (in_bf16(exact, "as-drawn"), half),
        )
    ]
    in_fp32, settled, _ = contents
    one, mixed, other = (content.tried["scores/age"] for content in contents)
    changed = (mixed != other[: len(mixed)]).any(axis=1)
    assert 0 < changed.sum() < len(changed)
    np.testing.assert_allclose(mixed[changed], one[changed], atol=CLOSE_TO_FP32)
    assert np.abs(other[: len(mixed)][changed] - one[changed]).max() > 2 * CLOSE_TO_FP32, (
        "bf16 is that far off"
    )
    assert verdicts(settled) == verdicts(in_fp32)
    for name in ("params/source_step", "params/target_step"):
        np.testing.assert_array_equal(settled.columns[name], in_fp32.columns[name])
    for role in ("source", "target"):
        np.testing.assert_allclose(
            settled.columns[f"latents/{role}"], in_fp32.columns[f"latents/{role}"], atol=1e-5
        )


def test_threads_settle_the_same_calls(tiny_teacher: Generator, half: Generator) -> None:
    recipe = in_bf16(bound(mixes(min_ssim=middle_of(tiny_teacher)), tiny_teacher), "fp32")
    one, two = (generate_shard(recipe, 0, 10, teacher=half, threads=threads) for threads in (1, 2))
    for role in recipe.roles:
        np.testing.assert_array_equal(one.images[role], two.images[role])
    np.testing.assert_array_equal(one.tried["scores/change"], two.tried["scores/change"])


@pytest.mark.parametrize(
    ("settings", "close"),
    [
        (ApartFilter(attribute="age", source="lower", min_gap=20, find_faces=False), {1, 2}),
        (OppositeFilter(attribute="gender", min_confidence=0.9, find_faces=False), {3}),
    ],
)
def test_a_pair_is_close_by_what_decides(settings: Any, close: set[int]) -> None:
    steps = ([100, 255], [100, 168], [100, 155], [118, 137], [100, 101])  # in years: 49, 21.3, 17.3, 6, 0.3
    batch = Batch.of(pictures(*steps), params={"source_end": np.zeros(5, dtype=np.int64)})
    pair_gate(settings, Redness())(batch)
    assert batch.close == close


def test_a_clear_drop_is_not_close_whatever_came_before() -> None:
    batch = Batch.of({"content": torch.zeros(3, 64, 64, 3, dtype=torch.uint8)})
    batch.judge(0, None, close=True)
    batch.judge(1, None, close=True)
    batch.judge(1, "change.nothing", close=False)
    batch.judge(2, "face.none", close=True)
    assert batch.close == {0, 2}
    assert batch.reasons == [None, "change.nothing", "face.none"]
