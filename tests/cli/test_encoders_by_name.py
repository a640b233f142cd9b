"""`distill project --encoder`: a name of the table, a file, or what comes with the package for the generator."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import distill
from distill.cli.main import run
from distill.networks.encoder import EncoderShape, create_encoder
from distill.networks.encoder_files import Encoder, save_encoder
from distill.weights import registry
from distill.weights.checkpoint import file_sha256
from distill.weights.registry import WeightsEntry, entry_of

PHOTO = Path(__file__).parents[1] / "golden" / "alignment" / "astronaut.png"


@pytest.fixture
def encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An untrained encoder of `portraits`, the only one in the table, as `small-encoder`."""
    file = tmp_path / "small.safetensors"
    shape = EncoderShape(resolution=64, num_ws=10, w_dim=256, width=8)
    network, sha256 = create_encoder(shape, seed=0), entry_of("portraits").sha256
    save_encoder(file, Encoder(network=network, generator_sha256=sha256, rounds=2, facts={"kimg": "0"}))
    entry = WeightsEntry(
        kind="encoder",
        name="small-encoder",
        summary="An encoder",
        file=str(file),
        generator="portraits",
        licence="-",
        data_licence="-",
        origin="-",
        sha256=file_sha256(file),
    )
    others = {name: entry for name, entry in registry._table().items() if entry.kind != "encoder"}
    monkeypatch.setattr(registry, "_table", lambda: {**others, entry.name: entry})
    return file


def project(out: Path, *more: object) -> int:
    words = ["project", PHOTO, "--space", "encoder", "--device", "cpu", "--out", out, *more]
    return run([str(word) for word in words])


def test_a_name_a_file_and_none_are_the_same_encoder(encoder, tmp_path, capsys):
    copy = tmp_path / "copy.safetensors"
    shutil.copy(entry_of("portraits").path, copy)
    folder = tmp_path / "out"  # a folder of one encoder refuses another
    told = []
    for more in ((), ("--encoder", "small-encoder"), ("--encoder", encoder), ("--generator", copy)):
        assert project(folder, *more, "--json") == 0
        told.append(json.loads(capsys.readouterr().out))
    assert {facts["encoder_sha256"] for facts in told} == {file_sha256(encoder)}
    assert [facts["results"][0]["before"] for facts in told] == [False, True, True, True]
    found = distill.project([PHOTO], out=folder, space="encoder", encoder="small-encoder", device="cpu")
    assert found.done[0].before


def test_the_plan_names_the_encoder(encoder, tmp_path, capsys):
    assert project(tmp_path / "out", "--dry-run") == 0
    assert f"encoder {encoder}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--encoder", "smal-encoder"), "the encoders are small-encoder; did you mean small-encoder?"),
        (("--encoder", "portraits"), "'portraits' is of the kind generator"),
        (("--encoder", "."), "is a directory"),
        (("--encoder", "small-encoder", "--generator", "people"), "an encoder of another generator"),
        (
            ("--generator", "people"),
            "no encoder of people comes with distill: train one with 'distill train-encoder --generator people'",
        ),
        (("--encoder", "small-encoder", "--space", "w+"), "its space is not asked for"),
    ],
)
def test_what_does_not_fit_is_one_line(encoder, tmp_path, capsys, more, said):
    assert project(tmp_path / "out", *more) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_damaged_file_is_refused(encoder, tmp_path, capsys):
    encoder.write_bytes(encoder.read_bytes()[:-1] + b"x")
    assert project(tmp_path / "out") == 2
    assert "sha256" in capsys.readouterr().err


def test_list_info_and_verify_know_it(encoder, capsys):
    assert run(["weights", "list"]) == 0
    assert "small-encoder" in capsys.readouterr().out
    assert run(["weights", "info", "small-encoder", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["kind"], facts["generator"], facts["rounds"]) == ("encoder", "portraits", "2")
    assert run(["weights", "verify", "small-encoder"]) == 0
    encoder.write_bytes(b"other")
    assert run(["weights", "verify", "small-encoder"]) == 2
