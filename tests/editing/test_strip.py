"""Edits of any strength on photos, and strips: one row of pictures of each face."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conditioned_students import make_conditioned
from PIL import Image

import distill
from distill.cli.main import run
from distill.editing.pictures import TILE, tiles_of
from distill.editing.strip import open_strip, read_strip
from distill.editing.translate import TranslateRequest, open_translator
from distill.errors import DistillError
from distill.networks.edits import EditAttribute
from distill.networks.pix2pixhd import Architecture, create
from distill.networks.pix2pixhd_files import save_pth
from distill.networks.stargan import StarGANArchitecture, create_generator
from distill.networks.student import StudentFacts, load_student, save_student

PHOTO = Path(__file__).parents[1] / "golden" / "alignment" / "astronaut.png"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    make_conditioned(folder)
    return folder


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image.convert("RGB"))


def test_a_strip_of_each_face_stands_beside_the_original(model: Path, tmp_path: Path) -> None:
    options = {"model": model, "size": TILE, "device": "cpu"}
    found = distill.translate([PHOTO], out=tmp_path, edit="smile=1", strip="age=-30:30:3", **options)
    (face,) = found.done
    assert face.strip == tmp_path / "strip" / "astronaut.png"
    row = pixels(face.strip)
    tiles = tiles_of(row, 4)
    assert tiles[0].shape == (TILE, TILE, 3)
    for tile, edit in zip(tiles[1:], ("age=-30", "age=0", "age=30"), strict=True):
        alone = distill.translate([PHOTO], out=tmp_path / edit, edit=f"smile=1,{edit}", **options)
        assert np.array_equal(tile, pixels(alone.done[0].output))
    assert np.abs(tiles[1].astype(int) - tiles[3]).mean() > 1
    assert pixels(tmp_path / "sheet.png").shape[1] >= 4 * TILE


def test_the_edit_and_the_strips_are_named(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    words = ["translate", str(PHOTO), "--model", str(model), "--size", "64", "--device", "cpu"]
    out = tmp_path / "out"
    assert run([*words, "--edit", "smile=1", "--strip", "age=-30:30:3", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "translated 1 face from 1 of 1 photo by smile=1 (" in said
    assert f"strips: {out}/strip/NAME.png" in said
    assert run([*words, "--edit", "smile=1", "--out", str(tmp_path / "one")]) == 0
    assert run([*words, "--out", str(tmp_path / "none")]) == 0
    assert " by " not in capsys.readouterr().out.splitlines()[-1]
    named, plain = (pixels(tmp_path / name / "sheet.png") for name in ("one", "none"))
    below = named[plain.shape[0] - 10 :]
    assert below.shape[0] > 20  # room for a line
    assert below.min() < 150  # and text in it


def test_captions_are_values_with_units(model: Path) -> None:
    student = load_student(model)
    assert open_strip("age=-30:30:5", student).captions == (
        "age -30 years", "age -15 years", "age as it is", "age +15 years", "age +30 years"
    )  # fmt: skip
    assert open_strip("smile=0:1:3", student).captions == ("smile as it is", "smile +0.5", "smile +1")
    edits = [each.edit for each in open_strip("smile=0:1:2", student.edited("age=+20")).students]
    assert edits == ["age=+20,smile=+0", "age=+20,smile=+1"]
    assert read_strip("age=10:-10:3") == ("age", (10, 0, -10))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--strip", "age=-31:30:7"], "--strip age=-31:30:7: age was taught from -30 to +30 years"),
        (["--strip", "beard=0:1:3"], "does not know beard; it knows gender, age, smile"),
        (["--strip", "age=0:0:3"], "FROM and TO are the same: give two ends"),
        (["--strip", "age=-30:30"], "NAME=FROM:TO:COUNT is needed"),
        (["--strip", "age=-30:30:1"], "of 2 to 25"),
        (["--strip", "age=-30:30:26"], "of 2 to 25"),
        (["--strip", "age=0:30:3", "--edit", "age=20"], "--edit names age too"),
        (["--edit", "age=+50"], "age was taught from -30 to +30 years"),
        (["--edit", "hair=blond"], "does not know hair"),
    ],
)
def test_what_cannot_be_is_one_line_and_nothing_is_written(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    out = tmp_path / "out"
    assert run(["translate", str(PHOTO), "--model", str(model), "--out", str(out), *options]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert len(said.strip().splitlines()) == 1
    assert not out.exists()


def test_a_student_of_one_change_has_no_strip(tmp_path: Path) -> None:
    save_pth(tmp_path / "one.pth", create(Architecture(inputs=3, ngf=2, downsamplings=2, blocks=1), seed=0))
    with pytest.raises(DistillError, match="--strip is for students of measured changes"):
        open_strip("age=-30:30:7", load_student(tmp_path / "one.pth"))


def test_a_stargan_without_an_edit_has_no_strip(tmp_path: Path) -> None:
    generator = create_generator(StarGANArchitecture(attributes=1, width=4, blocks=1), seed=0)
    attribute = EditAttribute(label="gender", value="female", values=("female", "male"))
    facts = StudentFacts(inputs=("image",), target="edited", attributes=(attribute,))
    save_student(tmp_path / "stargan.safetensors", generator, facts)
    request = TranslateRequest(
        photos=(PHOTO,), model=tmp_path / "stargan.safetensors", out=tmp_path / "out", strip="age=-30:30:7"
    )
    with pytest.raises(DistillError, match="--strip is for students of measured changes"):
        open_translator(request)


def test_the_command_writes_and_reports_strips(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["translate", str(PHOTO), "--model", str(model), "--out", str(tmp_path), "--device", "cpu"]
    assert run([*options, "--strip", "gender=-1:1:3", "--json"]) == 0
    output = capsys.readouterr()
    (face,) = json.loads(output.out)["results"]
    assert face["strip"] == str(tmp_path / "strip" / "astronaut.png")
    assert output.err == ""
    assert run(options) == 0
    said = capsys.readouterr().err
    assert (
        "no --edit, so nothing is changed; --edit can ask for gender=female, male or -1 to +1; age=-30 to"
        in said
    )
    assert run([*options, "--edit", "age=+20"]) == 0  # again into the same folder
    assert "nothing is changed" not in capsys.readouterr().err
