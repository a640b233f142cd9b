"""Sidecars, the manifest, and the check of a whole folder."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distill.errors import DistillError
from distill.shards.digest import digest_of
from distill.shards.folder import (
    ShardReport,
    read_json,
    read_manifest,
    read_report,
    require_data_set,
    shard_is_valid,
    write_manifest,
)
from distill.shards.place import check_place
from distill.shards.verify import verify_folder
from distill.shards.write import commit_shard

RECIPE: dict[str, Any] = {
    "task": "style-mix",
    "inputs": ["content", "style"],
    "target": "mixed",
    "shard_size": 3,
    "generator": {"name": "noise", "sha256": "f" * 64, "licence": "none"},
}
DIGEST = digest_of(RECIPE)
OTHER = {**RECIPE, "task": "ageing"}


def problems_of(folder: Path, *, full: bool = False) -> list[str]:
    return [str(problem) for problem in verify_folder(folder, full=full).problems]


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "null", "{" * 100000, '{"index": 0}', "\x00" * 10],
)
def test_a_broken_sidecar_counts_as_absent(text: str, make_data_set: Any) -> None:
    folder = make_data_set()
    (folder / "shard-00000.json").write_text(text)
    assert read_report(folder, 0) is None
    assert not shard_is_valid(folder, 0, digest=DIGEST, rows=3)


@pytest.mark.parametrize(
    "change",
    [
        {"index": 1},
        {"rows": -1},
        {"rows": True},
        {"bytes": "12"},
        {"sha256": "XYZ"},
        {"dropped": []},
        {"dropped": {"x": 1.5}},
        {"extra": 1},
    ],
)
def test_a_sidecar_with_an_odd_value_counts_as_absent(change: dict[str, Any], make_data_set: Any) -> None:
    folder = make_data_set()
    edit(folder / "shard-00000.json", **change)
    assert read_report(folder, 0) is None


def test_a_shard_is_valid_by_digest_rows_size_and_when_asked_by_sha256(make_data_set: Any) -> None:
    folder = make_data_set()
    assert shard_is_valid(folder, 0, digest=DIGEST, rows=3, full=True)
    assert not shard_is_valid(folder, 0, digest="f" * 12, rows=3)
    assert not shard_is_valid(folder, 0, digest=DIGEST, rows=2)
    path = folder / "shard-00000.h5"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert shard_is_valid(folder, 0, digest=DIGEST, rows=3)
    assert not shard_is_valid(folder, 0, digest=DIGEST, rows=3, full=True)
    path.write_bytes(data[:-1])
    assert not shard_is_valid(folder, 0, digest=DIGEST, rows=3)
    path.unlink()
    assert not shard_is_valid(folder, 0, digest=DIGEST, rows=3)


def test_the_manifest_sums_its_shards_and_does_not_depend_on_their_order(make_data_set: Any) -> None:
    folder = make_data_set()
    manifest = read_manifest(folder)
    assert (manifest["n"], manifest["tried"], manifest["dropped"]) == (8, 16, {"ssim.nothing-changed": 8})
    assert manifest["digest"] == DIGEST
    before = (folder / "manifest.json").read_bytes()
    reports = [ShardReport.from_dict(values) for values in manifest["shards"]]
    write_manifest(folder, recipe=manifest["recipe"], digest=DIGEST, n=8, reports=reports[::-1])
    assert (folder / "manifest.json").read_bytes() == before


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"format": "zip"}, "its format is 'zip'"),
        ({"schema_version": 9}, "schema version is 9"),
        ({"n": 7}, "promises 7 rows, its shards hold 8"),
        ({"shards": []}, "not numbered"),
        ({"shards": [1]}, "is broken"),
        ({"shards": "all"}, "no list of shards"),
        ({"digest": "f" * 12}, "different digests"),
        (
            {"recipe": {**RECIPE, "seed": 1}},
            "its digest is .*, that of its recipe .*: one of them was changed",
        ),
        ({"tried": 17}, "its tried is 17, its shards give 16"),
        ({"dropped": {}}, r"its dropped is {}, its shards give {'ssim.nothing-changed': 8}"),
        ({"author": "x"}, "its keys are author, digest"),
    ],
)
def test_a_broken_manifest_is_refused_in_one_line(
    change: dict[str, Any], complaint: str, make_data_set: Any
) -> None:
    folder = make_data_set()
    edit(folder / "manifest.json", **change)
    with pytest.raises(DistillError, match=complaint) as caught:
        read_manifest(folder)
    assert str(folder / "manifest.json") in str(caught.value)
    assert problems_of(folder) == [str(caught.value).removeprefix(f"{folder}/")]


def test_a_folder_of_someone_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"")
    for check in (require_data_set, read_manifest, lambda folder: verify_folder(folder, full=False)):
        with pytest.raises(DistillError, match=f"{tmp_path}: no recipe.json in it"):
            check(tmp_path)


@pytest.mark.parametrize("codec", ["raw", "jpeg", "webp"])
def test_a_good_folder_has_no_problems(codec: str, make_data_set: Any) -> None:
    seen: list[tuple[int, int]] = []
    report = verify_folder(
        make_data_set(codec=codec), full=True, progress=lambda *counts: seen.append(counts)
    )
    assert (report.ok, report.shards, report.rows, report.digest) == (True, 3, 8, DIGEST)
    assert len(seen) == 3
    assert seen[-1] == (report.bytes, report.bytes)


def test_every_problem_is_reported_not_only_the_first(make_data_set: Any, make_content: Any) -> None:
    folder = make_data_set(shards=7)
    (folder / "shard-00000.h5").unlink()
    (folder / "shard-00001.json").unlink()
    (folder / "shard-00002.h5").write_bytes(b"short")
    shutil.copy(folder / "shard-00004.h5", folder / "shard-00003.h5")
    commit_shard(folder, make_content(5, recipe=OTHER))
    commit_shard(folder, make_content(9))
    found = problems_of(folder)
    assert found[0] == "shard-00000.h5: missing"
    assert found[1] == "shard-00001.h5: its sidecar is missing"
    assert found[2].startswith("shard-00002.h5: 5 bytes long, its sidecar says ")
    assert found[3] == "shard-00003.h5: holds shard 4, its name says 3"
    assert (
        found[4]
        == f"shard-00005.h5: of another recipe: digest {digest_of(OTHER)}, the data set's is {DIGEST}"
    )
    assert "shard-00009.h5: the manifest does not know it" in found
    assert not any(line.startswith(("shard-00004", "shard-00006")) for line in found)


def test_two_shards_swapped_with_their_sidecars_are_found(make_data_set: Any) -> None:
    folder = make_data_set()
    for suffix in ("h5", "json"):
        first, second = folder / f"shard-00000.{suffix}", folder / f"shard-00001.{suffix}"
        first.rename(folder / "x")
        second.rename(first)
        (folder / "x").rename(second)
    found = problems_of(folder)
    assert [line.partition(":")[0] for line in found if "holds shard" in line] == [
        "shard-00000.h5",
        "shard-00001.h5",
    ]


def test_a_stale_folder_of_another_recipe_is_found(make_data_set: Any) -> None:
    folder, other = make_data_set(), make_data_set(name="other", recipe=OTHER)
    for name in ("shard-00001.h5", "shard-00001.json"):
        shutil.copy(other / name, folder / name)
    assert any("shard-00001.h5: of another recipe" in line for line in problems_of(folder))


def test_another_recipe_file_is_found(make_data_set: Any) -> None:
    folder = make_data_set()
    edit(folder / "recipe.json", task="ageing")
    assert problems_of(folder) == [
        "manifest.json: the task of its recipe is 'style-mix', recipe.json says 'ageing'",
        "recipe.json: its task is 'ageing', every shard says 'style-mix'",
    ]


def test_a_folder_without_manifest_is_not_complete_but_its_shards_are_checked(make_data_set: Any) -> None:
    folder = make_data_set()
    (folder / "manifest.json").unlink()
    (folder / "shard-00002.h5").write_bytes(b"")
    report = verify_folder(folder, full=False)
    assert [problem.shard for problem in report.problems] == ["manifest.json", "shard-00002.h5"]
    assert (report.shards, report.rows) == (2, 6)


def test_a_temporary_file_is_only_a_note(make_data_set: Any) -> None:
    folder = make_data_set()
    (folder / ".shard-00001.h5.99999999-00ff00ff.tmp").write_bytes(b"half")
    report = verify_folder(folder, full=False)
    assert report.ok
    assert report.notes == [".shard-00001.h5.99999999-00ff00ff.tmp: left by a writer that was stopped"]


def test_full_finds_any_flipped_byte(make_data_set: Any) -> None:
    folder = make_data_set(shards=1, codec="jpeg")
    path = folder / "shard-00000.h5"
    data = path.read_bytes()
    for place in np.random.default_rng(0).integers(0, len(data), 40).tolist():
        broken = bytearray(data)
        broken[place] ^= 0x10
        path.write_bytes(broken)
        assert any("sha256" in line for line in problems_of(folder, full=True)), place
    path.write_bytes(data)
    assert problems_of(folder, full=True) == []


def test_full_finds_an_image_that_does_not_decode(make_content: Any, make_data_set: Any) -> None:
    folder = make_data_set(shards=1, rows=2, codec="jpeg")
    content = make_content(
        rows=1, codec="jpeg", images={role: [b"junk"] for role in ("content", "style", "mixed")}
    )
    report = commit_shard(folder, content)
    write_manifest(folder, recipe=read_manifest(folder)["recipe"], digest=DIGEST, n=1, reports=[report])
    assert problems_of(folder) == []
    assert problems_of(folder, full=True)[0].startswith("shard-00000.h5: image 0 of 'content'")


def test_importing_the_format_does_not_import_torch() -> None:
    script = "import sys, distill.shards; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dropped", {"a\x1b[31m\nb": 0}),
        ("dropped", {"x" * 101: 0}),
        ("rows", 10**16),
        ("dropped", {"face": 10**40}),
    ],
)
def test_a_sidecar_with_names_and_counts_of_nobody_is_none(name: str, value: object) -> None:
    facts = {
        "index": 0,
        "rows": 1,
        "tried": 1,
        "bytes": 1,
        "dropped": {},
        "sha256": "a" * 64,
        "digest": "b" * 12,
    }
    ShardReport.from_json(json.dumps(facts))
    with pytest.raises(ValueError, match=name):
        ShardReport.from_dict(facts | {name: value})


def test_half_a_letter_in_json_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "recipe.json").write_text(r'{"task": "\ud800"}')
    with pytest.raises(DistillError, match="half of a character"):
        read_json(tmp_path / "recipe.json")
    (tmp_path / "recipe.json").write_text(r'{"task": "\ud83d\ude00"}')
    assert read_json(tmp_path / "recipe.json") == {"task": "\U0001f600"}


def test_a_folder_with_a_goal_alone_can_be_begun_again(tmp_path: Path) -> None:
    (tmp_path / "goal.json").write_text('{"n": 4}')
    assert check_place(tmp_path) is False
