"""`distill weights` as a user sees it."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys

import pytest
import requests
from checkpoint_files import golden_state, write_nvidia_pytorch, write_rosinality
from safetensors.torch import save_file

from distill.cli.main import run
from distill.weights.checkpoint import read_checkpoint
from distill.weights.fetch import CappedDownload
from distill.weights.registry import entry_of, weights_entries


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DISTILL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_list_shows_every_generator_on_a_line(capsys):
    assert run(["weights", "list"]) == 0
    generators, students, encoders, features, scorers, runtimes = capsys.readouterr().out.split("\n\n")
    lines = generators.splitlines()
    assert [line.split()[0] for line in lines] == [entry.name for entry in weights_entries()]
    assert lines[0].split()[1:4] == ["64x64", "face", "embedded"]
    assert any("512x384" in line and "not fetched" in line for line in lines)
    title, *rows = students.splitlines()
    assert "--model" in title
    assert [row.split()[0] for row in rows] == [entry.name for entry in weights_entries("student")]
    title, *rows = encoders.splitlines()
    assert "--encoder" in title
    assert [row.split()[0] for row in rows] == [entry.name for entry in weights_entries("encoder")]
    title, *rows = features.splitlines()
    assert "--perceptual" in title
    assert [row.split()[0] for row in rows] == ["vgg19", "inception", "vgg16-lpips"]
    title, *rows = scorers.splitlines()
    assert "--scorer" in title
    assert [row.split()[0] for row in rows] == [
        *("dlib-gender", "dlib-age", "people-smile", "people-yaw"),
        "face-api-age-gender",
    ]
    title, *rows = runtimes.splitlines()
    assert "export-student --to web" in title
    assert [row.split()[0] for row in rows] == ["web-runtime"]


def test_list_as_json(capsys):
    assert run(["weights", "list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    first = rows[0]
    assert (first["name"], first["state"], first["licence"]) == ("portraits", "embedded", "Apache-2.0")
    kinds = {row["name"]: row["kind"] for row in rows if row["kind"] != "generator"}
    assert {kinds.pop(entry.name) for entry in weights_entries("student")} == {"student"}
    assert {kinds.pop(entry.name) for entry in weights_entries("encoder")} <= {"encoder"}
    features = [kinds.pop(name) for name in ("vgg19", "inception", "vgg16-lpips")]
    assert features == ["features"] * 3
    assert kinds.pop("web-runtime") == "runtime"
    assert kinds == dict.fromkeys(
        ("dlib-gender", "dlib-age", "people-smile", "people-yaw", "face-api-age-gender"), "scorer"
    )


def test_info_of_embedded_weights(capsys):
    assert run(["weights", "info", "portraits", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["resolution"], facts["num_ws"], facts["z_dim"], facts["w_dim"]) == (64, 10, 256, 256)
    assert facts["format"] == "safetensors"
    assert facts["sha256"] == entry_of("portraits").sha256
    assert 2_000_000 < facts["parameters"] < 2_600_000


def test_info_says_the_same_of_a_foreign_file_every_time(tmp_path, capsys):
    state = golden_state()
    write_nvidia_pytorch(tmp_path / "x.pkl", state, conv_clamp=256.0, lr_multiplier=0.02)
    write_rosinality(tmp_path / "y.pt", state, with_latent_avg=False)
    told = []
    for name in ("x.pkl", "x.pkl", "y.pt", "y.pt"):
        assert run(["weights", "info", str(tmp_path / name), "--json"]) == 0
        told.append(json.loads(capsys.readouterr().out))
    nvidia, again, rosinality, once_more = told
    assert nvidia == again
    assert rosinality == once_more
    layers = sum(name.startswith("mapping.fc") for name in state) // 2
    assert {key: nvidia[key] for key in ("format", "entry", "w_avg", "conv_clamp", "mapping_layers")} == {
        "format": "nvidia-pytorch",
        "entry": "G_ema",
        "w_avg": "stored",
        "conv_clamp": 256.0,
        "mapping_layers": layers,
    }
    assert nvidia["mapping_lr_multiplier"] == 0.02
    assert (rosinality["format"], rosinality["w_avg"]) == ("rosinality", "estimated from 10000 samples")
    assert run(["weights", "info", str(tmp_path / "x.pkl")]) == 0
    assert "conv_clamp:" in capsys.readouterr().out


def test_info_shows_no_control_characters_of_a_file(tmp_path, capsys):
    save_file(
        golden_state(), tmp_path / "x.safetensors", metadata={"entry": "a\x1b[2J\nb", "w_avg": "\u202e"}
    )
    assert run(["weights", "info", str(tmp_path / "x.safetensors")]) == 0
    out = capsys.readouterr().out
    assert "a\\x1b[2J\\nb" in out
    assert not {"\x1b", "\u202e"} & set(out)


def test_info_of_weights_that_are_not_here_says_how_to_fetch_them(capsys):
    assert run(["weights", "info", "ffhq-256"]) == 0
    out = capsys.readouterr().out
    assert "not fetched" in out
    assert "distill weights fetch ffhq-256" in out


def test_info_of_something_else_is_one_line(tmp_path, capsys):
    path = tmp_path / "x.pkl"
    path.write_bytes(b"no weights at all")
    assert run(["weights", "info", str(path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_fetch_of_embedded_weights_prints_their_path(capsys):
    assert run(["weights", "fetch", "portraits"]) == 0
    assert capsys.readouterr().out == f"{entry_of('portraits').path}\n"


def test_features_are_described_and_checked_but_are_no_generator(capsys):
    assert run(["weights", "info", "vgg19"]) == 0
    assert "distill weights fetch vgg19" in capsys.readouterr().out
    path = entry_of("vgg19").path
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not it")
    assert run(["weights", "verify"]) == 2
    assert "vgg19: sha256 is" in capsys.readouterr().out
    assert run(["weights", "info", "vgg19", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["state"] == "fetched"
    for command in (
        ["generate", "--task", "style-mix", "--generator", "vgg19", "--n", "1", "--out", str(path.parent)],
        ["weights", "convert", "vgg19", "--out", str(path.with_suffix(".safetensors"))],
    ):
        assert run(command) == 2
        err = capsys.readouterr().err
        assert err.startswith("distill: error: 'vgg19' is of the kind features")
        assert err.count("\n") == 1


@pytest.mark.parametrize("source", ["portrait", "http://example.org/x.pkl"])
def test_fetch_refuses_what_it_cannot_fetch(source, capsys):
    assert run(["weights", "fetch", source]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_convert_writes_the_same_tensors(tmp_path, capsys):
    out = tmp_path / "copy.safetensors"
    assert run(["weights", "convert", "portraits", "--out", str(out)]) == 0
    sha256 = hashlib.sha256(out.read_bytes()).hexdigest()
    assert sha256 in capsys.readouterr().out
    state, original = read_checkpoint(out).state, read_checkpoint(entry_of("portraits").path).state
    assert state.keys() == original.keys()
    assert all((state[name] == original[name]).all() for name in original)


def test_convert_to_half_is_half_the_size_and_close(tmp_path, tiny_weights):
    out = tmp_path / "half.safetensors"
    assert run(["weights", "convert", str(tiny_weights), "--out", str(out), "--half"]) == 0
    assert out.stat().st_size < 0.52 * tiny_weights.stat().st_size
    state, original = read_checkpoint(out).state, read_checkpoint(tiny_weights).state
    assert all(
        (state[name] - original[name]).abs().max() <= 1e-3 * original[name].abs().max() for name in original
    )


def test_convert_refuses_a_wrong_out(tmp_path, capsys):
    assert run(["weights", "convert", "portraits", "--out", str(tmp_path / "copy.pkl")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_verify_checks_what_is_here(capsys):
    assert run(["weights", "verify"]) == 0
    names = (
        "portraits",
        "people",
        "drawings",
        "avatars",
        "style-mix",
        "gender-swap",
        "ageing",
        "face-to-drawing",
        "attributes",
        "portraits-encoder",
        "dlib-gender",
        "dlib-age",
        "people-smile",
        "people-yaw",
    )
    assert capsys.readouterr().out == "".join(f"{name}: ok\n" for name in names)


def test_verify_names_what_is_missing_or_changed(capsys):
    path = entry_of("ffhq-1024").path
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not it")
    assert run(["weights", "verify", "ffhq-1024", "ffhq-256", "portraits"]) == 2
    out, err = capsys.readouterr()
    assert f"ffhq-1024: sha256 is {hashlib.sha256(b'not it').hexdigest()}, expected a205a346" in out
    assert "ffhq-256: missing" in out
    assert err == "distill: error: 2 of 3 weights are not what they should be: ffhq-1024, ffhq-256\n"


def test_verify_of_an_unknown_name(capsys):
    assert run(["weights", "verify", "nobody"]) == 2
    assert "'nobody'" in capsys.readouterr().err


def test_a_folder_of_that_name_does_not_hide_the_embedded_weights(tmp_path):
    (tmp_path / "stylegan_weights").mkdir()
    (tmp_path / "stylegan_weights" / "__init__.py").write_text("")
    command = [sys.executable, "-m", "distill", "weights", "fetch", "portraits"]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert found.stdout == f"{entry_of('portraits').path}\n", found.stderr


@pytest.mark.parametrize("entry", [*weights_entries("student")[:1], *weights_entries("encoder")[:1]])
def test_info_of_a_student_or_encoder_by_its_path(tmp_path, capsys, entry):
    copy = tmp_path / "mine.safetensors"
    copy.write_bytes(entry.path.read_bytes())
    told = []
    for source in (entry.name, str(copy)):
        assert run(["weights", "info", source, "--json"]) == 0
        told.append(json.loads(capsys.readouterr().out))
    by_name, by_path = told
    assert by_path.pop("path") == str(copy)
    assert by_path.items() <= by_name.items()
    if entry.kind == "student":
        assert by_path["student"]["scores"].keys() >= {"l1", "ssim"}


def test_info_of_an_unknown_name_hints_among_all_kinds(capsys):
    assert run(["weights", "info", "aging"]) == 2
    error = capsys.readouterr().err
    assert "did you mean ageing" in error
    assert "portraits" in error
    assert error.count("\n") == 1


def test_one_name_fetches_all_features(cache, monkeypatch, capsys):
    fetched = []

    def stream(self, url, out):
        fetched.append((url, self.expected))
        out.write(b"x")

    monkeypatch.setattr(CappedDownload, "_stream", stream)
    monkeypatch.setattr("distill.weights.registry.check_hash", lambda *arguments: None)
    assert run(["weights", "fetch", "features"]) == 0
    entries = weights_entries("features")
    assert fetched == [(entry.url, entry.sha256) for entry in entries]
    assert capsys.readouterr().out.split() == [str(entry.path) for entry in entries]
    assert all(entry.sha256 and entry.sha256_source for entry in entries)


def test_a_file_that_cannot_be_fetched_does_not_stop_the_others(cache, monkeypatch, capsys):
    def stream(self, url, out):
        if url != entry_of("inception").url:
            raise requests.ConnectionError("nobody there")
        out.write(b"x")

    monkeypatch.setattr(CappedDownload, "_stream", stream)
    monkeypatch.setattr("distill.weights.registry.check_hash", lambda *arguments: None)
    assert run(["weights", "fetch", "features"]) == 2
    captured = capsys.readouterr()
    assert captured.out.split() == [str(entry_of("inception").path)]
    *notes, last = captured.err.splitlines()
    assert [note.split(":")[0] for note in notes] == ["vgg19", "vgg16-lpips"]
    assert all("no connection to the server" in note for note in notes)
    assert last.startswith("distill: error: 2 of 3 files are missing: vgg19 (")
    assert all(f"{name} ({entry_of(name).path})" in last for name in ("vgg19", "vgg16-lpips"))
