"""The scripts and the notebook in examples run as they stand, with small numbers, and leave what they say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from skimage import data as pictures

ROOT = Path(__file__).parents[1]


def run(script: str, *arguments: object) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / script), *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def size(path: Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        return picture.size


def test_every_script_is_run_here() -> None:
    text = Path(__file__).read_text()
    assert [path.name for path in (ROOT / "examples").glob("*.py") if f'"{path.name}"' not in text] == []


def test_explore_latents(tmp_path: Path) -> None:
    run("explore_latents.py", tmp_path)
    assert size(tmp_path / "mixes.png") == (11 * 64, 64)


def test_make_pairs(tmp_path: Path) -> None:
    assert "4 pairs of 64 px" in run("make_pairs.py", tmp_path / "pairs", 4)
    assert size(tmp_path / "pairs-first.png") == (128, 64)


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("example")
    assert "look at" in run("train_student.py", out, 48, 0.5)
    return out


def test_train_student(student: Path) -> None:
    assert size(student / "first.png") == (192, 64)
    assert (student / "student" / "evaluation" / "evaluation.md").is_file()


def test_translate_photos(student: Path, tmp_path: Path) -> None:
    photo = tmp_path / "photos" / "astronaut.png"
    photo.parent.mkdir()
    Image.fromarray(pictures.astronaut()).save(photo)
    said = run("translate_photos.py", student / "student", tmp_path / "out", photo, "--style", photo)
    assert said == f"{photo} -> {tmp_path / 'out' / 'astronaut.png'}\n"
    assert size(tmp_path / "out" / "astronaut.png") == (64, 64)


def test_every_cell_of_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = json.loads((ROOT / "examples" / "distill.ipynb").read_text())["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    for long, short in {"N = 512 ": "N = 48 ", "MINUTES = 1.0": "MINUTES = 0.05"}.items():
        assert code.count(long) == 1
        code = code.replace(long, short)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "distill.ipynb", "exec"), {})
    for made in ("swapped/astronaut.png", "older/astronaut.png"):
        assert size(tmp_path / "runs" / "notebook" / made)
    assert [*(tmp_path / "runs" / "notebook" / "mixed").glob("*.png")]


def test_translate_photos_by_the_name_of_a_student(tmp_path: Path) -> None:
    photo = tmp_path / "me.png"
    Image.fromarray(pictures.astronaut()).save(photo)
    assert f"{photo} -> " in run("translate_photos.py", "gender-swap", tmp_path / "out", photo)
    assert "usage: translate_photos.py" in run("translate_photos.py", "--help")
