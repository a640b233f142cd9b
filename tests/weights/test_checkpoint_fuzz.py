"""Mutated files of every foreign format are read or refused in one line; nothing else ever happens."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import mutated_files
import pytest
from mutated_files import KINDS, read_mutated

REFUSALS = {"UnsafePickle", "UnsupportedCheckpoint", "DistillError"}
MANY = 2_000  # of each kind: 12,000 in all


@pytest.mark.parametrize("kind", KINDS)
def test_mutated_files(kind: str, tmp_path: Path) -> None:
    if kind == "onnx":
        pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    outcomes = read_mutated(kind, 60, 1, tmp_path / "files")
    assert outcomes.events == []
    assert set(outcomes.counts) <= REFUSALS | {"read"}
    assert 10 < sum(outcomes.counts[name] for name in REFUSALS) <= outcomes.counts.total() == 60


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_many_mutated_files(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In a process of its own, which must live: no execution, no other exception, 30 s and 2 GiB at most a file."""
    if kind == "onnx":
        pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    command = [sys.executable, mutated_files.__file__, kind, str(MANY), "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3_000:]
    outcomes = json.loads(done.stdout)
    assert outcomes["events"] == []
    assert sum(outcomes["counts"].values()) == MANY
    assert set(outcomes["counts"]) <= REFUSALS | {"read"}
    assert outcomes["slowest"] < 30
    assert outcomes["grown"] < 2_048
    with capsys.disabled():
        print(f"\n{kind}: {outcomes['counts']}, {outcomes['slowest']:.2f} s at most, {outcomes['grown']} MiB")
