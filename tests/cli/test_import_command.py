"""`distill import` as a user calls it, and a student trained on what it makes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from picture_sets import make_folders, make_side_by_side

from distill.cli.main import run
from distill.networks.student import load_student


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    return make_folders(tmp_path / "pairs", ["photo", "drawing"])


def call(*words: object) -> int:
    return run([str(word) for word in words])


def test_it_says_what_it_made_and_what_comes_next(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (pairs / "photo" / "a9.png").write_bytes((pairs / "photo" / "a1.png").read_bytes())
    (pairs / "photo" / "list.txt").write_text("")
    out = tmp_path / "out"
    command = ["import", pairs, "--from", "folders", "--inputs", "photo", "--target", "drawing", "--out", out]
    assert call(*command) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert "1 of 7 rows cannot be taken: no partner 1; the first is a9" in line
    assert not out.exists()
    assert call(*command, "--max-skips", "1") == 0
    text = capsys.readouterr().out
    assert f"6 pairs of 16×16 px, photo → drawing → {out} (1 shard, " in text
    assert "files passed over, since they are not pictures: 1" in text
    assert "left out: 1\n  a9: no partner (drawing: no picture of that name)" in text
    assert f"distill train-pix2pix --data {out}" in text
    assert call("verify", out, "--full") == 0
    assert call("status", out) == 0
    assert call("inspect", out) == 0
    page = (out / "inspect.html").read_text()
    assert "photo of a3" in page
    assert "generator" not in page.lower()


def test_a_dry_run_counts_and_writes_nothing(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (pairs / "photo" / "a2.png").unlink()
    command = ["import", pairs, "--from", "folders", "--inputs", "photo", "--target", "drawing"]
    command += ["--out", tmp_path / "out", "--dry-run", "--max-skips", "20%"]
    assert call(*command) == 0
    text = capsys.readouterr().out
    assert "5 pairs of 16×16 px, photo → drawing" in text
    assert "about 7.5 KiB (raw)" in text
    assert "a2: no partner" in text
    assert call(*command, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["rows"], facts["skipped"], facts["bytes"]) == (6, {"no partner": 1}, 5 * 2 * 3 * 16 * 16)
    assert not (tmp_path / "out").exists()


def test_json_says_what_was_written(pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["import", pairs, "--from", "folders", "--inputs", "drawing", "--target", "photo"]
    assert call(*command, "--out", tmp_path / "out", "--resolution", 8, "--codec", "webp", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["written"], facts["inputs"], facts["target"]) == (6, ["drawing"], "photo")
    assert (facts["resolution"], facts["codec"], facts["skips"]) == (8, "webp", [])
    recipe = json.loads((tmp_path / "out" / "recipe.json").read_text())
    assert (recipe["task"], recipe["source"]["folder"]) == ("import", "pairs")


@pytest.mark.parametrize("options", [["--from", "floppy"], [], ["--from", "folders", "--resolution", "0"]])
def test_bad_options_are_one_line(
    options: list[str], pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("import", pairs, "--out", tmp_path / "out", *options) == 2
    assert capsys.readouterr().err.count("\n") == 1


FACE = Path(__file__).parents[1] / "golden" / "alignment" / "astronaut.png"
FOLDERS = ["--from", "folders", "--target", "drawing"]


@pytest.mark.parametrize(
    ("roles", "options"),
    [
        (["photo", "drawing"], [*FOLDERS, "--inputs", "photo"]),
        (["photo", "style", "drawing"], [*FOLDERS, "--inputs", "photo,style"]),
        ([], ["--from", "pix2pix"]),
    ],
)
def test_a_student_is_trained_and_evaluated_on_an_import(
    roles: list[str], options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures, data, out = tmp_path / "pictures", tmp_path / "data", tmp_path / "run"
    if roles:
        make_folders(pictures, roles, rows=8, side=32)
    else:
        make_side_by_side(pictures, rows=8, side=32)
    assert call("import", pictures, *options, "--out", data) == 0
    training = ["--preset", "demo", "--constant-epochs", 4, "--decay-epochs", 30, "--features", "none"]
    training += ["--perceptual", "none", "--device", "cpu", "--precision", "fp32", "--val-fraction", 0.25]
    assert call("train-pix2pix", "--data", data, "--out", out, *training) == 0
    facts = load_student(out).facts
    inputs = tuple(roles[:-1]) or ("source",)
    assert (facts.task, facts.inputs, facts.target) == ("import", inputs, roles[-1] if roles else "target")
    assert (facts.generator, facts.selected_by) == (None, {})
    capsys.readouterr()
    scoring = ["--features", "none", "--perceptual", "none", "--device", "cpu", "--faces", 2, "--json"]
    assert call("evaluate", out, "--data", data, *scoring) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["part"] == "validation"
    assert report["rows"] >= 1
    assert any("none could be found" in note for note in report["notes"])
    words = ["--style", FACE] if len(inputs) == 2 else []
    assert (
        call("translate", FACE, "--model", out, "--out", tmp_path / "faces", "--device", "cpu", *words) == 0
    )
    assert (tmp_path / "faces" / "astronaut.png").is_file()
