"""`distill mix` and `distill edit`: own photos, projected now or before."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from distill.cli.main import run
from distill.editing.edit import read_strengths
from distill.editing.mix import check_pairs
from distill.errors import DistillError

ASTRONAUT = Path(__file__).parents[1] / "golden" / "alignment" / "astronaut.png"
FEW = ("--steps", "8", "--device", "cpu")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A face, and the same mirrored."""
    folder = tmp_path_factory.mktemp("photos")
    picture = Image.open(ASTRONAUT).convert("RGB")
    picture.save(folder / "me.png")
    picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "you.png")
    return [folder / "me.png", folder / "you.png"]


@pytest.fixture(scope="module")
def projected(photos: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("work") / "projected"
    assert run(["project", *map(str, photos), "--out", str(out), *FEW]) == 0
    return out


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"), dtype=int)


def test_two_photos_are_content_and_style_and_the_same_command_finds_their_latents_again(
    photos, tmp_path, capsys
):
    words = ["mix", *map(str, photos), "--out", str(tmp_path / "out"), *FEW, "--json"]
    assert run(words) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["contents"], facts["styles"], facts["crossover"]) == (["me"], ["you"], 5)
    (mix,) = facts["files"]["mixes"]
    assert Path(mix).name == "me+you.png"
    latent = tmp_path / "out" / "projections" / "me.npz"
    stamp, picture = latent.stat().st_mtime_ns, Path(mix).read_bytes()
    assert run(words) == 0
    assert latent.stat().st_mtime_ns == stamp
    assert Path(mix).read_bytes() == picture


def test_a_grid_a_strip_and_a_sweep_of_projections_made_before(projected, tmp_path, capsys):
    words = ["--interpolate", "3", "--psi", "0,1", "--style", "you", "--style", "me", "me"]
    assert run(["mix", "--from", str(projected), "--out", str(tmp_path / "out"), *words]) == 0
    assert "look at" in capsys.readouterr().out
    found = {path.name for path in (tmp_path / "out").glob("*.png")}
    assert found == {"sheet.png", "interpolation.png", "psi.png", "me+you.png"}
    assert not (tmp_path / "out" / "projections").exists()


def test_a_strip_of_an_edit_passes_through_the_projection(projected, tmp_path, capsys):
    words = ["--from", str(projected), "--direction", "age", "--strengths", "-2:2:3"]
    assert run(["edit", "me", *words, "--out", str(tmp_path / "out"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["strengths"] == [-2, 0, 2]
    names = [Path(path).name for path in facts["files"]]
    assert names == ["me_-2.png", "me_+0.png", "me_+2.png"]
    plain = pixels(projected / "me.png")
    assert np.abs(pixels(tmp_path / "out" / "me_+0.png") - plain).max() <= 1
    assert np.abs(pixels(tmp_path / "out" / "me_+2.png") - plain).mean() > 1


def test_bad_input_is_one_line_and_nothing_is_written(projected, photos, tmp_path, capsys):
    out = ["--out", str(tmp_path / "out")]
    place = ["--from", str(projected)]
    for words, said in (
        (["mix", *place, *out, "nobody"], "no projection 'nobody'; the projections are me, you"),
        (["mix", *place, *out, "me"], "nothing to mix me with"),
        (["mix", *place, *out, "me", "--style", "me"], "nothing to mix me with"),
        (["mix", *place, *out, "me", "--psi", "1", "--interpolate", "3"], "nothing to mix me with"),
        (["mix", *place, *out, "--noise"], "--noise: portraits draws without noise"),
        (["mix", *place, *out, "--crossover", "3-5"], "one layer is needed"),
        (["mix", *place, *out, "--psi", "x"], "give numbers from 0 to 2"),
        (["mix", *place, *out, "--interpolate", "1"], "give 2 to 100 pictures"),
        (["mix", *out], "no photos"),
        (["mix", *map(str, photos), *out, "--crossover", "10"], "outside this network"),
        (["edit", str(photos[0]), *out, "--direction", "people-age"], "people-age"),
        (["edit", *place, *out, "--direction", "people-age"], "people-age"),
        (["edit", *place, *out, "--direction", "age", "--generator", "people"], "generator"),
        (["edit", *place, *out, "--direction", "age", "--strengths", "3:1"], "--strengths '3:1'"),
    ):
        assert run(words) == 2, words
        error = capsys.readouterr().err
        assert said in error, error
        assert error.count("\n") == 1, error
    assert not (tmp_path / "out").exists()


def test_another_picture_is_not_replaced(projected, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    Image.new("RGB", (8, 8), "red").save(out / "me+you.png")
    assert run(["mix", "--from", str(projected), "--out", str(out)]) == 2
    assert "is another picture: choose another --out" in capsys.readouterr().err
    assert pixels(out / "me+you.png").shape == (8, 8, 3)


def test_two_mixes_of_one_name_are_refused():
    with pytest.raises(DistillError, match=r"two mixes would be a\+b\+c\.png"):
        check_pairs(["a+b+c", "a+c", "a+b+c"], "a", asked=False)


@pytest.mark.parametrize(
    "text", ["", "a", "1:2", "0:1:0", "0:1:1000000000", "nan", "0:1:2:3", "1000", "1,1.0000001"]
)
def test_strengths_that_cannot_be(text):
    with pytest.raises(DistillError, match="--strengths"):
        read_strengths(text)
    assert read_strengths("-3:3:7") == (-3, -2, -1, 0, 1, 2, 3)
    assert read_strengths("1,-0.5") == (1, -0.5)
