"""One shard, from seeds to content: what is accepted, and that nothing else decides it."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
from attribute_edits import generate_small

import distill.generation.pipeline as module
from distill.errors import TooStrict
from distill.generation.filters.ssim import SsimFilter
from distill.generation.recipe import Recipe
from distill.generation.stages import ShardRun
from distill.pixels import to_uint8
from distill.shards.codec import decode_image
from distill.shards.layout import ShardContent
from distill.shards.write import build_shard
from distill.stylegan2.facts import Teacher
from distill.stylegan2.generator import Generator
from distill.stylegan2.sampling import sample_z
from pipelines import RECIPES


def recipe_for(teacher: Generator, *, low: float = -1.0, high: float = 1.0, **choices: Any) -> Recipe:
    facts = Teacher(
        name="tiny",
        sha256=teacher.sha256,
        resolution=teacher.resolution,
        num_ws=teacher.num_ws,
        z_dim=teacher.z_dim,
        w_dim=teacher.w_dim,
    )
    window = ({"name": "ssim", "min_ssim": low, "max_ssim": high},)
    base = RECIPES["style-mix"].without_faces().revised(filters=window)
    return base.revised(**choices).bind(facts)


def window_that_keeps_half(teacher: Generator) -> float:
    scores = generate_small(recipe_for(teacher), 0, 40, teacher=teacher).columns["scores/ssim"]
    return float(np.median(scores))


def test_a_row_is_the_mix_of_its_two_seeds(tiny_teacher: Generator) -> None:
    recipe = recipe_for(tiny_teacher, crossover="2-6", seed=11)
    content = generate_small(recipe, 3, 6, teacher=tiny_teacher)
    for row in range(6):
        candidate = int(content.columns["candidate"][row])
        z = torch.from_numpy(sample_z(11, 3, [candidate], (1, 2), tiny_teacher.z_dim))
        parents = [tiny_teacher.map(z[:, p], truncation_psi=0.7) for p in range(2)]
        k = int(content.columns["params/crossover"][row])
        assert 2 <= k <= 6
        mixed = torch.cat([parents[0][:, :k], parents[1][:, k:]], dim=1)
        for role, ws in zip(recipe.roles, [*parents, mixed], strict=True):
            expected = to_uint8(tiny_teacher.synthesize(ws))[0].numpy().astype(int)
            assert np.abs(content.images[role][row].astype(int) - expected).max() <= 1
        for parent, ws in zip(("content", "style"), parents, strict=True):
            np.testing.assert_allclose(content.columns[f"latents/{parent}"][row], ws[0].numpy(), atol=1e-5)


def test_drawn_crossovers_differ_between_candidates(tiny_teacher: Generator) -> None:
    recipe = recipe_for(tiny_teacher, crossover="1-7")
    content = generate_small(recipe, 0, 24, teacher=tiny_teacher)
    assert len(set(content.columns["params/crossover"].tolist())) > 4


def test_more_rows_keep_the_first_ones_byte_for_byte(tiny_teacher: Generator) -> None:
    recipe = recipe_for(tiny_teacher, low=window_that_keeps_half(tiny_teacher))
    short = generate_small(recipe, 0, 5, teacher=tiny_teacher)
    long = generate_small(recipe, 0, 9, teacher=tiny_teacher)
    for name, values in short.columns.items():
        np.testing.assert_array_equal(values, long.columns[name][:5])
    for role in recipe.roles:
        np.testing.assert_array_equal(short.images[role], long.images[role][:5])


def test_generating_twice_gives_the_same_bytes(tiny_teacher: Generator) -> None:
    recipe = recipe_for(tiny_teacher, codec="jpeg")
    once, again = (build_shard(generate_small(recipe, 1, 5, teacher=tiny_teacher)) for _ in range(2))
    assert once == again


def test_shards_and_seeds_have_their_own_faces(tiny_teacher: Generator) -> None:
    recipe = recipe_for(tiny_teacher)
    first = generate_small(recipe, 0, 4, teacher=tiny_teacher)
    others = [
        generate_small(recipe, 1, 4, teacher=tiny_teacher),
        generate_small(recipe_for(tiny_teacher, seed=1), 0, 4, teacher=tiny_teacher),
    ]
    for other in others:
        assert not np.array_equal(first.images["content"][0], other.images["content"][0])


def test_drops_are_counted_and_scores_kept_for_all_candidates(tiny_teacher: Generator) -> None:
    threshold = window_that_keeps_half(tiny_teacher)
    content = generate_small(recipe_for(tiny_teacher, low=threshold), 0, 8, teacher=tiny_teacher)
    reason, scores = content.tried["reason"], content.tried["scores/ssim"]
    assert content.reasons == ["accepted", "ssim.nothing-changed", "ssim.all-changed"]
    assert (reason == 0).sum() == 8
    assert reason[-1] == 0, "the ledger ends with the candidate that filled the shard"
    assert set(reason.tolist()) == {0, 2}
    assert (scores[reason == 0] >= threshold).all()
    assert (scores[reason == 2] < threshold).all()
    assert content.tried["candidate"].tolist() == list(range(len(reason)))


def test_a_hopeless_filter_names_itself_and_its_rate(tiny_teacher: Generator) -> None:
    recipe = recipe_for(tiny_teacher, low=0.9999)
    with pytest.raises(TooStrict) as refused:
        generate_small(recipe, 0, 4, teacher=tiny_teacher, max_candidates=20)
    line = str(refused.value)
    assert re.search(r"0 of 20 candidates accepted \(0\.0%\)", line)
    assert "'ssim'" in line
    assert "--crossover" in line
    assert refused.value.fatal


def test_stored_resolution_is_an_area_average(tiny_teacher: Generator) -> None:
    full = generate_small(recipe_for(tiny_teacher), 0, 2, teacher=tiny_teacher)
    half = generate_small(recipe_for(tiny_teacher, resolution=16), 0, 2, teacher=tiny_teacher)
    cells = full.images["mixed"].reshape(2, 16, 2, 16, 2, 3).astype(float).mean(axis=(2, 4))
    assert half.images["mixed"].shape == (2, 16, 16, 3)
    assert np.abs(half.images["mixed"] - cells).max() <= 1.0


@pytest.mark.parametrize("codec", ["jpeg", "webp"])
def test_codecs_store_the_same_picture(tiny_teacher: Generator, codec: str) -> None:
    raw = generate_small(recipe_for(tiny_teacher, codec="raw"), 0, 2, teacher=tiny_teacher)
    coded = generate_small(recipe_for(tiny_teacher, codec=codec), 0, 2, teacher=tiny_teacher)
    worst = error_of(raw, coded, codec)
    assert worst == 0 if codec == "webp" else worst < 6


def error_of(raw: ShardContent, coded: ShardContent, codec: str) -> float:
    """The largest mean absolute difference of a picture, of 255."""
    return max(
        float(np.abs(decode_image(data, codec).astype(float) - picture).mean())
        for role in raw.images
        for data, picture in zip(coded.images[role], raw.images[role], strict=True)
    )


def test_latents_can_be_stored_in_half_precision(tiny_teacher: Generator) -> None:
    content = generate_small(recipe_for(tiny_teacher, latents="float16"), 0, 2, teacher=tiny_teacher)
    assert content.columns["latents/style"].dtype == np.float16


def test_the_window_comes_from_the_recipe() -> None:
    window = RECIPES["style-mix"].filters[0]
    assert isinstance(window, SsimFilter)
    assert -1 < window.min_ssim < window.max_ssim < 1


@pytest.mark.parametrize("threads", [2, 5])
def test_threads_change_no_byte_and_draw_no_batch_too_many(
    tiny_teacher: Generator, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    drawn: list[range] = []
    original = module.sample

    def counted(run: ShardRun, ids: range) -> Any:
        drawn.append(ids)
        return original(run, ids)

    monkeypatch.setattr(module, "sample", counted)
    recipe = recipe_for(tiny_teacher, low=window_that_keeps_half(tiny_teacher))
    drawn.clear()
    alone = build_shard(generate_small(recipe, 2, 23, teacher=tiny_teacher))
    needed = list(drawn)
    drawn.clear()
    assert build_shard(generate_small(recipe, 2, 23, teacher=tiny_teacher, threads=threads)) == alone
    assert drawn == needed


def test_a_cap_is_kept_with_threads(tiny_teacher: Generator) -> None:
    with pytest.raises(TooStrict, match="0 of 20 candidates"):
        generate_small(
            recipe_for(tiny_teacher, low=0.9999), 0, 40, teacher=tiny_teacher, max_candidates=20, threads=3
        )


def test_a_cap_below_the_rows_is_refused_even_where_nothing_is_dropped(tiny_teacher: Generator) -> None:
    with pytest.raises(TooStrict, match=r"8 of 8 .* 10 are needed, and at most 8 may be tried: raise --max"):
        generate_small(recipe_for(tiny_teacher), 0, 10, teacher=tiny_teacher, max_candidates=8)
