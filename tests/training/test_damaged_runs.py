"""A damaged run folder: what can be gone on from is, with a word about it; all else is one line and exit code 2."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from distill.cli.main import run
from distill.training.checkpoint import load_checkpoint
from distill.training.stats import read_stats
from distill.training.trainers import TRAINERS


@pytest.fixture(autouse=True)
def row(monkeypatch: pytest.MonkeyPatch, pages_without_curves: None) -> None:
    monkeypatch.setitem(TRAINERS, "toy", ("toy_trainer.trainer:TOY", "Train a toy.", "a toy"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, random = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for number in range(4):
        Image.fromarray(random.integers(0, 256, (8, 8, 3), np.uint8)).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def out(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    options = ["--set", "kimg=0.012", "--save-kimg", "0.004", "--tick-kimg", "0.004"]
    assert run(["train-toy", "--data", str(data), "--out", str(tmp_path / "run"), *options]) == 0
    capsys.readouterr()
    return tmp_path / "run"


def resume(data: Path, out: Path) -> int:
    return run(["train-toy", "--data", str(data), "--out", str(out), "--set", "kimg=0.016", "--resume"])


def sign(out: Path, content: object) -> None:
    """Write a checkpoint that is whole, whatever it holds, as the only one."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    index = json.loads((out / "checkpoint.json").read_text())
    (out / index["file"]).write_bytes(buffer.getvalue())
    index["sha256"] = hashlib.sha256(buffer.getvalue()).hexdigest()
    (out / "checkpoint.json").write_text(json.dumps(index))
    (out / "checkpoint-previous.json").unlink()


def indices(text: bytes) -> Callable[[Path], None]:
    def spoil(out: Path) -> None:
        for name in ("checkpoint.json", "checkpoint-previous.json"):
            (out / name).write_bytes(text)

    return spoil


def swap(out: Path) -> None:
    first, second = (path.read_bytes() for path in sorted(out.glob("checkpoint-*.pt")))
    for path, content in zip(sorted(out.glob("checkpoint-*.pt")), (second, first), strict=True):
        path.write_bytes(content)


def empty(out: Path) -> None:
    """Parts of no bytes, signed: torch.load says EOFError, which click takes for Ctrl-D."""
    for path in out.glob("checkpoint*.json"):
        index = json.loads(path.read_text()) | {"sha256": hashlib.sha256(b"").hexdigest()}
        (out / index["file"]).write_bytes(b"")
        path.write_text(json.dumps(index))


def content_of(out: Path) -> dict[str, object]:
    found = load_checkpoint(out)
    assert found is not None
    return found[0]


def without(*names: str) -> Callable[[Path], None]:
    def spoil(out: Path) -> None:
        content = node = content_of(out)
        for name in names[:-1]:
            node = node[name]  # type: ignore[assignment]
        del node[names[-1]]
        sign(out, content)

    return spoil


def step_with(**values: object) -> Callable[[Path], None]:
    def spoil(out: Path) -> None:
        content = content_of(out)
        sign(out, content | {"step": content["step"] | values})  # type: ignore[operator]

    return spoil


def at(**position: object) -> Callable[[Path], None]:
    def spoil(out: Path) -> None:
        sign(out, content_of(out) | {"position": {"seed": 0, "updates": 3, "samples": 12} | position})

    return spoil


def test_what_a_killed_writer_left_is_swept_from_a_run_at_its_end(data: Path, out: Path) -> None:
    left = out / ".stats.jsonl.4194305-0123abcd.tmp"  # of no process: numbers end below
    left.write_bytes(b"half")
    options = ["--set", "kimg=0.012", "--resume"]
    assert run(["train-toy", "--data", str(data), "--out", str(out), *options]) == 0
    assert not left.exists()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (indices(b'{"parts": []}'), "of another version"),
        (indices(b"[]"), "is damaged"),
        (indices(b'{"a":' * 100_000), "is damaged (RecursionError)"),
        (indices(b"1" * 5000), "is damaged"),
        (indices(b"\xff\xfe"), "is damaged"),
        (swap, "sha256 differs"),
        (empty, "is damaged (EOFError)"),
        (lambda out: [path.unlink() for path in out.glob("checkpoint-*.pt")], "no such file"),
        (lambda out: sign(out, [1, 2]), "holds no state of a run"),
        (lambda out: sign(out, {}), "KeyError: 'position'"),
        (at(samples="12"), "ValueError: position"),
        (at(updates=-3, samples=-12), "ValueError: position"),
        (at(samples=13), "13 samples in 3 updates of 4"),
        (without("step", "pool"), "state is not as in the networks"),
        (without("step", "generator", "0.bias"), "state.generator is not as in the networks"),
        (step_with(pool=0.5), "state.pool is not as"),
        (step_with(generator=[]), "state.generator is not as"),
        (lambda out: sign(out, content_of(out) | {"settings": [1]}), "cannot be resumed"),
    ],
)
def test_what_cannot_be_gone_on_from_is_one_line(
    spoil: Callable[[Path], None],
    words: str,
    data: Path,
    out: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    spoil(out)
    before = (out / "stats.jsonl").read_bytes()
    assert resume(data, out) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert error[-1].startswith("distill: error: ")
    assert words in error[-1]
    assert "choose another --out" in error[-1]
    assert (out / "stats.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("checkpoint.json", b"[]", "going on from the checkpoint before"),
        ("checkpoint.json", None, "checkpoint.json is missing"),
        ("checkpoint-000000012.pt", b"x", "checkpoint-000000012.pt is damaged (sha256 differs)"),
        (
            "stats.jsonl",
            b'\xff\n{"samples": [1]}\n{"samples": 4, "loss_g": 1.5}\n{"samp',
            "3 lines cut short",
        ),
        ("stats.jsonl", b"[" * 100_000, "1 line cut short or damaged, left out"),
        ("stats.jsonl", b'{"samples": 1' + b"0" * 400 + b"}", "1 line cut short"),
    ],
)
def test_what_can_be_done_without_is_named_and_the_run_goes_on(
    name: str, text: bytes | None, words: str, data: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (out / name).unlink() if text is None else (out / name).write_bytes(text)
    assert resume(data, out) == 0
    assert words in capsys.readouterr().err
    lines = read_stats(out)
    assert lines[-1]["samples"] == 16
    assert content_of(out)["position"] == {"seed": 0, "updates": 4, "samples": 16}


def test_a_state_that_no_index_names_is_gone_on_from(
    data: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in out.glob("checkpoint*.json"):  # as a kill right before the first index leaves it
        path.unlink()
    assert resume(data, out) == 0
    assert "from 0.012 kimg on" in capsys.readouterr().err


def test_a_full_disk_names_the_command_that_goes_on(
    data: Path, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("distill.files.os.fsync", full)
    assert resume(data, out) == 4
    error = capsys.readouterr().err
    assert "the same distill train-toy with --resume goes on from the last checkpoint" in error
    monkeypatch.undo()
    monkeypatch.setitem(TRAINERS, "toy", ("toy_trainer.trainer:TOY", "Train a toy.", "a toy"))
    assert resume(data, out) == 0
