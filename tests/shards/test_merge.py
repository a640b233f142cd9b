"""Parts of one data set, made at two places, become what one place would have made."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from small_sets import SMALL_SET

from distill.cli.main import run
from distill.shards.dataset import TripletDataset
from distill.shards.folder import shard_path, sidecar_path


@pytest.fixture(scope="module")
def places(tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders: `whole` of 5 shards, `a` and `b` with parts of it, `other` with another seed."""
    folder = tmp_path_factory.mktemp("places")

    def generate(name: str, *options: str) -> None:
        words = [
            "generate",
            *SMALL_SET,
            "--cluster",
            "none",
            "--device",
            "cpu",
            "--generator",
            str(tiny_weights),
        ]
        assert run([*words, "--n", "18", "--out", str(folder / name), *options]) == 0

    generate("whole")
    generate("a", "--shards", "0-1")
    generate("b", "--shards", "2-4")
    generate("other", "--seed", "1", "--shards", "2-4")
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".h5", ".json", ".md")
    }


def refusal(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    capsys.readouterr()
    assert run(["merge", *map(str, words)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_two_parts_are_the_whole(places: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "c"
    assert not (places / "a" / "manifest.json").exists(), "a part is no complete data set"
    assert run(["merge", str(places / "a"), str(places / "b"), "--out", str(out), "--dry-run"]) == 0
    assert not out.exists()
    assert run(["merge", str(places / "b"), str(places / "a"), "--out", str(out)]) == 0
    assert tree(out) == tree(places / "whole")
    assert run(["verify", str(out), "--full"]) == 0
    assert len(TripletDataset(out)) == 18
    assert "18 rows in 5 shards" in capsys.readouterr().out


def test_the_same_command_goes_on(places: Path, tmp_path: Path) -> None:
    out = tmp_path / "c"
    words = ["merge", str(places / "a"), str(places / "b"), "--out", str(out)]
    assert run(words) == 0
    sidecar_path(out, 3).unlink()
    (out / "manifest.json").unlink()
    assert run(words) == 0
    assert tree(out) == tree(places / "whole")


def test_another_recipe_is_named(places: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = refusal(capsys, places / "a", places / "other", "--out", tmp_path / "c")
    assert "parts of different data sets: seed is 0 in one and 1 in the other" in line
    assert not (tmp_path / "c").exists()


def test_what_is_not_whole_is_told(places: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = refusal(capsys, places / "b", "--out", tmp_path / "c")
    assert "2 shards of 5 in none of the folders: 0, 1" in line
    line = refusal(capsys, places / "a", places / "b", "--out", places / "a" / "c")
    assert "lies in the data set" in line
    damaged = tmp_path / "damaged"
    shutil.copytree(places / "b", damaged)
    path = shard_path(damaged, 2)
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    assert "its sha256 is not that of its sidecar" in refusal(
        capsys, places / "a", damaged, "--out", tmp_path / "c"
    )
    path.write_bytes(path.read_bytes()[:-1])
    assert "not complete" in refusal(capsys, places / "a", damaged, "--out", tmp_path / "c2")


def test_a_part_that_is_none_is_refused(
    tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "generate",
        *SMALL_SET,
        "--generator",
        str(tiny_weights),
        "--n",
        "18",
        "--out",
        str(tmp_path / "a"),
    ]
    assert run([*words, "--shards", "3-5"]) == 2
    assert "--shards 3-5: a data set of this --n has the shards 0-4" in capsys.readouterr().err
