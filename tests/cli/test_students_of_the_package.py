"""Students that come with the package are used by their names, everywhere that a student is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import distill
from distill.cli.main import run
from distill.errors import DistillError
from distill.evaluation.student import default_out
from distill.weights.by_name import path_by_name
from distill.weights.registry import weights_entries

PHOTO = Path(__file__).parents[1] / "golden" / "alignment" / "astronaut.png"
STUDENTS = weights_entries("student")
MIB = 1 << 20


@pytest.mark.parametrize("entry", STUDENTS, ids=lambda entry: entry.name)
def test_a_student_is_small_has_a_card_and_says_what_it_takes(entry):
    assert entry.path.stat().st_size <= 4 * MIB
    assert entry.card
    assert (entry.path.parents[1] / entry.card).is_file()
    student = distill.load_student(entry.name)
    assert student.facts.resolution == entry.resolution
    assert student.facts.task is not None
    side = entry.resolution
    picture = np.array(Image.open(PHOTO).convert("RGB").resize((side, side)))
    image = torch.from_numpy(picture).permute(2, 0, 1).float()[None] / 127.5 - 1
    drawn = student(image.repeat(1, student.input_channels // 3, 1, 1))
    assert 0.02 < (drawn - image).abs().mean() < 0.4  # another picture, of the same face
    assert drawn.std() > 0.5 * image.std()


def test_a_photo_is_translated_by_name(tmp_path, capsys):
    single = next(entry for entry in STUDENTS if len(distill.load_student(entry.name).facts.inputs) == 1)
    assert run(["translate", str(PHOTO), "--model", single.name, "--out", str(tmp_path)]) == 0
    assert (tmp_path / "astronaut.png").is_file()
    assert (tmp_path / "sheet.png").is_file()
    assert "translated 1 face" in capsys.readouterr().out


def test_names_are_told_where_one_is_wrong(tmp_path, capsys):
    name, *_ = (entry.name for entry in STUDENTS)
    for command in (
        ["translate", str(PHOTO), "--model", f"{name}x", "--out", str(tmp_path / "out")],
        ["evaluate", f"{name}x", "--data", str(tmp_path)],
        ["export-student", f"{name}x", "--out", str(tmp_path / "x.onnx")],
    ):
        assert run(command) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert f"did you mean {name}?" in error
        assert all(entry.name in error for entry in STUDENTS)
    assert not (tmp_path / "out").exists()


def test_what_a_student_does_not_know_is_told_under_its_name(tmp_path, capsys):
    words = ["translate", str(PHOTO), "--model", "attributes", "--out", str(tmp_path / "out")]
    for wish in (["--edit", "hat=1"], ["--strip", "hat=0:1:3"]):
        assert run([*words, *wish]) == 2
        assert capsys.readouterr().err.startswith("distill: error: attributes: --")


def test_a_generator_is_no_student(tmp_path, capsys):
    assert run(["translate", str(PHOTO), "--model", "portraits", "--out", str(tmp_path)]) == 2
    assert "'portraits' is of the kind generator" in capsys.readouterr().err


def test_a_name_wins_over_a_file_and_a_path_is_never_a_name(tmp_path, monkeypatch):
    name = STUDENTS[0].name
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DistillError, match="no such file, and no student"):
        path_by_name(Path(name), "student")
    Path(name).write_text("something else")
    assert path_by_name(name, "student") == STUDENTS[0].path
    assert path_by_name(f"./{name}", "student") == Path(name)


def test_an_evaluation_is_not_written_into_the_package():
    assert default_out(STUDENTS[0].path) == Path(f"{STUDENTS[0].name}-evaluation")


def test_list_and_info_tell_of_students(capsys):
    assert run(["weights", "list"]) == 0
    text = capsys.readouterr().out
    assert "distill translate --model NAME" in text
    assert run(["weights", "info", STUDENTS[0].name, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["kind"] == "student"
    assert STUDENTS[0].name in text
    assert facts["inputs"].isdigit()
    assert run(["weights", "verify", STUDENTS[0].name]) == 0
