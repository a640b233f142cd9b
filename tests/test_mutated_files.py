"""Hostile and mutated files of every format are read or refused in one line; nothing else ever happens."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import mutated_files
import pytest
from mutated_files import KINDS, MEBIBYTES, SECONDS, read_mutated

REFUSALS = {"UnsafePickle", "UnsupportedCheckpoint", "DistillError", "ShardCorrupt", "PhotoError"}
SLOW = {"data-sets", "pictures", "tables"}  # each file is read by several, or some are large
MANY = 2_000  # of each kind, 1,000 of the slow ones: 27,000 in all


def needs_of(kind: str) -> None:
    if kind == "onnx":
        pytest.importorskip("onnxruntime", reason="needs the extra onnx")


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - SLOW))
def test_mutated_files(kind: str, tmp_path: Path) -> None:
    needs_of(kind)
    outcomes = read_mutated(kind, 60, 1, tmp_path / "files", hostile=False)
    assert outcomes.uncaught == []
    assert outcomes.events == []
    assert set(outcomes.counts) <= REFUSALS | {"read"}
    assert 10 < sum(outcomes.counts[name] for name in REFUSALS) <= outcomes.counts.total() == 60


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_many_mutated_files(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In a process of its own, which must live: no execution, no other exception, 30 s and 2 GiB at most a file."""
    needs_of(kind)
    many = MANY // 2 if kind in SLOW else MANY
    command = [sys.executable, "-W", "ignore", mutated_files.__file__, kind, str(many), "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3_000:]
    outcomes = json.loads(done.stdout)
    assert outcomes["uncaught"] == []
    assert outcomes["events"] == []
    assert sum(outcomes["counts"].values()) == many
    assert set(outcomes["counts"]) <= REFUSALS | {"read"}
    assert outcomes["slowest"] < SECONDS, outcomes["slowest_file"]
    assert outcomes["grown"] < MEBIBYTES, outcomes["largest_file"]
    with capsys.disabled():
        print(f"\n{kind}: {outcomes['counts']}, {outcomes['slowest']:.2f} s at most, {outcomes['grown']} MiB")
