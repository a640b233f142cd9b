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

GOLDEN = Path(__file__).parents[1] / "golden" / "alignment"


@pytest.fixture(scope="module")
def place(tmp_path_factory, tiny_weights):
    """photos/ with one face among three files, the generator tiny.safetensors, and files that are no LPIPS."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "photos").mkdir()
    shutil.copy(GOLDEN / "astronaut.png", folder / "photos" / "me.png")
    (folder / "photos" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    Image.new("RGB", (200, 200), "navy").save(folder / "photos" / "wall.jpg")
    shutil.copy(tiny_weights, folder / "tiny.safetensors")
    (folder / "notes.txt").write_text("notes")
    torch.save({"a.weight": torch.zeros(3)}, folder / "other.pth")
    return folder


def call(capsys, *arguments):
    code = run(["project", *map(str, arguments)])
    output = capsys.readouterr()
    assert "Traceback" not in output.err
    return code, output.out, output.err


def test_a_folder_is_projected_and_told(place, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(place)
    words = (
        "photos",
        "--generator",
        "tiny.safetensors",
        "--space",
        "w,w+",
        "--steps",
        3,
        "--out",
        tmp_path / "out",
    )
    code, text, _ = call(capsys, *words, "--dry-run")
    assert code == 0
    assert "3 photos → " in text
    assert "W+: distill-projection, at most 3 steps a face" in text
    assert not (tmp_path / "out").exists()
    code, text, _ = call(capsys, *words, "--device", "cpu")
    assert code == 0
    lines = text.splitlines()
    assert lines[0].split() == [
        *("photo", "space", "L1", "perceptual_efficientnet_lite0", "identity", "from", "mean", "w", "seconds")
    ]
    assert [line.split()[:2] for line in lines[1:3]] == [["me", "W"], ["me", "W+"]]
    assert "projected 1 face from 1 of 3 photos (32×32, cpu, w, w+)" in text
    assert "skipped 2: " in text
    code, text, _ = call(capsys, *words, "--json")
    report = json.loads(text)
    assert (code, report["projected"], report["spaces"]) == (0, 1, ["w", "w+"])
    (result,) = [result for result in report["results"] if "spaces" in result]
    assert result["before"]
    assert set(result["spaces"]) == {"w", "w+"}


def test_a_latent_far_out_is_noted(place, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("distill.stylegan2.spread.BEYOND", 0.0)
    words = ("--generator", place / "tiny.safetensors", "--steps", 6, "--out", tmp_path / "out")
    code, _, told = call(capsys, place / "photos" / "me.png", *words)
    assert code == 0
    (line,) = [line for line in told.splitlines() if line.startswith("note: ")]
    assert "me: W+ is up to " in line
    assert "edits may not do there what they say" in line


def test_nothing_that_worked_is_exit_code_1(place, tmp_path, capsys):
    words = ("--generator", place / "tiny.safetensors", "--steps", 2, "--out", tmp_path / "out")
    code, _, error = call(capsys, place / "photos" / "wall.jpg", *words)
    assert code == 1
    assert "none of 1 photo gave a face (no face 1)" in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--lpips", "notes.txt"), "not a weight file"),
        (("--lpips", "other.pth"), "not LPIPS by VGG16"),
        (("--lpips", "nothing.pth"), "nothing.pth"),
        (("--generator", "notes.txt"), "notes.txt"),
        (("--space", "z"), "unknown space 'z'"),
        (("--steps", "0"), "--steps"),
        (("--device", "quantum"), "is not one of auto, cpu"),
        (("--out", "photos"), "could be replaced"),
        (("--out", "notes.txt"), "notes.txt"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(place, tmp_path, capsys, monkeypatch, options, message):
    monkeypatch.chdir(place)
    words = ("photos/me.png", "--generator", "tiny.safetensors", "--out", tmp_path / "out")
    code, text, error = call(capsys, *words, *options)
    assert (code, text) == (2, "")
    assert len(error.strip().splitlines()) == 1
    assert message in error
    assert not (tmp_path / "out").exists()


def test_the_module_imports_nothing_heavy():
    heavy = {"numpy", "PIL", "dlib", "torch", "tqdm"}
    code = f"import sys, distill.cli.project; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
