"""`distill region`: samples and own photos, and bad input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from distill.cli.main import run

ASTRONAUT = Path(__file__).parents[1] / "golden" / "alignment" / "astronaut.png"
FEW = ("--set", "steps=3", "--device", "cpu")


def test_the_mouth_of_a_sample_comes_onto_another(tmp_path, capsys):
    out = tmp_path / "out"
    assert run(["region", "3", "7", "--part", "mouth", "--out", str(out), *FEW]) == 0
    told = capsys.readouterr().out
    assert told.startswith("mouth of 7 onto 3: mean change 0.")
    assert "3+7_mouth_sheet.png" in told
    assert not (out / "projections").exists()


def test_a_photo_gets_the_hair_of_a_sample(tmp_path, capsys):
    words = ["region", str(ASTRONAUT), "7", "--part", "hair", "--out", str(tmp_path), "--steps", "8", *FEW]
    assert run([*words, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["person"], facts["reference"]) == ("astronaut", "7")
    latent = tmp_path / "projections" / "astronaut.npz"
    stamp = latent.stat().st_mtime_ns
    again = ["region", "7", "astronaut", "--from", str(tmp_path / "projections"), "--part", "hair"]
    assert run([*again, "--out", str(tmp_path), *FEW]) == 0
    assert latent.stat().st_mtime_ns == stamp
    assert (tmp_path / "7+astronaut_hair.png").exists()


def test_bad_input_is_one_line_and_nothing_is_written(tmp_path, capsys):
    blank, out = tmp_path / "blank.png", tmp_path / "out"
    Image.fromarray(np.full((80, 80, 3), 128, np.uint8)).save(blank)
    small = tmp_path / "mask.png"
    Image.fromarray(np.full((80, 80), 255, np.uint8)).save(small)
    for words, said in (
        (
            ["3", "7", "--part", "beard"],
            "part 'beard' is not one of eyes, nose, mouth, face, hair, background, clothes",
        ),
        (["3", "3", "--part", "hair"], "person and reference are both"),
        (["3", str(blank), "--part", "hair", "--steps", "1"], "none of 1 photo gave a face"),
        ([str(ASTRONAUT), str(blank), "--part", "hair", "--steps", "1"], "blank.png: no face"),
        (["3", "no/such.jpg", "--part", "hair"], "no/such.jpg: no such file or folder"),
        (["3", "7", "--part", "hair", "--regions", str(small)], "80×80"),
        (["3", "7", "--part", "hair", "--generator", "avatars"], "no regions of the generator"),
        (["3", "7", "--part", "hair", "--regions", "no/such.png"], "no/such.png"),
        (
            ["3", "7", "--part", "hair", "--set", "garment=nan"],
            "setting garment=nan: a number from 0 to 1,000,000 is needed",
        ),
        (
            ["3", "7", "--part", "hair", "--set", "steps=2.5"],
            "setting steps=2.5: a whole number from 1 to 100,000 is needed",
        ),
    ):
        assert run(["region", *words, "--out", str(out), "--device", "cpu"]) == 2, words
        error = capsys.readouterr().err
        assert said in error, error
        assert error.count("\n") == 1, error
    written = {path.name for path in out.rglob("*")} if out.exists() else set()
    assert not any("hair" in name for name in written)


def test_a_file_as_out_is_refused_before_anything_is_looked_for(tmp_path, capsys, monkeypatch):
    (tmp_path / "out").write_text("mine")
    monkeypatch.setattr(
        "distill.editing.region.find_people", None
    )  # to call it would be a fault of the program
    assert run(["region", "3", "7", "--part", "hair", "--out", str(tmp_path / "out")]) == 2
    assert "is a file, but a folder is needed" in capsys.readouterr().err


@pytest.mark.parametrize("part", ["", "hair"])
def test_what_is_missing_is_told(part, tmp_path, capsys):
    words = ["region", "3", "--part", part, "--out", str(tmp_path / "out")]
    assert run(words) == 2
    assert capsys.readouterr().err.count("\n") == 1
