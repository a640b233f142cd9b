from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from region_pictures import find_centred

from distill.cli.main import run
from distill.faces.regions import fit
from distill.faces.regions.file import read_clusters
from distill.stylegan2.load import load_generator


@pytest.fixture
def few(monkeypatch):
    """Draw few samples, and say of each that a face is in its middle."""
    monkeypatch.setattr("distill.faces.regions.run.SAMPLES", 48)
    monkeypatch.setattr(fit, "FaceDetector", lambda **settings: find_centred)


def call(capsys, *words):
    code = run(["regions", *map(str, words)])
    told = capsys.readouterr()
    assert "Traceback" not in told.err
    return code, told.out, told.err


def test_a_file_and_a_picture_of_every_region(few, tiny_weights, tmp_path, capsys):
    out = tmp_path / "new" / "tiny.safetensors"
    code, text, _ = call(capsys, tiny_weights, "--out", out)
    assert code == 0
    lines = text.splitlines()
    assert [line.split()[0] for line in lines[:7]] == [
        *("eyes", "nose", "mouth", "face", "hair", "background", "clothes")
    ]
    shares = [float(line.split("%")[0].split()[1]) for line in lines[:7] if "%" in line]
    assert sum(shares) == pytest.approx(100, abs=0.5)
    assert lines[-1] == f"{out}: 20 clusters of 48 samples; look at {out.with_suffix('.png')}"
    with Image.open(out.with_suffix(".png")) as picture:
        assert picture.width > 16 * 96
        assert len(np.unique(np.asarray(picture).reshape(-1, 3), axis=0)) > 100
    found = read_clusters(out, load_generator(tiny_weights, precision="fp32"))
    assert found.facts.generator == "tiny.safetensors"


def test_the_same_seed_gives_the_same_bytes_and_json_tells_the_numbers(few, tiny_weights, tmp_path, capsys):
    words = (tiny_weights, "--out", tmp_path / "a.safetensors", "--seed", 3)
    code, text, _ = call(capsys, *words, "--json")
    told = json.loads(text)
    assert code == 0
    assert (told["path"], told["seed"], told["samples"]) == (str(tmp_path / "a.safetensors"), 3, 48)
    assert len(told["names"]) == len(told["shares"]) == 20
    files = (tmp_path / "a.safetensors", tmp_path / "a.png")
    before = [path.read_bytes() for path in files]
    files[1].write_bytes(b"mine")
    assert call(capsys, *words, "--overwrite")[0] == 0
    assert [path.read_bytes() for path in files] == before


@pytest.mark.parametrize("taken", ["a.safetensors", "a.png"])
def test_neither_file_is_replaced_unasked(taken, tiny_weights, tmp_path, capsys):
    (tmp_path / taken).write_bytes(b"mine")
    code, _, told = call(capsys, tiny_weights, "--out", tmp_path / "a.safetensors")
    assert (code, told.count("\n")) == (2, 1)
    assert f"{taken} exists; choose another --out, or replace it with --overwrite" in told
    assert [path.name for path in tmp_path.iterdir()] == [taken]


def test_bad_input_is_one_line_and_leaves_nothing(tiny_weights, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("distill.faces.regions.run.SAMPLES", 16)
    notes = tmp_path / "notes.txt"
    notes.write_text("notes")
    before = sorted(tmp_path.iterdir())
    for words, line in (
        (
            (tiny_weights, "--out", tmp_path / "new" / "a.safetensors"),
            "of 16 samples show a face, 32 are needed",
        ),
        ((tiny_weights, "--out", tmp_path / "a.png"), "the name must end in .safetensors"),
        ((notes, "--out", tmp_path / "a.safetensors"), "not a weight file"),
        (("nobody", "--out", tmp_path / "a.safetensors"), "nobody"),
        ((tiny_weights,), "Missing option '--out'"),
    ):
        code, _, told = call(capsys, *words)
        assert (code, told.count("\n")) == (2, 1), told
        assert line in told
    assert sorted(tmp_path.iterdir()) == before


def test_regions_that_come_with_the_package_were_made_by_this_command():
    folder = Path(__file__).parents[2] / "stylegan_weights" / "regions"
    for path in folder.glob("*.safetensors"):
        facts = read_clusters(path, load_generator(path.stem, precision="fp32")).facts
        assert (facts.generator, facts.samples) == (path.stem, fit.SAMPLES)
