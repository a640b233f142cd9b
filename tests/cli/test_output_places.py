"""Where commands write: a folder that is not there is made, by all of them alike; what fails leaves none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from data_sets import make_data_set
from PIL import Image

from distill.cli.main import run

Make = Callable[[Path], list[str]]


def plot(here: Path) -> list[str]:
    (here / "stats.jsonl").write_text(json.dumps({"samples": 1, "loss": 0.5}) + "\n")
    return ["plot", str(here / "stats.jsonl"), "--out", "new/er/curves.png"]


def inspect(here: Path) -> list[str]:
    make_data_set(here / "set")
    return ["inspect", str(here / "set"), "--out", "new/er/page.html", "--sheet", "new/er/sheet.png"]


def export(here: Path) -> list[str]:
    make_data_set(here / "set")
    return ["export", str(here / "set"), "--to", "folders", "--out", "new/er"]


def refilter(here: Path) -> list[str]:
    make_data_set(here / "set")
    return ["refilter", str(here / "set"), "--where", "ssim > -2", "--out", "new/er"]


def convert(here: Path) -> list[str]:
    return ["weights", "convert", "portraits", "--out", "new/er/copy.safetensors"]


def score(here: Path) -> list[str]:
    Image.new("RGB", (8, 8)).save(here / "a.png")
    (here / "scores.csv").write_text("file,smile\na.png,0.25\n")
    return [
        "score-images",
        str(here / "a.png"),
        "--scorer",
        str(here / "scores.csv"),
        "--out",
        "new/er/x.csv",
    ]


COMMANDS = [plot, inspect, export, refilter, convert, score]


@pytest.mark.parametrize("make", COMMANDS)
def test_a_folder_that_is_not_there_is_made(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(make(tmp_path)) == 0, capsys.readouterr().err
    assert list((tmp_path / "new" / "er").iterdir())


@pytest.mark.parametrize("make", COMMANDS)
def test_a_folder_that_cannot_be_made_is_one_line(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    command = make(tmp_path)
    (tmp_path / "new").symlink_to(tmp_path / "gone")
    assert run(command) == 2
    line = capsys.readouterr().err
    assert "new is a link to" in line
    assert "choose another --out" in line
    assert line.count("\n") == 1
    assert not (tmp_path / "gone").exists()


@pytest.mark.parametrize("make", [plot, inspect, refilter, convert, score])
def test_what_cannot_be_written_leaves_no_folder(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    command = make(tmp_path)

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    assert run(command) == 4
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "new").exists()
