"""Rows chosen again from stored numbers: what is kept, that the bytes stay, and that it goes on where it stopped."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_sets import read_image_set, write_image_set

from distill.errors import DistillError, Interrupted, ShardCorrupt
from distill.shards.codec import encode_images
from distill.shards.dataset import TripletDataset
from distill.shards.digest import digest_of
from distill.shards.folder import read_manifest, read_report, shard_path, write_manifest
from distill.shards.layout import ShardContent
from distill.shards.read import open_shard
from distill.shards.refilter import plan as plan_module
from distill.shards.refilter.plan import Refilter, RefilterRequest
from distill.shards.refilter.run import check_out, run_refilter, todo
from distill.shards.verify import verify_folder
from distill.shards.write import commit_shard

SIDE, SIZE = 8, 4
RECIPE: dict[str, Any] = {
    "task": "gender-swap",
    "inputs": ["source"],
    "target": "target",
    "generator": {"name": "tiny", "sha256": "ab" * 32, "licence": "none", "origin": "a test"},
    "resolution": SIDE,
    "shard_size": SIZE,
}
DIGEST = digest_of({**RECIPE, "codec": "jpeg"})


def write_shard(folder: Path, index: int, recipe: dict[str, Any], rows: int = SIZE, **changes: Any):
    """Two candidates for a row, the second dropped; identity counts up over the data set, 0.00, 0.01, …"""
    first = index * SIZE
    number = np.arange(first, first + rows)
    random = np.random.default_rng(index)
    pixels = {
        role: random.integers(0, 255, (rows, SIDE, SIDE, 3)).astype(np.uint8) for role in ("source", "target")
    }
    codec = recipe["codec"]
    fields: dict[str, Any] = {
        "index": index,
        "digest": digest_of(recipe),
        "recipe_json": json.dumps(recipe),
        "codec": codec,
        "resolution": SIDE,
        "images": {
            role: images if codec == "raw" else encode_images(images, codec) for role, images in pixels.items()
        },
        "columns": {
            "candidate": np.arange(rows) * 2,
            "latents/source": random.normal(size=(rows, 3, 4)).astype(np.float16),
            "scores/identity": number / 100,
            "scores/gender": np.linspace(0, 1, 5)[None] * (number[:, None] + 1) / 40,
            "scores/face": np.where(number[:, None] % 2, np.nan, [[1.0, 2.0]]),
            "params/step": (number % 3 - 1).astype(np.int16),
        },
        "tried": {
            "candidate": np.arange(2 * rows),
            "reason": np.tile([0, 1], rows).astype(np.uint8),
            "scores/identity": np.repeat(number / 100, 2),
        },
        "reasons": ("accepted", "face.none"),
    }  # fmt: skip
    return commit_shard(folder, ShardContent(**{**fields, **changes}))


def make_source(folder: Path, *, shards: int = 4, codec: str = "jpeg") -> Path:
    folder.mkdir(exist_ok=True)
    recipe = {**RECIPE, "codec": codec}
    (folder / "recipe.json").write_text(json.dumps(recipe))
    reports = [write_shard(folder, index, recipe, SIZE - (index == shards - 1)) for index in range(shards)]
    write_manifest(
        folder,
        recipe=recipe,
        digest=digest_of(recipe),
        n=sum(report.rows for report in reports),
        reports=reports,
    )
    return folder


def decide(source: Path, where: str, out: Path) -> Refilter:
    return plan_module.decide(RefilterRequest(folder=source, where=where, out=out))


def carried_out(source: Path, where: str, out: Path) -> Refilter:
    plan = decide(source, where, out)
    check_out(plan)
    run_refilter(plan, stop=threading.Event())
    return plan


def all_rows(folder: Path) -> list[dict[str, Any]]:
    """Every row of a data set: its columns, and its images as they are stored."""
    rows = []
    for report in read_manifest(folder)["shards"]:
        with open_shard(shard_path(folder, report["index"])) as reader:
            read = reader.image if reader.codec == "raw" else reader.encoded
            rows += [
                {name: reader.column(name)[row] for name in reader.columns()}
                | {role: read(role, row) for role in reader.roles}
                for row in range(reader.rows)
            ]
    return rows


def test_how_the_rows_were_drawn_is_told_as_far_as_their_shards_agree(tmp_path):
    source, out = make_source(tmp_path / "a", shards=2), tmp_path / "b"
    recipe, begun = {**RECIPE, "codec": "jpeg"}, {"precision": "fp16", "model": "A"}
    reports = [
        write_shard(source, index, recipe, conditions_json=json.dumps({**begun, "model": model}))
        for index, model in enumerate("AB")
    ]
    n = sum(report.rows for report in reports)
    write_manifest(source, recipe=recipe, digest=digest_of(recipe), n=n, reports=reports)
    (source / "conditions.json").write_text(json.dumps(begun))
    carried_out(source, "identity != 0.01", out)
    assert json.loads((out / "conditions.json").read_text()) == begun
    assert "fp16" in (out / "README.md").read_text()
    with open_shard(shard_path(out, 0)) as reader:  # full: a row of the second shard takes the place of 0.01
        assert reader.conditions == {"precision": "fp16"}


@pytest.mark.parametrize("codec", ["raw", "jpeg", "webp"])
def test_rows_are_kept_as_they_are_in_a_sound_data_set(tmp_path, codec):
    source, out = make_source(tmp_path / "a", codec=codec), tmp_path / "b"
    before = {path.name: path.read_bytes() for path in source.iterdir()}
    plan = carried_out(source, "identity < 0.03 or identity >= 0.06 and params/step != 0", out)
    assert {path.name: path.read_bytes() for path in source.iterdir()} == before

    chosen = [k for k in range(15) if k < 3 or (k >= 6 and k % 3 != 1)]
    assert (plan.kept, plan.rows) == (len(chosen), 15)
    old, new = all_rows(source), all_rows(out)
    assert len(new) == len(chosen)
    for number, row in zip(chosen, new, strict=True):
        assert row.pop("params/from_shard") == number // SIZE
        assert row.keys() == old[number].keys()
        for name, value in row.items():
            np.testing.assert_array_equal(value, old[number][name])

    assert verify_folder(out, full=True).problems == []
    reports = [read_report(out, index) for index in range(3)]
    assert [report.rows for report in reports if report] == [4, 4, 1]
    manifest = read_manifest(out)
    assert manifest["tried"] == 30  # every candidate of the source keeps its fate
    assert manifest["dropped"] == {"face.none": 15, "refilter": 6}
    dataset = TripletDataset(out)
    assert (len(dataset), dataset.roles, dataset.digest) == (9, ("source", "target"), plan.digest)
    assert dataset[8]["source"].shape == (3, SIDE, SIDE)


def test_the_recipe_says_where_it_came_from(tmp_path):
    source = make_source(tmp_path / "a")
    plan = carried_out(source, "identity<0.100", tmp_path / "b")
    recipe = json.loads((tmp_path / "b" / "recipe.json").read_text())
    steps = [{"from": DIGEST, "where": "identity < 0.1"}]
    assert recipe == {**RECIPE, "codec": "jpeg", "refiltered": steps}
    again = carried_out(tmp_path / "b", "gender[4] > 0.1", tmp_path / "c")
    recipe = json.loads((tmp_path / "c" / "recipe.json").read_text())
    assert recipe["refiltered"] == [*steps, {"from": plan.digest, "where": "gender[4] > 0.1"}]
    assert len({DIGEST, plan.digest, again.digest}) == 3
    assert again.kept == 6
    assert read_manifest(tmp_path / "c")["dropped"] == {"face.none": 15, "refilter": 9}
    assert [int(row["params/from_shard"]) for row in all_rows(tmp_path / "c")] == [1] * 4 + [2] * 2
    assert verify_folder(tmp_path / "c", full=True).problems == []
    assert (
        "identity &lt; 0.1" in (card := (tmp_path / "c" / "README.md").read_text())
        or "identity \\< 0.1" in card
    )


@pytest.mark.parametrize(
    ("where", "sizes"),
    [
        ("identity >= 0", [4, 4, 4, 3]),
        ("identity > 0.13", [1]),  # the ledgers of shards before it come with it
        ("identity < 0.04", [4]),  # those after it too
        ("identity < 0.01", [1]),
        ("identity == 0.03 or identity == 0.08", [2]),
        ("identity <= 0.04", [4, 1]),
    ],
)
def test_the_ledger_is_dealt_out_whole(tmp_path, where, sizes):
    source, out = make_source(tmp_path / "a"), tmp_path / "b"
    carried_out(source, where, out)
    assert [report["rows"] for report in read_manifest(out)["shards"]] == sizes
    assert read_manifest(out)["tried"] == 30
    assert verify_folder(out, full=True).problems == []


def test_it_goes_on_where_it_was_stopped_to_the_same_bytes(tmp_path):
    source = make_source(tmp_path / "a")
    whole = decide(source, "identity > 0.01", tmp_path / "whole")
    run_refilter(whole, stop=threading.Event())
    wanted = {path.name: path.read_bytes() for path in (tmp_path / "whole").iterdir()}

    plan, stop = decide(source, "identity > 0.01", tmp_path / "b"), threading.Event()
    with pytest.raises(Interrupted, match="2 of 4 shards are done; the same command resumes"):
        run_refilter(plan, stop=stop, advance=lambda rows: stop.set() if len(todo(plan)) < 3 else None)
    assert not (tmp_path / "b" / "manifest.json").exists()
    kept = (tmp_path / "b" / "shard-00000.h5").stat().st_mtime_ns
    shard_path(tmp_path / "b", 1).write_bytes(b"damaged")
    assert todo(plan) == [1, 2, 3]
    run_refilter(plan, stop=threading.Event())
    assert (tmp_path / "b" / "shard-00000.h5").stat().st_mtime_ns == kept
    assert {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()} == wanted


def test_a_source_that_has_grown_adds_to_it(tmp_path):
    source, out = make_source(tmp_path / "a", shards=2), tmp_path / "b"
    carried_out(source, "identity > 0.01", out)
    kept = shard_path(out, 0).stat().st_mtime_ns
    make_source(source, shards=4)
    plan = decide(source, "identity > 0.01", out)
    assert todo(plan) == [1, 2, 3]
    run_refilter(plan, stop=threading.Event())
    assert shard_path(out, 0).stat().st_mtime_ns == kept
    assert len(TripletDataset(out)) == 13


def test_nothing_is_left_of_a_run_stopped_at_once(tmp_path):
    plan, stop = decide(make_source(tmp_path / "a"), "identity > 0.01", tmp_path / "b"), threading.Event()
    stop.set()
    with pytest.raises(Interrupted):
        run_refilter(plan, stop=stop)
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("identity > 2", "identity is 0 to 0.14; loosen it"),
        (
            "gender[4] > 0.3 and identity < 0.02",
            "alone, 'gender[4] > 0.3' keeps 3, 'identity < 0.02' keeps 2",
        ),
        ("max(face) > 3", "face is 1 to 2 (not a number in 7 rows)"),
        ("face[0] != face[0]", "face[0] is 1 to 1 (not a number in 7 rows)"),
    ],
)
def test_nothing_kept_says_what_there_is(tmp_path, where, words):
    with pytest.raises(DistillError) as caught:
        decide(make_source(tmp_path / "a"), where, tmp_path / "b")
    assert words in str(caught.value)
    assert f"keeps none of the 15 rows of {tmp_path / 'a'}" in str(caught.value)


def test_another_data_set_in_the_folder_is_named(tmp_path):
    source, other = make_source(tmp_path / "a"), make_source(tmp_path / "other", codec="raw")
    out = tmp_path / "b"
    carried_out(source, "identity < 0.1", out)
    refusals = {
        "was made with --where 'identity < 0.1', not 'identity < 0.2'": (source, "identity < 0.2", out),
        f"was made from the data set {DIGEST}, {out} is": (out, "identity < 0.1", out / "x"),
        "holds another data set (gender-swap) that distill refilter did not make": (
            source,
            "identity < 0.1",
            other,
        ),
        "lies in the data set": (source, "identity < 0.1", source),
    }
    for words, (folder, where, to) in refusals.items():
        if words.startswith("was made from"):
            to = tmp_path / "b2"
            carried_out(source, "identity < 0.1", to)
        with pytest.raises(DistillError) as caught:
            check_out(decide(folder, where, to))
        assert words in str(caught.value)
    with pytest.raises(DistillError, match="lies in the data set"):
        check_out(decide(source, "identity < 0.1", source / "below"))
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "letter.txt").write_text("mine")
    with pytest.raises(DistillError, match=r"holds 'letter.txt' and no recipe.json"):
        check_out(decide(source, "identity < 0.1", tmp_path / "c"))


def test_a_full_disk_is_known_before_the_start(tmp_path, monkeypatch):
    plan = decide(make_source(tmp_path / "a"), "identity < 0.1", tmp_path / "b")
    monkeypatch.setattr(Refilter, "bytes_free", 10)
    with pytest.raises(DistillError, match="are needed and 10 bytes are free") as caught:
        run_refilter(plan, stop=threading.Event())
    assert caught.value.exit_code == 4
    assert not (tmp_path / "b").exists()


def test_a_broken_source_is_named(tmp_path):
    source = make_source(tmp_path / "a")
    shard_path(source, 2).write_bytes(shard_path(source, 2).read_bytes()[:-100])
    with pytest.raises(ShardCorrupt, match=r"shard-00002.h5"):
        decide(source, "identity < 0.1", tmp_path / "b")


def test_shards_that_differ_are_named(tmp_path, monkeypatch):
    source = make_source(tmp_path / "a")
    recipe = json.loads((source / "recipe.json").read_text())
    with open_shard(shard_path(source, 1)) as reader:
        columns = {name: reader.column(name) for name in reader.columns() if name != "params/step"}
    report = write_shard(source, 1, recipe, columns=columns)
    reports = [report if index == 1 else read_report(source, index) for index in range(4)]
    write_manifest(source, recipe=recipe, digest=digest_of(recipe), n=15, reports=[r for r in reports if r])
    with pytest.raises(
        ShardCorrupt, match=r"shard-00001.h5: has no column params/step, which the first shard has"
    ):
        decide(source, "params/step > 0", tmp_path / "b")
    with pytest.raises(
        ShardCorrupt, match=r"shard-00001.h5: its codec, size, roles or columns are not those"
    ):
        run_refilter(decide(source, "identity > 0.01", tmp_path / "b"), stop=threading.Event())


def test_plain_images_are_chosen_by_their_numeric_labels(tmp_path: Path) -> None:
    images = np.repeat(np.arange(6, dtype=np.uint8), 192).reshape(6, 8, 8, 3)
    labels = {"age": np.array([20, 40, np.nan, 35, 30, 50], np.float32), "who": list("abcdef")}
    write_image_set(tmp_path / "a", images, labels=labels, shard_size=2)
    run_refilter(decide(tmp_path / "a", "age > 30", tmp_path / "b"), stop=threading.Event())
    assert verify_folder(tmp_path / "b", full=True).ok
    found = read_image_set(tmp_path / "b")
    assert found["labels/who"].tolist() == ["b", "d", "f"]
    assert found["images"][:, 0, 0, 0].tolist() == [1, 3, 5]
    with pytest.raises(DistillError, match="where: who is a text, and rows can only be chosen by numbers"):
        decide(tmp_path / "a", "who == 3", tmp_path / "c")
