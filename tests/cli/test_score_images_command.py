"""`distill score-images`: a row a picture, known labels, going on after an interruption, one line for bad input."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image
from torch import nn

from distill.attributes import builtin
from distill.attributes import photos as scored_photos
from distill.attributes.builtin import BuiltinScorer
from distill.attributes.journal import Journal, score_resumably
from distill.attributes.photos import find_named
from distill.cli.main import explain, run
from distill.cli.score_images import score_images
from distill.errors import Interrupted
from distill.networks.age_gender import AGES, standardised

GOLDEN = Path(__file__).parents[1] / "golden" / "alignment"


class _Brightness(nn.Module):
    """What is bright is female and young."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.weights = torch.zeros(3, classes)
        self.weights[:, 0], self.weights[:, classes // 2 :] = 8, -8

    def forward(self, faces_NCHW: torch.Tensor) -> torch.Tensor:
        return standardised(faces_NCHW).mean(dim=(2, 3)) @ self.weights


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two small networks in the place of the embedded ones."""
    monkeypatch.setattr(builtin, "load_age_gender", lambda name: _Brightness(2 if name == "gender" else AGES))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three faces, one of them dark and one in a folder below, a wall and a broken file."""
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    shutil.copy(GOLDEN / "astronaut.png", folder / "me.png")
    shutil.copy(GOLDEN / "astronaut_tight.png", folder / "more" / "me.png")
    with Image.open(GOLDEN / "astronaut.png") as image:
        image.convert("RGB").point(lambda value: value // 3).save(folder / "dark.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    Image.new("RGB", (300, 300), "navy").save(folder / "wall.jpg")
    (folder / "notes.txt").write_text("no picture")
    return folder


def score(*arguments: Any) -> Result:
    return CliRunner().invoke(score_images, [str(argument) for argument in arguments], standalone_mode=False)


def table(path: Path) -> dict[str, dict[str, str]]:
    with path.open(newline="") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def refused(result: Result, *words: str) -> None:
    assert result.exception is not None, result.output
    line, code = explain(result.exception)
    assert code in (1, 2)
    assert "\n" not in line
    for word in words:
        assert word in line


def test_every_picture_has_a_row(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "labels.csv"
    result = score(folder, "--out", out)
    assert result.exit_code == 0, result.output
    rows = table(out)
    assert list(rows) == ["broken.jpg", "dark.png", "me.png", "more/me.png", "wall.jpg"]
    assert rows["dark.png"]["gender"] == "male"
    assert rows["wall.jpg"]["reason"] == "no face"
    assert rows["broken.jpg"]["reason"] == "not an image"
    assert rows["wall.jpg"]["gender"] == rows["wall.jpg"]["age"] == rows["wall.jpg"]["gender_source"] == ""
    for name in ("dark.png", "me.png", "more/me.png"):
        assert 0.5 <= float(rows[name]["gender_confidence"]) <= 1
        assert 0 <= float(rows[name]["age"]) <= 80
        assert rows[name]["faces"] == "1"
    assert "3 of 5 pictures scored" in result.stdout
    assert "without scores 2: " in result.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["labels.csv", "pictures"]


def test_smile_and_yaw_stand_beside_gender_and_age(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "labels.csv"
    known = tmp_path / "known.csv"
    known.write_text("file,gender,smile_label,yaw\nme.png,F,yes,3\n")
    result = score(folder, "--out", out, "--attributes", "gender,smile,yaw", "--labels", known)
    assert result.exit_code == 0, result.output
    rows = table(out)
    scores = ["smile", "yaw", "smile_label", "faces", "reason"]
    assert list(rows["me.png"]) == ["file", "gender", "gender_confidence", "gender_source", *scores]
    assert rows["me.png"]["gender_source"] == "label"
    assert (rows["me.png"]["smile_label"], float(rows["me.png"]["yaw"])) == ("yes", 3)
    assert 0 <= float(rows["dark.png"]["smile"]) <= 1
    assert rows["wall.jpg"]["smile"] == rows["wall.jpg"]["yaw"] == ""
    for words in (
        "known gender of 1",
        "smile_label: ",
        "known smile_label of 1",
        "known yaw of 1",
    ):
        assert words in result.stdout


def test_a_table_of_smiles_alone_has_no_other_columns(folder: Path, tmp_path: Path) -> None:
    assert score(folder, "--out", tmp_path / "labels.csv", "--attributes", "smile").exit_code == 0
    assert list(table(tmp_path / "labels.csv")["me.png"]) == [
        "file",
        "smile",
        "smile_label",
        "faces",
        "reason",
    ]


def test_a_gender_below_the_confidence_is_left_empty(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "labels.csv"
    assert score(folder, "--out", out, "--attributes", "gender", "--min-confidence", "0.5").exit_code == 0
    told = table(out)
    assert "age" not in told["me.png"]
    assert all(row["gender"] in ("female", "male") for row in told.values() if row["gender_confidence"])
    sure = max(float(row["gender_confidence"]) for row in told.values() if row["gender_confidence"])
    arguments = (
        folder,
        "--out",
        out,
        "--attributes",
        "gender",
        "--min-confidence",
        sure,
        "--overwrite",
        "--json",
    )
    report = json.loads(score(*arguments).stdout)
    assert report["gender"][""] >= 3
    unsure = [
        row
        for row in table(out).values()
        if row["gender_confidence"] and float(row["gender_confidence"]) < sure
    ]
    assert unsure
    assert {row["gender"] for row in unsure} == {""}


def test_known_labels_replace_scores_and_judge_them(folder: Path, tmp_path: Path) -> None:
    known = tmp_path / "known.csv"
    known.write_text("name,gender,age\ndark,female,61\nme.png,,\nmore/me.png,m,\nwall,F,\n")
    out = tmp_path / "labels.csv"
    result = score(folder, "--out", out, "--labels", known, "--json")
    assert result.exit_code == 0, result.output
    rows, report = table(out), json.loads(result.stdout)
    assert [rows[name]["gender"] for name in ("dark.png", "more/me.png", "wall.jpg")] == [
        "female",
        "male",
        "female",
    ]
    assert [rows[name]["gender_source"] for name in ("dark.png", "wall.jpg")] == ["label", "label"]
    assert (rows["dark.png"]["age"], rows["dark.png"]["age_source"]) == ("61", "label")
    assert rows["me.png"]["age_source"] == "network"
    assert report["known_gender"]["count"] == 2, "a picture without a face is not judged"
    assert report["known_age"]["count"] == 1


def test_the_table_balances_a_training_set(folder: Path, tmp_path: Path, capsys: Any) -> None:
    known, out = tmp_path / "known.csv", tmp_path / "labels.csv"
    known.write_text("file,gender\nwall.jpg,F\nme.png,M\ndark.png,M\n")
    assert score(folder, "--out", out, "--labels", known).exit_code == 0
    arguments = ["--resolution", "16", "--balance", f"{out}:gender", "--max-skips", "1"]
    assert run(["prepare-images", str(folder), "--out", str(tmp_path / "set"), *arguments]) == 0
    text = capsys.readouterr().out
    assert "labels for 5 of 5" in text
    assert "sampling weights by gender: female" in text


def test_files_and_folders_together(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "labels.csv"
    assert score(folder / "more", folder / "dark.png", folder / "dark.png", "--out", out).exit_code == 0
    assert list(table(out)) == ["me.png", "dark.png"]
    refused(
        score(folder, folder / "more", "--out", tmp_path / "x.csv"),
        "both be called me.png",
        "score them apart",
    )


def test_dry_run_writes_nothing(folder: Path, tmp_path: Path) -> None:
    result = score(folder, "--out", tmp_path / "labels.csv", "--dry-run")
    assert result.exit_code == 0, result.output
    assert "5 pictures → " in result.stdout
    assert "dry run: nothing was written" in result.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["pictures"]


def test_an_interrupted_run_goes_on(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scored_photos, "AT_ONCE", 1)
    photos, scorer, part = (
        find_named([folder], tmp_path / "x.csv"),
        BuiltinScorer(),
        tmp_path / "x.csv.part",
    )
    looked: list[str] = []
    see: Callable[..., Any] = scored_photos.see

    def watched(photo: Any, crops: Any) -> Any:
        looked.append(photo.name)
        return see(photo, crops)

    monkeypatch.setattr(scored_photos, "see", watched)
    stop = threading.Event()
    with pytest.raises(Interrupted, match="after 2 of 5 pictures; the same command goes on"):
        score_resumably(
            photos,
            scorer,
            Journal(part, {"seed": 1}),
            workers=1,
            stop=stop,
            progress=lambda count: stop.set() if len(looked) == 2 else None,
        )
    with part.open("a") as file:
        file.write('{"photo": ["me.png", 1')  # what a power cut leaves
    (folder / "broken.jpg").write_bytes(b"changed since")
    again = score_resumably(photos, scorer, Journal(part, {"seed": 1}), workers=1, stop=threading.Event())
    assert looked == ["broken.jpg", "dark.png", "me.png", "more/me.png", "wall.jpg"]
    fresh = find_named([folder], tmp_path / "x.csv")
    looked.clear()
    score_resumably(fresh, scorer, Journal(part, {"seed": 1}), workers=1, stop=threading.Event())
    assert looked == ["broken.jpg"], "a file that changed is looked at again"
    looked.clear()
    other = score_resumably(photos, scorer, Journal(part, {"seed": 2}), workers=1, stop=threading.Event())
    assert len(looked) == 5, "other settings, other scores"
    assert [photo.scores for photo in again[1:]] == [photo.scores for photo in other[1:]]


@pytest.mark.cluster
def test_the_table_does_not_depend_on_the_workers(folder: Path, tmp_path: Path) -> None:
    for workers in (1, 2):
        result = score(folder, "--out", tmp_path / f"{workers}.csv", "--workers", workers)
        assert result.exit_code == 0, result.output
    assert (tmp_path / "1.csv").read_bytes() == (tmp_path / "2.csv").read_bytes()


def test_a_finished_table_is_replaced_only_when_asked(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "labels.csv"
    out.write_text("mine")
    refused(score(folder, "--out", out), "exists", "--overwrite")
    assert out.read_text() == "mine"
    assert score(folder, "--out", out, "--overwrite").exit_code == 0
    assert "me.png" in table(out)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--attributes", "gender,glasses"), ("'glasses'", "gender, age, smile, yaw")),
        (("--attributes", ","), ("no attribute",)),
        (("--min-confidence", "0.3"), ("--min-confidence",)),
        (("--device", "abacus"), ("'abacus'",)),
        (("--labels", "none.csv"), ("none.csv", "no such file")),
    ],
)
def test_bad_options_are_one_line(
    folder: Path, tmp_path: Path, options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    refused(score(folder, "--out", tmp_path / "labels.csv", *options), *words)
    assert [path.name for path in tmp_path.iterdir()] == ["pictures"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("file,hair\nme.png,red\n", ("neither a column gender nor age", "hair")),
        ("file,gender\nme.png,other\n", ("gender of me.png is 'other'", "female, male, F or M")),
        ("file,age\nme.png,old\n", ("age of me.png is 'old'", "0 to 150")),
        ("file,gender\nnobody.png,F\n", ("names none of the pictures",)),
    ],
)
def test_bad_labels_are_one_line(folder: Path, tmp_path: Path, text: str, words: tuple[str, ...]) -> None:
    known = tmp_path / "known.csv"
    known.write_text(text)
    refused(score(folder, "--out", tmp_path / "labels.csv", "--labels", known), *words)


def test_bad_places_are_one_line(folder: Path, tmp_path: Path) -> None:
    refused(score(tmp_path / "nope", "--out", tmp_path / "x.csv"), "nope", "no such file or folder")
    refused(score(folder, "--out", folder), "is a directory")
    empty = tmp_path / "empty"
    empty.mkdir()
    refused(score(empty, "--out", tmp_path / "x.csv"))
    refused(score(folder / "wall.jpg", "--out", tmp_path / "x.csv"), "none of 1 pictures", "no face")
    assert not list(tmp_path.glob("x.csv*"))


def test_the_module_imports_nothing_heavy() -> None:
    code = (
        "import sys, distill.cli.score_images; "
        "sys.exit(bool({'numpy', 'PIL', 'dlib', 'torch', 'tqdm'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
