from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from image_sets import files_of, read_image_set
from PIL import Image

from distill.cli.main import explain
from distill.cli.prepare_images import prepare_images

GOLDEN = Path(__file__).parents[1] / "golden" / "alignment"
RNG = np.random.default_rng(2)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for index in range(6):
        pixels = RNG.integers(0, 256, (20, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    (tmp_path / "labels.csv").write_text(
        "file,gender,age\n0.png,F,30\n1.png,M,40\n2.png,M,\n3.png,M,50\n9.png,F,1\n"
    )
    return folder


def run(*arguments):
    texts = [str(argument) for argument in arguments]
    return CliRunner().invoke(prepare_images, texts, standalone_mode=False)


def refused(result, *words):
    line, code = explain(result.exception)
    assert code == 2, (line, result.output)
    assert "\n" not in line
    for word in words:
        assert word in line
    return line


def test_labels_and_balance(folder, tmp_path):
    out = tmp_path / "set"
    result = run(folder, "--out", out, "--resolution", 8, "--balance", f"{tmp_path}/labels.csv:gender")
    assert result.exit_code == 0, result.output
    assert "6 of 6 pictures, 8×8, align none" in result.stdout
    assert "labels for 4 of 6" in result.stdout
    assert "sampling weights by gender: F 2.0 × 1, M 0.6667 × 3, none 1.0 × 2" in result.stdout
    assert f"digest {json.loads((out / 'manifest.json').read_text())['digest']}" in result.stdout
    found = read_image_set(out)
    assert found["name"].tolist() == [f"{index}.png" for index in range(6)]
    assert found["labels/gender"].tolist() == ["F", "M", "M", "M", "", ""]
    assert found["labels/age"].dtype == np.float32
    assert found["weight"].tolist() == pytest.approx([2, 2 / 3, 2 / 3, 2 / 3, 1, 1])
    assert found["source"]["balance"] == "gender"


def test_labels_alone(folder, tmp_path):
    result = run(
        folder, "--out", tmp_path / "set", "--resolution", 8, "--labels", tmp_path / "labels.csv", "--json"
    )
    report = json.loads(result.stdout)
    assert (report["kept"], report["labelled"], report["weights"]) == (6, 4, {})
    found = read_image_set(tmp_path / "set")
    assert {"labels/age", "labels/gender"} <= found.keys()
    assert "weight" not in found


def test_faces_are_aligned_and_skips_told(folder, tmp_path):
    shutil.copy(GOLDEN / "astronaut.png", folder / "me.png")
    result = run(
        folder, "--out", tmp_path / "set", "--resolution", 64, "--align", "ffhq", "--max-skips", "90%"
    )
    assert result.exit_code == 0, result.output
    assert "1 of 7 pictures, 64×64, align ffhq" in result.stdout
    assert "skipped 6: no face 6" in result.stdout
    assert "no face: 0.png" in result.stdout


def test_dry_run_writes_nothing(folder, tmp_path):
    result = run(folder, "--out", tmp_path / "set", "--resolution", 8, "--dry-run")
    assert result.exit_code == 0, result.output
    assert "6 pictures → at most 0.0 MB of 8×8" in result.stdout
    assert not (tmp_path / "set").exists()
    plan = json.loads(run(folder, "--out", tmp_path / "x", "--resolution", 8, "--dry-run", "--json").stdout)
    assert plan["bytes"] == 6 * 3 * 64


def test_the_same_command_again_changes_nothing_and_another_is_refused(folder, tmp_path):
    arguments = (folder, "--out", tmp_path / "set", "--resolution", 8)
    assert run(*arguments).exit_code == 0
    before = files_of(tmp_path / "set")
    again = run(*arguments)
    assert "6 of them were done before" in again.stdout
    refused(run(*arguments[:-1], 16), "holds another data set: its resolution is 8, now it is 16")
    (folder / "5.png").write_bytes((folder / "4.png").read_bytes())
    for more in ((), ("--dry-run",)):
        words = (
            "holds another data set: it was made of other pictures or labels, or of these as they were before"
        )
        refused(run(*arguments, *more), words, "choose another --out")
        refused(run(*arguments, "--drop-grey", *more), "its source.drop_grey is False, now it is True")
    assert files_of(tmp_path / "set") == before


@pytest.mark.parametrize("codec", ["jpeg", "webp"])
def test_codecs(folder, tmp_path, codec):
    raw, other = (tmp_path / "raw", tmp_path / codec)
    assert run(folder, "--out", raw, "--resolution", 8).exit_code == 0
    assert run(folder, "--out", other, "--resolution", 8, "--codec", codec).exit_code == 0
    images = [read_image_set(path)["images"].astype(int) for path in (raw, other)]
    assert np.abs(images[0] - images[1]).mean() <= (20 if codec == "jpeg" else 0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--resolution", 48), ("resolution 48", "power of two")),
        (("--resolution", 2), ("resolution 2",)),
        (("--resolution", 2048), ("resolution 2048",)),
        (("--resolution", "x"), ("--resolution",)),
        ((), ("--resolution",)),
        (("--resolution", 8, "--max-skips", "many"), ("--max-skips many",)),
        (("--resolution", 8, "--max-skips", "101%"), ("--max-skips 101%",)),
        (("--resolution", 8, "--balance", "labels.csv"), ("FILE.csv:COLUMN",)),
        (("--resolution", 8, "--balance", "none.csv:gender"), ("none.csv", "no such file")),
        (("--resolution", 8, "--align", "chip"), ("--align",)),
        (("--resolution", 8, "--align", "ffhq"), ("skipped 1 of 6", "only 0 allowed", "no face 1")),
    ],
)
def test_bad_input_is_one_line(folder, tmp_path, options, words):
    refused(run(folder, "--out", tmp_path / "set", *options), *words)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["labels.csv", "pictures"]


def test_bad_labels_and_places_are_one_line(folder, tmp_path):
    arguments = (folder, "--resolution", 8, "--out")
    labels = tmp_path / "labels.csv"
    refused(run(*arguments, tmp_path / "s", "--balance", f"{labels}:hair"), "'hair'", "gender, age")
    refused(run(*arguments, tmp_path), "choose an empty or new folder with --out")
    refused(run(*arguments, labels), "is a file, but a folder is needed")
    refused(run(tmp_path / "nowhere", "--resolution", 8, "--out", tmp_path / "s"), "no such folder")
    other = tmp_path / "other.csv"
    other.write_text("file,gender\nx.png,F\n")
    refused(run(*arguments, tmp_path / "s", "--labels", other), "none of its 1 names is a picture")
    both = ("--labels", other, "--balance", f"{labels}:gender")
    refused(run(*arguments, tmp_path / "s", *both), "two different files")
