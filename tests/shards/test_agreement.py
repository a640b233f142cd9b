"""Data sets whose parts say different things: what verify finds, and what is refused when one is opened."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_sets import content_of, make_data_set, recipe_of

from distill.errors import DistillError, ShardCorrupt
from distill.shards.dataset import TripletDataset
from distill.shards.digest import digest_of
from distill.shards.folder import read_manifest, read_report, write_manifest
from distill.shards.layout import ShardContent
from distill.shards.read import HDF5_WORDS
from distill.shards.verify import verify_folder
from distill.shards.write import commit_shard


@pytest.fixture
def data(tmp_path: Path) -> Path:
    make_data_set(tmp_path / "data", shards=3)
    return tmp_path / "data"


def problems_of(folder: Path, *, full: bool = False) -> list[str]:
    return [str(problem) for problem in verify_folder(folder, full=full).problems]


def edit_both(folder: Path, change: dict[str, Any]) -> None:
    """Change the recipe in recipe.json and manifest.json alike."""
    recipe = {**json.loads((folder / "recipe.json").read_text()), **change}
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "recipe.json").write_text(json.dumps(recipe))
    (folder / "manifest.json").write_text(json.dumps({**manifest, "recipe": recipe}))


def replaced(folder: Path, content: ShardContent) -> None:
    """Write a shard anew, with a sidecar and a manifest that fit it."""
    commit_shard(folder, content)
    manifest = read_manifest(folder)
    reports = [report for index in range(3) if (report := read_report(folder, index))]
    write_manifest(folder, recipe=manifest["recipe"], digest=manifest["digest"], n=9, reports=reports)


GENERATOR = recipe_of()["generator"]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"seed": 7}, "recipe.json: its seed is 7, every shard says 0"),
        (
            {"generator": {**GENERATOR, "sha256": "cd" * 32}},
            f"recipe.json: its generator.sha256 is '{'cd' * 32}', every shard says '{'ab' * 32}'",
        ),
        (
            {"generator": {**GENERATOR, "licence": "public domain"}},
            "recipe.json: its generator.licence is 'public domain', every shard says 'CC0-1.0'",
        ),
        ({"author": "me"}, "recipe.json: its author is 'me', every shard says nothing"),
    ],
)
def test_a_recipe_changed_in_manifest_and_recipe_alike_is_found_by_the_shards(
    change: dict[str, Any], what: str, data: Path
) -> None:
    edit_both(data, change)
    found = problems_of(data)
    assert found[-1] == what
    if "licence" not in what:
        assert found[0].startswith("manifest.json: its digest is"), "its recipe has another"
    with pytest.raises(DistillError):
        TripletDataset(data)


def test_a_shard_with_another_recipe_in_it_is_found_and_refused(data: Path) -> None:
    other = recipe_of(generator={**GENERATOR, "licence": "public domain"})
    replaced(data, content_of(1, other))
    what = "the generator.licence of its recipe is 'public domain', "
    assert problems_of(data, full=True) == [f"shard-00001.h5: {what}recipe.json says 'CC0-1.0'"]
    with pytest.raises(ShardCorrupt, match=f"shard-00001.h5: {what}manifest.json says 'CC0-1.0'"):
        TripletDataset(data)


def test_a_shard_whose_recipe_has_another_digest_than_it_says_is_refused(data: Path) -> None:
    forged = replace(content_of(1, recipe_of(seed=5)), digest=digest_of(recipe_of()))
    replaced(data, forged)
    (found,) = problems_of(data)
    assert "that of the recipe in it is another: one of them was changed" in found


@pytest.mark.parametrize(
    ("columns", "tried", "what"),
    [
        (
            {"params/crossover": np.asarray([2, 9, 3], np.int16)},
            {},
            "params/crossover goes from 2 to 9, the recipe says 2 to 3",
        ),
        (
            {"candidate": np.asarray([4, 2, 3])},
            {"candidate": np.asarray([4, 1, 2, 3, 0])},
            "the numbers of its candidates do not rise",
        ),
    ],
)
def test_full_finds_what_the_recipe_does_not_allow(
    columns: dict[str, Any], tried: dict[str, Any], what: str, data: Path
) -> None:
    content = content_of(1, recipe_of())
    replaced(data, replace(content, columns={**content.columns, **columns}, tried={**content.tried, **tried}))
    assert problems_of(data) == []
    assert problems_of(data, full=True) == [f"shard-00001.h5: {what}"]


def test_shards_with_other_columns_or_another_size_are_found(data: Path) -> None:
    content = content_of(1, recipe_of())
    fewer = {name: values for name, values in content.columns.items() if name != "scores/ssim"}
    replaced(data, replace(content, columns=fewer))
    assert problems_of(data) == ["shard-00001.h5: has no column 'scores/ssim', which shard-00000.h5 has"]
    small = content_of(1, recipe_of(resolution=8))
    replaced(data, replace(small, recipe_json=content.recipe_json, digest=content.digest))
    assert problems_of(data) == ["shard-00001.h5: its resolution is 8, the recipe says 16"]


def test_a_column_that_changes_its_type_between_shards_is_refused_at_opening(data: Path) -> None:
    content = content_of(1, recipe_of())
    wide = {**content.columns, "params/crossover": np.asarray([2, 3, 2], np.int32)}
    replaced(data, replace(content, columns=wide))
    with pytest.raises(ShardCorrupt, match=r"shard-00001.h5: params/crossover is int32 \[\] a row, int16"):
        TripletDataset(data, columns=("params/crossover",))
    assert len(TripletDataset(data, columns=("scores/ssim",))) == 9


def test_unknown_conditions_are_found(data: Path) -> None:
    conditions = {
        "precision": "fp32",
        "batch_size": 4,
        "compiled": False,
        "device": "cpu",
        "model": "x",
        "versions": {},
    }
    (data / "conditions.json").write_text(json.dumps(conditions))
    assert problems_of(data) == []
    (data / "conditions.json").write_text(json.dumps({**conditions, "colour": "blue"}))
    (found,) = problems_of(data)
    assert found.startswith("conditions.json: its keys are not precision,")
    assert found.endswith("see 'colour'")


def test_damage_is_said_once_for_a_shard_and_without_the_words_of_hdf5(data: Path) -> None:
    path = data / "shard-00001.h5"
    good = path.read_bytes()
    random = np.random.default_rng(0)
    for place in [*random.integers(0, len(good), 20), *random.integers(0, 3000, 20)]:
        path.write_bytes(good[:place] + bytes([good[place] ^ 4]) + good[place + 1 :])
        (found,) = problems_of(data, full=True)
        fault = found.removeprefix("shard-00001.h5: ")
        assert "its sha256 is" in fault
        assert not any(HDF5_WORDS.match(part.strip(" '")) for part in fault.split(":")), fault
