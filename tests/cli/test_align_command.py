from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from distill.cli.align import align
from distill.errors import DistillError, NothingWorked

GOLDEN = Path(__file__).parents[1] / "golden" / "alignment"


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    shutil.copy(GOLDEN / "astronaut.png", folder / "me.png")
    shutil.copy(GOLDEN / "astronaut_tight.png", folder / "more" / "me.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    Image.new("RGB", (300, 300), "navy").save(folder / "wall.jpg")
    return folder


def run(*arguments):
    return CliRunner().invoke(align, [str(argument) for argument in arguments])


def test_photos_are_aligned_and_skips_are_told(photos, tmp_path):
    result = run(photos, "--out", tmp_path / "out", "--size", 64)
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == ["me-2.png", "me.png"]
    assert "aligned 2 faces from 2 of 4 photos (64×64, ffhq)" in result.stdout
    assert "skipped 2: " in result.stdout
    assert "no face 1" in result.stdout
    for name in ("broken.jpg", "wall.jpg"):
        assert str(photos / name) in result.stdout


def test_json_report(photos, tmp_path):
    result = run(photos, "--out", tmp_path / "out", "--size", 32, "--mode", "chip", "--json")
    report = json.loads(result.stdout)
    assert (report["aligned"], report["mode"], report["size"]) == (2, "chip", 32)
    assert sum(report["skipped"].values()) == 2
    assert len(report["results"]) == 4
    done = [entry for entry in report["results"] if "output" in entry]
    assert all(len(entry["quad"]) == 4 and len(entry["box"]) == 4 for entry in done)
    for entry in done:
        with Image.open(entry["output"]) as image:
            assert image.size == (32, 32)
    assert all(entry["reason"] for entry in report["results"] if "output" not in entry)


def test_nothing_that_worked_is_exit_code_1(photos, tmp_path):
    result = run(photos / "wall.jpg", "--out", tmp_path / "out", "--json")
    assert isinstance(result.exception, NothingWorked)
    assert result.exception.exit_code == 1
    assert "no face 1" in str(result.exception)
    assert json.loads(result.stdout)["aligned"] == 0


@pytest.mark.parametrize(
    "options",
    [
        ("--size", 15),
        ("--size", 2049),
        ("--face-index", -1),
        ("--mode", "tight"),
        ("--all-faces", "--face-index", 0),
    ],
)
def test_options_out_of_range_are_usage_errors(photos, tmp_path, options):
    result = run(photos, "--out", tmp_path / "out", *options)
    assert result.exit_code == 2
    assert not (tmp_path / "out").exists()


def test_wrong_paths_are_exit_code_2(photos, tmp_path):
    for source, out in [
        (tmp_path / "nope.jpg", tmp_path / "out"),
        (photos, photos / "me.png"),
        (photos, photos),
    ]:
        result = run(source, "--out", out)
        assert isinstance(result.exception, DistillError)
        assert result.exception.exit_code == 2
        assert "\n" not in str(result.exception)


def test_all_faces_are_numbered(photos, tmp_path):
    assert run(photos / "me.png", "--out", tmp_path / "out", "--size", 16, "--all-faces").exit_code == 0
    assert [path.name for path in (tmp_path / "out").glob("*.png")] == ["me_01.png"]


def test_folders_of_the_output_are_made_and_only_for_faces(photos, tmp_path):
    assert run(photos / "me.png", "--out", tmp_path / "not" / "there", "--size", 16).exit_code == 0
    assert (tmp_path / "not" / "there" / "me.png").exists()
    assert run(photos / "wall.jpg", "--out", tmp_path / "nor" / "there").exit_code == 1
    assert not (tmp_path / "nor").exists()


def test_a_second_run_says_what_it_replaced_and_replaces_no_other(photos, tmp_path):
    out = ("--out", tmp_path / "out", "--size", 16)
    assert "replaced" not in run(photos / "me.png", *out).stdout
    assert "replaced" not in run(photos / "more" / "me.png", *out).stdout
    assert "replaced 2 pictures of an earlier run" in run(photos, *out).stdout
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == ["me-2.png", "me.png"]


def test_all_faces_says_how_small_a_face_was_looked_for(photos, tmp_path):
    result = run(photos / "me.png", "--out", tmp_path / "out", "--size", 16, "--all-faces")
    assert "looked for faces of 20 px and more" in result.stdout


def test_the_module_imports_nothing_heavy():
    code = (
        "import sys, distill.cli.align; "
        "sys.exit(bool({'numpy', 'PIL', 'dlib', 'torch', 'tqdm'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
