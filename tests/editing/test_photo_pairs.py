"""`distill photo-pairs`: own photos become pairs, told with what was dropped; the same command goes on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from distill.cli.main import run
from distill.pixels import to_numpy, to_uint8
from distill.stylegan2.load import load_generator

ASTRONAUT = Path(__file__).parents[1] / "golden" / "alignment" / "astronaut.png"
CPU = ("--device", "cpu")
WORDS = ("--direction", "gender", "--strength", "6", "--max-identity-distance", "0.8", *CPU)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The astronaut, two faces that portraits draws as photos of 256 px, and a picture without a face."""
    folder = tmp_path_factory.mktemp("photos")
    shutil.copy(ASTRONAUT, folder / "astronaut.png")
    generator = load_generator("portraits", device="cpu", precision="fp32")
    z_ND = torch.randn(2, generator.z_dim, generator=torch.Generator().manual_seed(0))
    drawn = to_numpy(to_uint8(generator.synthesize(generator.map(z_ND, truncation_psi=0.7))))
    for number, image in enumerate(drawn):
        Image.fromarray(image).resize((256, 256), Image.Resampling.BICUBIC).save(
            folder / f"drawn-{number}.jpg"
        )
    Image.fromarray(np.full((96, 96, 3), 90, np.uint8)).save(folder / "wall.png")
    return folder


@pytest.fixture(scope="module")
def pairs(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("work") / "pairs"
    assert run(["photo-pairs", str(photos), "--out", str(out), *WORDS]) == 0
    return out


def again(photos: Path, out: Path, capsys: pytest.CaptureFixture[str], *more: str) -> dict[str, Any]:
    assert run(["photo-pairs", str(photos), "--out", str(out), *WORDS, *more, "--json"]) == 0
    facts: dict[str, Any] = json.loads(capsys.readouterr().out)
    return facts


def pictures(folder: Path) -> dict[str, np.ndarray]:
    return {path.stem: np.asarray(Image.open(path).convert("RGB"), int) for path in folder.glob("*.png")}


def test_a_pair_is_the_photograph_and_the_same_with_the_edit_at_the_generators_size(pairs):
    sources, targets = pictures(pairs / "source"), pictures(pairs / "target")
    assert sources.keys() == targets.keys() != set()
    for name, source in sources.items():
        assert source.shape == targets[name].shape == (64, 64, 3)
        projection = np.asarray(Image.open(pairs / "projections" / f"{name}.png").convert("RGB"), int)
        assert np.abs(source - projection).mean() > 1  # the photograph, not what is drawn of it
        assert 2 < np.abs(source - targets[name]).mean() < 80


def test_only_what_is_drawn_in_part_says_so(pairs):
    for folder, said in (("source", None), ("target", "Partly drawn by a neural network")):
        for path in (pairs / folder).glob("*.png"):
            with Image.open(path) as image:
                image.load()
                note = image.text.get("Comment")
                assert (note is None) if said is None else note.startswith(said)


def test_the_same_command_leaves_alone_what_is_there_and_makes_what_is_missing(
    photos, pairs, tmp_path, capsys
):
    out = tmp_path / "pairs"
    shutil.copytree(pairs, out)
    first, *others = sorted(path.stem for path in (out / "target").glob("*.png"))
    kept = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (out / "source").glob("*.png")}
    missing = (out / "target" / f"{first}.png").read_bytes()
    (out / "target" / f"{first}.png").unlink()
    facts = again(photos, out, capsys)
    assert [pair["name"] for pair in facts["pairs"]] == [first]
    assert sorted(facts["there_already"]) == others
    assert [skip["reason"] for skip in facts["skipped"]] == ["no face"]
    assert (out / "target" / f"{first}.png").read_bytes() == missing
    for path, before in kept.items():
        assert path.stem == first or (path.read_bytes(), path.stat().st_mtime_ns) == before


def test_every_photo_is_a_pair_or_dropped_with_a_reason(photos, pairs, capsys):
    facts = again(photos, pairs, capsys)
    names = {*facts["there_already"], *facts["dropped"]}
    assert names == {"astronaut", "drawn-0", "drawn-1"}
    assert {photo["reason"] for photo in facts["dropped"].values()} <= {
        "not as asked",
        "another person",
        "no face in the edited picture",
    }
    data = f"{pairs}-set"
    roles = "--from folders --inputs source --target target"
    assert facts["next"][0] == f"distill import {pairs} {roles} --out {data}"


def test_the_pairs_can_be_imported_as_the_command_says(pairs, capsys):
    words = ["--from", "folders", "--inputs", "source", "--target", "target", "--out", f"{pairs}-set"]
    assert run(["import", str(pairs), *words]) == 0
    assert Path(f"{pairs}-set", "manifest.json").is_file()


def test_other_settings_in_the_folder_are_refused(photos, pairs, capsys):
    before = {path: path.read_bytes() for path in pairs.rglob("*.png")}
    assert run(["photo-pairs", str(photos), "--out", str(pairs), *WORDS, "--strength", "5"]) == 2
    error = capsys.readouterr().err
    assert "holds pairs with strength 6.0, now it is 5.0" in error
    assert before == {path: path.read_bytes() for path in pairs.rglob("*.png")}
    other = ["--direction", "smile", *WORDS[2:]]  # whose strength and scorer differ too
    assert run(["photo-pairs", str(photos), "--out", str(pairs), *other]) == 2
    error = capsys.readouterr().err
    assert "holds pairs with direction portraits-gender, now it is portraits-smile: use the same" in error


def test_pairs_with_a_mark_and_without_one_do_not_mix(pairs, tmp_path, capsys):
    words = ["photo-pairs", "--from", str(pairs / "projections"), "--out", str(tmp_path / "plain"), *WORDS]
    assert run([*words, "--no-mark"]) == 0
    assert run(words) == 2
    error = capsys.readouterr().err
    assert "holds pairs with mark in no PNG (--no-mark), now it is in each PNG: use the same" in error


def test_projections_made_before_stand_for_photos(pairs, tmp_path, capsys):
    place, out = ["--from", str(pairs / "projections")], ["--out", str(tmp_path / "older")]
    words = ["photo-pairs", "astronaut", *place, *out, "--direction", "age", "--min-change", "0.1", *CPU]
    assert run([*words, "--max-identity-distance", "2", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    (pair,) = facts["pairs"]
    assert pair["name"] == "astronaut"
    assert pair["after"] > pair["before"] + 0.1
    assert not (tmp_path / "older" / "projections").exists()


def test_bad_input_is_one_line_and_nothing_is_written(photos, pairs, tmp_path, capsys):
    out = ["--out", str(tmp_path / "out"), *CPU]
    photo, gender = str(photos / "astronaut.png"), ["--direction", "gender"]
    place = ["--from", str(pairs / "projections")]
    for words, said in (
        ([*gender], "no photos"),
        ([photo, "--direction", "wings"], "wings"),
        ([photo, "--direction", "people-age"], "people-age"),
        ([photo, *gender, "--strength", "-4"], "--one-way"),
        ([photo, *gender, "--min-change", "2"], "--min-change"),
        ([photo, "--direction", "age", "--one-way"], "--one-way"),
        ([photo, *gender, "--scorer", "no/such/file"], "no/such/file"),
        ([*place, *gender, "--space", "w"], "--space w"),
        ([*place, *gender, "nobody"], "no projection 'nobody'"),
        ([str(tmp_path / "none.jpg"), *gender], "none.jpg"),
    ):
        assert run(["photo-pairs", *words, *out]) == 2, words
        error = capsys.readouterr().err
        assert said in error, error
        assert error.count("\n") == 1, error
    assert not (tmp_path / "out").exists()


def test_a_folder_of_something_else_is_left_alone(photos, tmp_path, capsys):
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "mine.png").write_bytes((photos / "wall.png").read_bytes())
    words = ["photo-pairs", str(photos / "astronaut.png"), "--out", str(tmp_path), *WORDS]
    assert run(words) == 2
    assert "holds something other than pairs" in capsys.readouterr().err
    assert not (tmp_path / "projections").exists()


def test_where_nothing_changes_as_asked_there_is_no_pair(photos, tmp_path, capsys):
    words = ["--direction", "gender", "--strength", "0.01", *CPU]
    assert run(["photo-pairs", str(photos / "astronaut.png"), "--out", str(tmp_path / "out"), *words]) == 1
    told = capsys.readouterr()
    assert "dropped 1: not as asked (probability of the side asked for: median 0." in told.out
    assert told.out.splitlines()[-1].endswith(" after, 0.9 asked)")
    assert "none of 1 photo gave a pair" in told.err
    assert not (tmp_path / "out" / "target").exists()
    assert (
        run(["photo-pairs", str(photos / "astronaut.png"), "--out", str(tmp_path / "out"), *words, "--json"])
        == 1
    )
    (photo,) = json.loads(capsys.readouterr().out)["dropped"].values()
    assert photo["reason"] == "not as asked"
    assert photo["before"] == pytest.approx(photo["after"], abs=0.1)


def test_pairs_of_other_photos_stay_on_the_sheet_and_in_the_count(photos, pairs, tmp_path, capsys):
    out = tmp_path / "grown"
    words = ["--from", str(pairs / "projections"), "--out", str(out), *WORDS, "--json"]
    made = []
    for name in ("astronaut", "drawn-0", "drawn-1"):
        run(["photo-pairs", name, *words])
        facts = json.loads(capsys.readouterr().out)
        made += facts["pairs"]
        assert facts["in_folder"] == len(made)
    assert len(made) >= 2
    sheet = out / "sheet.png"
    both = sheet.read_bytes()
    sheet.unlink()
    run(["photo-pairs", made[0]["name"], *words])
    assert sheet.read_bytes() == both


def test_an_empty_picture_is_made_again(pairs, tmp_path, capsys):
    out = tmp_path / "broken"
    words = ["--from", str(pairs / "projections"), "--out", str(out), *WORDS, "--json"]
    run(["photo-pairs", *words])
    first = json.loads(capsys.readouterr().out)["pairs"][0]
    target = out / "target" / f"{first['name']}.png"
    whole = target.read_bytes()
    target.write_bytes(b"")
    assert run(["photo-pairs", *words]) == 0
    assert [pair["name"] for pair in json.loads(capsys.readouterr().out)["pairs"]] == [first["name"]]
    assert target.read_bytes() == whole
