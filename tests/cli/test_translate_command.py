from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from distill.cli.main import run
from distill.faces.photos import cut_middles
from distill.networks.pix2pixhd import Architecture, create
from distill.networks.pix2pixhd_files import save_pth
from distill.networks.student import StudentFacts, save_student

GOLDEN = Path(__file__).parents[1] / "golden" / "alignment"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """photos/ with one face among three files; one.pth and run/, students of one and of two inputs."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "photos").mkdir()
    shutil.copy(GOLDEN / "astronaut.png", folder / "photos" / "me.png")
    (folder / "photos" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    Image.new("RGB", (200, 200), "navy").save(folder / "photos" / "wall.jpg")
    save_pth(folder / "one.pth", create(Architecture(inputs=3, ngf=2, downsamplings=2, blocks=1), seed=0))
    (folder / "run").mkdir()
    save_student(
        folder / "run" / "student.safetensors",
        create(Architecture(inputs=6, ngf=2, downsamplings=2, blocks=1), seed=0),
        StudentFacts(task="style-mix", inputs=("content", "style"), target="mixed", resolution=32),
    )
    (folder / "note.pth").write_text("hello")
    torch.save({"model.1.weight": print}, folder / "hostile.pth")
    return folder


def call(capsys, *arguments):
    code = run(["translate", *map(str, arguments)])
    output = capsys.readouterr()
    assert "Traceback" not in output.err
    return code, output.out, output.err


def test_a_folder_is_translated_and_skips_are_told(place, tmp_path, capsys):
    code, text, _ = call(
        capsys,
        place / "photos",
        "--model",
        place / "one.pth",
        "--out",
        tmp_path,
        "--size",
        64,
        "--paste-back",
    )
    assert code == 0
    assert "translated 1 face from 1 of 3 photos (64×64, cpu, fp32)" in text
    assert "skipped 2: " in text
    assert "no face 1" in text
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.png")) == [
        "compare/me.png",
        "me.png",
        "pasted/me.png",
        "sheet.png",
    ]
    with Image.open(tmp_path / "pasted" / "me.png") as pasted, Image.open(GOLDEN / "astronaut.png") as photo:
        assert pasted.size == photo.size


def test_a_drawing_in_which_no_face_is_found_goes_in_as_it_is(place, tmp_path, capsys):
    """Of a student that learnt pairs in reverse, as from drawings to faces; wide pictures lose their sides."""
    save_student(
        tmp_path / "back.safetensors",
        create(Architecture(inputs=3, ngf=2, downsamplings=2, blocks=1), seed=0),
        StudentFacts(task="drawing-to-face", inputs=("target",), target="source", resolution=32),
    )
    wide = Image.new("RGB", (96, 64), "navy")
    wide.paste("gold", (16, 0, 80, 64))
    wide.save(tmp_path / "drawing.png")
    options = ("--model", tmp_path / "back.safetensors", "--out", tmp_path / "out")
    code, _, err = call(capsys, tmp_path / "drawing.png", *options)
    assert code == 1, "nothing worked: it shows no face"
    assert "--align none" in err
    code, text, err = call(
        capsys, tmp_path / "drawing.png", *options, "--align", "none", "--paste-back", "--json"
    )
    assert (code, "--align none" in err) == (0, False)
    found = json.loads(text)
    assert found["inputs"] == ["source"], "what a person gives it is no target"
    assert found["results"][0]["box"] == [16, 0, 80, 64]
    assert (tmp_path / "out" / "pasted" / "drawing.png").is_file()
    (cut,) = next(cut_middles([tmp_path / "drawing.png"], sides=(32, 32), stems=["drawing"]))
    assert (cut.pixels == (255, 215, 0)).all(), "the gold square, to its edges"
    code, _, err = call(capsys, tmp_path / "drawing.png", *options, "--align", "none", "--all-faces")
    assert code == 2
    assert "leave out --all-faces" in err


def test_what_pasting_changes_beside_the_face_is_told(place, tmp_path, capsys):
    with Image.open(GOLDEN / "astronaut.png") as image:
        image.convert("CMYK").save(tmp_path / "print.jpg")
    options = ("--model", place / "one.pth", "--out", tmp_path / "out", "--size", 32, "--paste-back")
    code, text, _ = call(capsys, tmp_path / "print.jpg", *options)
    assert code == 0
    assert "colours in sRGB now in 1 pasted photo" in text
    _, text, _ = call(capsys, tmp_path / "print.jpg", *options, "--json")
    report = json.loads(text)
    assert report["results"][0]["pasted_changes"] == ["colours in sRGB"]
    assert report["replaced"] == 4


def test_json_report_of_a_two_input_student(place, tmp_path, capsys):
    me = place / "photos" / "me.png"
    code, text, _ = call(capsys, me, "--model", place / "run", "--style", me, "--out", tmp_path, "--json")
    report = json.loads(text)
    assert code == 0
    assert (report["translated"], report["size"], report["inputs"]) == (1, 32, ["content", "style"])
    assert report["facts"]["task"] == "style-mix"
    assert report["results"][0]["pasted"] is None
    with Image.open(report["results"][0]["comparison"]) as image:
        assert image.size == (3 * 32 + 8, 32 + 20)


def test_another_size_than_that_of_the_training_is_noted(place, tmp_path, capsys):
    me = place / "photos" / "me.png"
    options = ("--model", place / "run", "--style", me, "--out", tmp_path, "--size", 64)
    assert "trained at 32 px and now runs at 64" in call(capsys, me, *options)[2]


def test_what_a_published_file_does_not_say_is_noted_once(place, tmp_path, capsys):
    network = create(Architecture(inputs=3, ngf=2, downsamplings=2, blocks=1, norm="batch"), seed=0)
    save_pth(tmp_path / "net_G.pth", network)
    common = [place / "photos" / "me.png", "--model", tmp_path / "net_G.pth", "--out"]
    code, _, told = call(capsys, *common, tmp_path / "a", "--device", "cpu")
    assert code == 0
    assert told.count("note: ") == 2
    assert "--norm-statistics batch" in told
    assert "does not say at what size it was trained; it runs at 256 px" in told
    code, _, told = call(capsys, *common, tmp_path / "b", "--size", 64, "--norm-statistics", "batch")
    assert code == 0
    assert told.count("note: ") == 1
    assert "each image's own statistics" in told


def test_nothing_that_worked_is_exit_code_1(place, tmp_path, capsys):
    options = ("--model", place / "one.pth", "--out", tmp_path, "--size", 32)
    code, _, error = call(capsys, place / "photos" / "wall.jpg", *options)
    assert code == 1
    assert "none of 1 photo gave a face (no face 1)" in error


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--model", "run"), "add --style"),
        (("--model", "one.pth", "--style", "photos/me.png"), "leave out --style"),
        (("--model", "run", "--style", "photos/wall.jpg"), "no face"),
        (("--model", "run", "--style", "photos/broken.jpg"), "broken.jpg"),
        (("--model", "note.pth"), "not a weight file"),
        (("--model", "hostile.pth"), "hostile.pth"),
        (("--model", "photos"), "no student-best.safetensors"),
        (("--model", "nothing.pth"), "no such file"),
        (("--model", "one.pth", "--size", "66"), "multiples of 4"),
        (("--model", "one.pth", "--size", "8"), "16"),
        (("--model", "one.pth", "--all-faces", "--face-index", "0"), "exclude each other"),
        (("--model", "one.pth", "--device", "quantum"), "is not one of auto, cpu"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(place, tmp_path, capsys, monkeypatch, options, message):
    monkeypatch.chdir(place)
    code, text, error = call(capsys, "photos/me.png", *options, "--out", tmp_path / "out")
    assert (code, text) == (2, "")
    assert len(error.strip().splitlines()) == 1
    assert message in error
    assert not (tmp_path / "out").exists()


def test_the_module_imports_nothing_heavy():
    code = (
        "import sys, distill.cli.translate, distill.cli.export_student; "
        "sys.exit(bool({'numpy', 'PIL', 'dlib', 'torch', 'tqdm', 'onnx'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_file_that_names_a_giant_size_is_refused(place, tmp_path, capsys):
    network = create(Architecture(inputs=3, ngf=2, downsamplings=2, blocks=1), seed=0)
    save_student(tmp_path / "giant.safetensors", network, StudentFacts(resolution=65536))
    words = (place / "photos", "--model", tmp_path / "giant.safetensors", "--out", tmp_path / "out")
    code, _, error = call(capsys, *words)
    assert code == 2
    assert "giant.safetensors: the file says that it was trained at 65536 px" in error
    assert "--size" in error
    assert call(capsys, *words, "--size", "32")[0] == 0
