"""`distill verify` and `distill status`, as a person at another shell meets them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from distill.cli.main import run
from distill.lock import FolderLock
from distill.shards.digest import digest_of
from distill.shards.folder import ShardReport, write_goal, write_manifest
from distill.shards.layout import ShardContent
from distill.shards.write import commit_shard

RECIPE = {"task": "style-mix", "inputs": ["content", "style"], "target": "mixed", "shard_size": 2}
DIGEST = digest_of(RECIPE)


def small_shard(index: int) -> ShardContent:
    """Two rows of 4-px noise out of five candidates, dropped for two reasons."""
    images = np.random.default_rng(index).integers(0, 256, (3, 2, 4, 4, 3), dtype=np.uint8)
    return ShardContent(
        index=index,
        digest=DIGEST,
        recipe_json=json.dumps(RECIPE),
        codec="raw",
        resolution=4,
        images=dict(zip(("content", "style", "mixed"), images, strict=True)),
        columns={"candidate": np.array([1, 4])},
        tried={"candidate": np.arange(5), "reason": np.array([2, 0, 2, 1, 0])},
        reasons=["accepted", "ssim.nothing-changed", "face.none"],
    )


@pytest.fixture
def reports(tmp_path: Path) -> list[ShardReport]:
    (tmp_path / "recipe.json").write_text(json.dumps(RECIPE))
    return [commit_shard(tmp_path, small_shard(index)) for index in range(2)]


@pytest.fixture
def unfinished(tmp_path: Path, reports: list[ShardReport]) -> Path:
    return tmp_path


@pytest.fixture
def finished(tmp_path: Path, reports: list[ShardReport]) -> Path:
    write_manifest(tmp_path, recipe=RECIPE, digest=DIGEST, n=4, reports=reports)
    return tmp_path


def status_of(folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert run(["status", str(folder), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.parametrize("options", [[], ["--full"]])
def test_verify_of_a_good_folder_says_so_in_one_line(
    options: list[str], finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["verify", str(finished), *options]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"{finished}: 4 rows in 2 shards, all fine (recipe {DIGEST}, ")
    assert out.endswith("); unsigned, so accidents are ruled out, not forgery\n")
    assert out.count("\n") == 1
    assert err == ""


def test_verify_lists_problems_and_ends_with_one_error(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (finished / "shard-00000.h5").write_bytes(b"")
    (finished / "shard-00001.h5").unlink()
    assert run(["verify", str(finished)]) == 2
    out, err = capsys.readouterr()
    assert [line.partition(":")[0] for line in out.splitlines()] == ["shard-00000.h5", "shard-00001.h5"]
    assert err.startswith(f"distill: error: {finished}: 2 problems; remove the broken files and run")
    assert err.count("\n") == 1


def test_verify_finds_a_flipped_byte_only_in_full_where_it_is_in_the_pixels(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = finished / "shard-00000.h5"
    pixels = small_shard(0).images["style"][1].tobytes()
    path.write_bytes(path.read_bytes().replace(pixels, pixels[:-1] + bytes([pixels[-1] ^ 1])))
    assert run(["verify", str(finished)]) == 0
    capsys.readouterr()
    assert run(["verify", str(finished), "--full"]) == 2
    out = capsys.readouterr().out
    assert "image 1 of 'style'" in out
    assert "sha256" in out


def test_verify_of_an_incomplete_folder_asks_for_the_command_alone(
    unfinished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["verify", str(unfinished)]) == 2
    out, err = capsys.readouterr()
    assert (out + err).count("missing, so the data set is not complete") == 1
    assert err == f"distill: error: {unfinished}: 1 problem; run the command that made it again\n"


def test_verify_of_a_broken_recipe_says_where_it_is_kept(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (finished / "recipe.json").write_text("{")
    assert run(["verify", str(finished)]) == 2
    assert "put recipe.json back first: the attribute 'recipe' of every shard" in capsys.readouterr().err
    with h5py.File(finished / "shard-00001.h5") as shard:
        (finished / "recipe.json").write_bytes(shard.attrs["recipe"])
    assert run(["verify", str(finished), "--full"]) == 0


def test_verify_as_json(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", str(finished), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["ok"], found["rows"], found["shards"], found["problems"]) == (True, 4, 2, [])
    (finished / "shard-00001.json").unlink()
    assert run(["verify", str(finished), "--json"]) == 2
    found = json.loads(capsys.readouterr().out)
    assert found["problems"] == [{"shard": "shard-00001.h5", "what": "its sidecar is missing"}]


@pytest.mark.parametrize("command", ["verify", "status"])
def test_a_foreign_or_missing_folder_is_one_line_and_exit_code_2(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"")
    for folder, what in (
        (tmp_path, "no recipe.json in it"),
        (tmp_path / "nowhere", "no such folder"),
        (tmp_path / "holiday.jpg", "a file, not a folder"),
    ):
        assert run([command, str(folder)]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert f"{folder}: {what}" in err
        assert err.count("\n") == 1


def test_status_of_a_complete_folder(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["status", str(finished)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "state     complete"
    assert lines[2].startswith("shards    2 of 2 done")
    assert lines[3] == "rows      4 of 4 accepted"
    assert lines[4] == "driver    none"
    assert [line.split() for line in lines[5:]] == [
        ["tried", "10"],
        ["accepted", "4", "40.0%"],
        ["dropped", "4", "40.0%", "face.none"],
        ["dropped", "2", "20.0%", "ssim.nothing-changed"],
    ]


def test_status_of_an_interrupted_folder(unfinished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = status_of(unfinished, capsys)
    assert (found["complete"], found["n"], found["rows"], found["shards_done"]) == (False, None, 4, 2)
    assert found["driver"] is None
    write_goal(unfinished, 7)
    assert (status_of(unfinished, capsys)["n"], status_of(unfinished, capsys)["shards"]) == (7, 4)
    assert run(["status", str(unfinished)]) == 0
    assert "not complete; the same command resumes it" in capsys.readouterr().out


def test_status_sees_the_driver_that_holds_the_folder(
    unfinished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with FolderLock(unfinished, info={"n": 7}):
        found = status_of(unfinished, capsys)
        assert run(["status", str(unfinished)]) == 0
    driver = found["driver"]
    assert (driver["pid"], driver["host"], driver["alive"]) == (os.getpid(), socket.gethostname(), True)
    assert (found["n"], found["shards"]) == (7, 4)
    assert "state     running" in capsys.readouterr().out


def test_status_tells_a_lock_that_a_dead_driver_left(
    unfinished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    with FolderLock(unfinished, info={"n": 7}):
        lock = json.loads((unfinished / ".lock").read_text())
    (unfinished / ".lock").write_text(json.dumps({**lock, "pid": dead.pid}))
    assert status_of(unfinished, capsys)["driver"]["alive"] is False
    assert run(["status", str(unfinished)]) == 0
    assert f"none; a lock was left by pid {dead.pid}" in capsys.readouterr().out


def test_status_judges_a_driver_elsewhere_by_its_heartbeat(
    unfinished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = unfinished / ".lock"
    lock.write_text(json.dumps({"host": "another-machine", "pid": 1, "n": 7}))
    assert status_of(unfinished, capsys)["driver"]["alive"] is True
    os.utime(lock, (time.time() - 1000,) * 2)
    assert status_of(unfinished, capsys)["driver"]["alive"] is False


@pytest.mark.parametrize("lock", ["", "{", "[]", '{"pid": "x", "n": -1}', "null", "[" * 100000])
def test_status_bears_any_lock_file(lock: str, unfinished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (unfinished / ".lock").write_text(lock)
    assert status_of(unfinished, capsys)["driver"]["pid"] is None


def test_status_does_not_count_a_broken_shard(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (finished / "shard-00001.h5").write_bytes(b"")
    found = status_of(finished, capsys)
    assert (found["complete"], found["rows"], found["shards_broken"]) == (False, 2, [1])
    assert run(["status", str(finished)]) == 0
    assert "broken    1 shard not as written, or without a sidecar: 1" in capsys.readouterr().out


def test_status_counts_a_shard_that_is_a_link_to_nowhere_as_broken(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shard = finished / "shard-00001.h5"
    shard.unlink()
    shard.symlink_to("nowhere")
    assert status_of(finished, capsys)["shards_broken"] == [1]
