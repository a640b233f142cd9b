"""`distill evaluate --photos` of a student of any strength: asked beside measured."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from comparisons import BrightnessJudge, lit_face, write_faces, write_student
from conditioned_students import make_conditioned
from PIL import Image

from distill.attributes.judge import Judge
from distill.cli.main import run
from distill.networks.edits import condition_of
from distill.networks.student import Student

CONDITIONS = (
    condition_of("age", "value", 30.0),
    condition_of("hat", "probability", 1.0),
    condition_of("gender", "probability", 1.0),
)


@pytest.fixture(autouse=True)
def judge(monkeypatch: pytest.MonkeyPatch) -> None:
    """The only judge there is: a level of grey is a year, and white is female."""

    def only(source: str, *, device: object, attributes: object = None) -> Judge:
        return Judge(name=source, scorer=BrightnessJudge(), hashes=frozenset({"ab" * 32}))

    monkeypatch.setattr("distill.evaluation.response.judges.open_judge", only)
    monkeypatch.setattr("distill.evaluation.faces.open_judge", only)


@pytest.fixture
def by_years(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Students brighten by a level of grey for each year that they are told; the sizes of batches."""
    batches = []

    def brighten(self: Student, images: torch.Tensor, changes: torch.Tensor | None = None) -> torch.Tensor:
        assert changes is not None
        batches.append(len(images))
        return images + changes[:, 0, None, None, None] / 127.5

    monkeypatch.setattr(Student, "__call__", brighten)
    return batches


@pytest.fixture
def model(tmp_path: Path) -> Path:
    make_conditioned(tmp_path / "run", conditions=CONDITIONS)
    return tmp_path / "run"


def test_asked_stands_beside_measured(tmp_path: Path, model: Path, capsys, by_years: list[int]) -> None:
    photos, out = write_faces(tmp_path / "photos", (80, 110, 140)), tmp_path / "out"
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(photos / "dark.png")
    words = ["evaluate", model, "--photos", photos, "--scorer", "mine", "--out", out, "--batch", "5"]
    assert run([*map(str, words), "--device", "cpu"]) == 0, capsys.readouterr().err
    facts, page = json.loads((out / "response.json").read_text()), (out / "response.md").read_text()
    age, gender = facts["attributes"]["age"], facts["attributes"]["gender"]
    assert facts["faces"] == 3
    assert age["slope"] == pytest.approx(1, abs=0.1)  # a little clips at white
    assert age["spearman"] > 0.95
    assert [each["asked"] for each in age["by_amount"]] == [-30, -20, -10, 0, 10, 20, 30]
    assert age["drift"]["gender"]["per_unit"] == pytest.approx(1 / 255, rel=0.1)
    assert gender["slope"] == 0
    assert gender["drift"]["age"]["ends"] == pytest.approx(0, abs=0.6)
    assert facts["attributes"]["hat"]["slope"] is None
    assert facts["not_read"] == ["hat"]
    assert facts["zero"] == {"psnr_db": None, "identity_distance": 0, "without_face": 0}  # the very picture
    assert len(facts["rows"][0]["after"]["age"]) == 19
    assert max(by_years) == 5
    for said in ("hat: not measured: no scorer here knows it", "1 left out: no face", "age, asked (years)"):
        assert said in page
    with Image.open(out / "strips.png") as strips, Image.open(out / "response.png") as curves:
        assert strips.height > 9 * 128
        assert strips.width > 8 * 128
        assert curves.width > 600


def test_with_an_edit_the_report_is_that_of_other_students(tmp_path: Path, model: Path, capsys) -> None:
    photos, out = write_faces(tmp_path / "photos", (110, 140)), tmp_path / "out"
    words = ["evaluate", model, "--photos", photos, "--scorer", "mine", "--out", out, "--edit", "age=-20"]
    assert run([*map(str, words), "--device", "cpu", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["task"] == "age=-20"
    assert "age_wanted" in facts["scores"]["student"]
    assert sorted(path.name for path in out.glob("[!.]*")) == ["photos.json", "photos.md", "photos.png"]


def test_what_cannot_be_is_one_line(tmp_path: Path, model: Path, capsys) -> None:
    photos = write_faces(tmp_path / "photos", (110,))
    words = [
        "evaluate",
        str(model),
        "--photos",
        str(photos),
        "--scorer",
        "mine",
        "--out",
        str(tmp_path / "out"),
    ]

    def error(*given: str) -> str:
        assert run([*given]) == 2
        said = capsys.readouterr().err
        assert len(said.strip().splitlines()) == 1
        assert not (tmp_path / "out").exists()
        return said

    assert "--latent-edit stands beside one edit: name it with --edit" in error(*words, "--latent-edit")
    make_conditioned(tmp_path / "hats", conditions=CONDITIONS[1:2])
    said = error("evaluate", str(tmp_path / "hats"), *words[2:])
    assert "the scorer mine reads gender, age, and the student changes hat" in said


def make_pairs(folder: Path, *, years: tuple[float, ...] = (20, 50)) -> Path:
    folder.mkdir()
    rows = ["source,older,grin,age,older_age"]
    for place, more in enumerate(years):
        for name, level in ((f"{place}.png", 90), (f"{place}-older.png", 90 + more)):
            Image.fromarray(lit_face(level)).save(folder / name)
        rows.append(f"{place}.png,{place}-older.png,{place}.png,30,{30 + more}")
    (folder / "pairs.csv").write_text("\n".join(rows))
    return folder


def test_each_true_pair_asks_for_its_own_years(tmp_path: Path, model: Path, capsys, by_years) -> None:
    pairs, out = make_pairs(tmp_path / "pairs"), tmp_path / "out"
    words = ["evaluate", model, "--truth", pairs, "--column", "older", "--scorer", "mine", "--out", out,
             "--perceptual", "none", "--device", "cpu"]  # fmt: skip
    assert run([*map(str, words)]) == 0, capsys.readouterr().err
    said, facts = capsys.readouterr().out, json.loads((out / "truth.json").read_text())
    assert facts["asked"]["asked"] == [20, 50]
    assert facts["asked"]["told"] == [20, 30]
    assert (
        "1 of 2 pairs ask for more than the student was taught, up to 50 years: it is told 30 there" in said
    )
    assert "age, of each pair its own: +20 years or +30 years" in said
    # One is as bright as the truth, the other 20 levels short of it.
    assert facts["faces"]["student"]["age_miss"] == pytest.approx(10, abs=2)
    assert facts["faces"]["student"]["age_wanted"] == 1
    assert facts["scores"]["student"]["l1"] < facts["scores"]["copy_content"]["l1"]


def test_a_column_of_what_the_student_does_not_know_is_refused(tmp_path: Path, model: Path, capsys) -> None:
    pairs = make_pairs(tmp_path / "pairs")
    words = [
        "evaluate",
        model,
        "--truth",
        pairs,
        "--column",
        "grin",
        "--scorer",
        "mine",
        "--perceptual",
        "none",
    ]
    assert run([*map(str, words)]) == 2
    assert "--column grin asks for smile; the student knows age, hat, gender" in capsys.readouterr().err


def test_a_student_of_one_change_is_measured_as_before(tmp_path: Path, capsys) -> None:
    photos, out = write_faces(tmp_path / "photos", (110,)), tmp_path / "out"
    words = [
        "evaluate",
        write_student(tmp_path / "run"),
        "--photos",
        photos,
        "--scorer",
        "mine",
        "--out",
        out,
    ]
    assert run([*map(str, words), "--device", "cpu"]) == 0
    assert (out / "photos.json").exists()
    assert not (out / "response.json").exists()
