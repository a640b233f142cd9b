"""Measured changes: which data sets have them, how they are read, and how they are counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distill.cli.main import run
from distill.errors import DistillError, ShardCorrupt
from distill.shards.change_counts import change_counts, change_lines, read_change_counts
from distill.shards.changes import attribute_kinds, measured_attributes, read_changes
from distill.shards.dataset import TripletDataset
from distill.shards.digest import digest_of
from distill.shards.folder import manifest_reports, read_manifest, write_manifest
from distill.shards.layout import ShardContent
from distill.shards.write import commit_shard

SELECT = {"name": "measured", "attributes": ["gender", "age"], "kinds": ["probability", "value"]}
RECIPE: dict[str, Any] = {
    "task": "attributes",
    "inputs": ["source"],
    "target": "target",
    "generator": {"name": "noise", "sha256": "f" * 64},
    "select": SELECT,
}
# Of each row: the strength asked of gender and age, gender before and after, age before and after.
ROWS = [
    [(2.0, 0.0, 0.1, 0.9, 30.0, 33.0), (0.0, -1.0, 0.5, 0.5, 50.0, 20.0), (-1.5, 1.0, 1.0, 0.4, 20.0, 29.0)],
    [(0.0, 2.0, 0.2, 0.1, 20.0, 60.0)],
]


def data_set(folder: Path, *, without: str = "", recipe: dict[str, Any] = RECIPE) -> Path:
    (folder / "recipe.json").write_text(json.dumps(recipe))
    reports = []
    for index, rows in enumerate(ROWS):
        table, count = np.float32(rows), len(rows)
        columns = {
            "candidate": np.arange(count),
            "params/strength_gender": table[:, 0],
            "params/strength_age": table[:, 1],
            "scores/gender": table[:, 2:4],
            "scores/age": table[:, 4:6],
        }
        images = np.zeros((count, 8, 8, 3), np.uint8)
        content = ShardContent(
            index=index,
            digest=digest_of(recipe),
            recipe_json=json.dumps(recipe),
            codec="raw",
            resolution=8,
            images={"source": images, "target": images},
            columns={name: values for name, values in columns.items() if name != without},
            tried={"candidate": np.arange(count), "reason": np.zeros(count, np.uint8)},
            reasons=("accepted",),
        )
        reports.append(commit_shard(folder, content))
    write_manifest(folder, recipe=recipe, digest=digest_of(recipe), n=4, reports=reports)
    return folder


def test_a_change_is_the_target_s_score_less_the_source_s_over_all_shards(tmp_path: Path) -> None:
    changes = read_changes(TripletDataset(data_set(tmp_path)))
    assert changes.dtype == np.float32
    np.testing.assert_allclose(changes, [[0.8, 3], [0, -30], [-0.6, 9], [-0.1, 40]], atol=1e-6)


def test_attributes_and_kinds_go_together() -> None:
    assert measured_attributes(RECIPE) == ("gender", "age")
    assert attribute_kinds(RECIPE) == ("probability", "value")


@pytest.mark.parametrize(
    "select",
    [
        None,
        {"name": "opposite", "attribute": "gender"},
        {**SELECT, "name": "other"},
        {**SELECT, "kinds": ["value"]},
        {**SELECT, "kinds": ["value", "colour"]},
        {**SELECT, "attributes": ["gender", 3]},
        {**SELECT, "attributes": "gender"},
        {"name": "measured"},
    ],
)
def test_another_selection_measures_no_changes(select: Any) -> None:
    recipe = {"select": select}
    assert measured_attributes(recipe) == attribute_kinds(recipe) == ()


def test_a_data_set_without_measured_changes_is_refused(tmp_path: Path) -> None:
    recipe = {key: value for key, value in RECIPE.items() if key != "select"}
    dataset = TripletDataset(data_set(tmp_path, recipe=recipe))
    with pytest.raises(DistillError, match="no measured change"):
        read_changes(dataset)
    assert read_change_counts(tmp_path, recipe, manifest_reports(read_manifest(tmp_path))) == []


@pytest.mark.parametrize("column", ["scores/age", "params/strength_age"])
def test_a_shard_that_lacks_a_column_is_named(
    column: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = data_set(tmp_path, without=column)
    with pytest.raises(ShardCorrupt, match=rf"shard-00000\.h5.* has no column {column}"):
        read_change_counts(folder, RECIPE, manifest_reports(read_manifest(folder)))
    assert run(["inspect", str(folder)]) == 2
    assert f"has no column {column}" in capsys.readouterr().err


def test_pairs_are_counted_by_what_they_were_asked_and_where_they_went(tmp_path: Path) -> None:
    folder = data_set(tmp_path)
    gender, age = read_change_counts(folder, RECIPE, manifest_reports(read_manifest(folder)))
    assert (gender.rows, gender.asked, gender.up, gender.down) == (4, 2, 1, 1)
    assert (age.rows, age.asked, age.up, age.down) == (4, 3, 2, 1)
    assert gender.edges[0] == -1
    assert gender.edges[-1] == 1
    assert list(gender.counts) == [0, 1, 0, 0, 0, 0, 0, 1]
    assert age.edges[-1] == 40
    assert list(age.counts) == [0, 1, 0, 0, 1, 0, 0, 1]
    assert gender.beside == pytest.approx(0.05)
    assert age.beside == pytest.approx(3)


def test_counts_as_text_have_a_line_and_a_bar_chart_of_each_attribute() -> None:
    asked = np.float32([[1, 0], [1, 0], [-1, 0]])
    lines = change_lines(change_counts(RECIPE, asked, np.float32([[0.9, 0], [0.8, 0], [-0.3, 0]])))
    assert lines[0] == "gender: asked of 3 of 3 pairs, 2 up, 1 down"
    assert lines[8] == "  +0.75 to    +1        2  ########################"
    assert lines[3] == "   -0.5 to -0.25        1  ############"
    assert lines[9].startswith(
        "age: asked of 0 of 3 pairs, 0 up, 0 down; in the others it moves by 0 (median)"
    )
