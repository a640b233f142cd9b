"""`distill generate --task region-swap` through every command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from region_swaps import painted_left, written_shares

from distill.cli.main import run
from distill.shards.dataset import TripletDataset
from distill.stylegan2.generator import Generator

QUICK = (
    "--align",
    "none",
    "--batch-size",
    "2",
    "--shard-size",
    "4",
    "--cluster",
    "none",
    "--max-outside-change",
    "1",
)


def generate(weights: Path, *args: str | Path | float) -> int:
    command = ["generate", "--task", "region-swap", "--part", "hair", "--generator", str(weights)]
    return run([*command, *QUICK, "--min-inside-change", "0", *map(str, args)])


def test_triplets_go_through_every_command(
    tiny_weights: Path, tiny_teacher: Generator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mask, out = painted_left(tmp_path / "left.png"), tmp_path / "swap"
    options = ("--regions", mask, "--steps", 4, "--n", 6, "--resolution", 16, "--out", out)
    assert generate(tiny_weights, *options, "--dry-run") == 0
    plan = capsys.readouterr().out
    assert (
        "hair of the reference onto the person, by shares of the style channels looked for in 4 steps" in plan
    )
    assert "s a candidate" in plan
    assert generate(tiny_weights, *options) == 0
    captured = capsys.readouterr()
    assert "6 triplets of 16 px" in captured.err
    assert "6 triplets in 2 shards" in captured.out
    assert generate(tiny_weights, *options) == 0, "the same command resumes"
    q = written_shares(tmp_path / "q.safetensors", tiny_teacher)
    assert generate(tiny_weights, *options[:2], *options[4:], "--shares", q) == 2
    assert "--shares" in capsys.readouterr().err
    assert run(["verify", str(out), "--full"]) == 0
    assert run(["status", str(out)]) == 0
    assert run(["inspect", str(out), "--rows", "4"]) == 0
    page = (out / "inspect.html").read_text()
    for words in ("person", "reference", "result", "inside", "outside", "to_reference"):
        assert words in page
    card = (out / "README.md").read_text()
    assert "`person` and `reference` go in, `result` should come out" in card
    recipe = json.loads((out / "recipe.json").read_text())
    assert recipe["edit"]["shares"]["settings"]["steps"] == 4
    far = sorted(float(row["scores/inside"]) for row in TripletDataset(out, columns=["scores/inside"]))[3]
    assert run(["refilter", str(out), "--where", f"inside >= {far:.9g}", "--out", str(tmp_path / "far")]) == 0
    assert len(TripletDataset(tmp_path / "far")) == 3


def test_given_shares_and_what_is_told_of_them(
    tiny_weights: Path, tiny_teacher: Generator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mask, q = painted_left(tmp_path / "left.png"), written_shares(tmp_path / "q.safetensors", tiny_teacher)
    options = ("--regions", mask, "--shares", q, "--n", 4, "--out", tmp_path / "out")
    assert generate(tiny_weights, *options, "--dry-run") == 0
    assert "hair of the reference onto the person, by shares of a file" in capsys.readouterr().out
    assert generate(tiny_weights, *options) == 0
    other = written_shares(tmp_path / "eyes.safetensors", tiny_teacher, part="eyes")
    capsys.readouterr()
    assert (
        generate(tiny_weights, "--regions", mask, "--shares", other, "--n", 4, "--out", tmp_path / "b") == 2
    )
    assert len(capsys.readouterr().err.splitlines()) == 1
