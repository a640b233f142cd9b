"""What CONTRIBUTING.md says of adding an edit and a filter: done in a copy of the package, word by word, and run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The package and its recipes, elsewhere."""
    for name in ("distill", "pipelines"):
        shutil.copytree(ROOT / name, tmp_path / "copy" / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "copy" / "stylegan_weights").symlink_to(ROOT / "stylegan_weights")
    return tmp_path / "copy"


def follow(section: str, copy: Path) -> list[str]:
    """Do what the blocks of a section say; return the files that they touch."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition(f"### {section}\n")[2]
    blocks = re.findall(r"```(python|diff)\n# (\S+)\n(.*?)```", re.split(r"\n##", text)[0], flags=re.DOTALL)
    for kind, name, body in blocks:
        file = copy / name
        if kind == "diff":
            file.write_text(patched(file.read_text(encoding="utf-8"), body), encoding="utf-8")
        else:
            assert not file.exists(), name
            file.write_text(body, encoding="utf-8")
    return sorted({name for _, name, _ in blocks})


def patched(text: str, diff: str) -> str:
    """Put the lines with + in the place of those with -, or above the line that stays."""
    old = new = ""
    for line in diff.splitlines(keepends=True):
        old += "" if line.startswith("+") else line[1:]
        new += "" if line.startswith("-") else line[1:]
        if old and not line.startswith("-"):
            assert text.count(old) == 1, old
            text, old, new = text.replace(old, new), "", ""
    return text


def generate(
    copy: Path, task: str, weights: Path, out: Path, *options: str
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "distill", "generate", "--task", task, "--generator", str(weights)]
    return subprocess.run(
        [*command, "--cluster", "none", "--out", str(out), "--precision", "fp32", *options],
        env=os.environ | {"PYTHONPATH": str(copy)},
        cwd=copy,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_task_with_an_edit_of_its_own(copy: Path, tiny_weights: Path, tmp_path: Path) -> None:
    assert follow("A task with an edit of its own", copy) == [
        "distill/generation/edits/__init__.py",
        "distill/generation/edits/half_way.py",
        "pipelines/half_way.py",
    ]
    done = generate(copy, "half-way", tiny_weights, tmp_path / "out", "--n", "5")
    assert done.returncode == 0, done.stderr
    with h5py.File(tmp_path / "out" / "shard-00000.h5") as shard:
        assert json.loads(shard.attrs["roles"]) == ["source", "target"]
        assert shard["images/target"].shape[0] == shard["latents/source"].shape[0] == 5
        assert not np.array_equal(shard["images/source"][:], shard["images/target"][:])
        assert json.loads(shard.attrs["recipe"])["edit"] == {"name": "half-way", "share": 0.5}


def test_a_filter(copy: Path, tiny_weights: Path, tmp_path: Path) -> None:
    touched = follow("A filter", copy)
    assert touched == ["distill/generation/filters/__init__.py", "distill/generation/filters/bright.py"]
    (copy / "pipelines" / "bright_mix.py").write_text(
        "from pipelines.style_mix import RECIPE as MIX\n"
        "RECIPE = MIX.without_faces().revised(task='bright-mix').refiltered('bright', min_brightness=142.0)\n"
    )
    done = generate(copy, "bright-mix", tiny_weights, tmp_path / "out", "--n", "5")
    assert done.returncode == 0, done.stderr
    with h5py.File(tmp_path / "out" / "shard-00000.h5") as shard:
        kept = shard["images/mixed"][:].mean(axis=(1, 2, 3))
        np.testing.assert_allclose(shard["scores/brightness"][:], kept, atol=1e-3)
        assert kept.min() >= 142
        assert json.loads(shard.attrs["dropped"])["bright.dark"] > 0
        assert shard["tried/scores/brightness"][:].min() < 142
