"""`distill generate` with two generators: through every command, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from children import make_child

from distill.cli.main import run
from distill.shards.dataset import TripletDataset

QUICK = ("--align", "none", "--batch-size", "4", "--shard-size", "4", "--cluster", "none")


def generate(task: str, first: Path, second: Path | str, *args: str | Path | float) -> int:
    command = ["generate", "--task", task, "--generator", str(first), "--second-generator", str(second)]
    return run([*command, *QUICK, *map(str, args)])


def test_shared_pairs_go_through_every_command(
    tiny_weights: Path, tiny_child: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "pairs"
    options = ("--n", 6, "--out", out)
    assert generate("face-to-drawing", tiny_weights, tiny_child, *options, "--dry-run") == 0
    plan = capsys.readouterr().out
    assert "second      child.safetensors, 32 px" in plan
    assert "edit        the same w in child.safetensors" in plan
    assert generate("face-to-drawing", tiny_weights, tiny_child, *options) == 0
    captured = capsys.readouterr()
    assert "6 pairs of 32 px from tiny.safetensors and child.safetensors" in captured.err
    assert "6 pairs in 2 shards" in captured.out
    assert generate("face-to-drawing", tiny_weights, tiny_child, *options) == 0, "the same command resumes"
    assert generate("face-to-drawing", tiny_weights, tiny_child, *options, "--min-ssim", 0.1) == 2
    assert "--min-ssim is -1.0 there and 0.1 here" in capsys.readouterr().err
    assert run(["verify", str(out), "--full"]) == 0
    assert run(["status", str(out)]) == 0
    assert run(["inspect", str(out), "--rows", "4"]) == 0
    page = (out / "inspect.html").read_text()
    for words in ("Second generator", "the same w in child.safetensors", "source → target", "ssim 0."):
        assert words in page
    card = (out / "README.md").read_text()
    assert "|  | generator | second generator |" in card
    assert "| name | tiny.safetensors | child.safetensors |" in card
    assert "read their licences" in card
    assert run(["export", str(out), "--to", "pix2pixhd", "--out", str(tmp_path / "x")]) == 0
    assert "--input_nc 3" in capsys.readouterr().out
    best = sorted(float(row["scores/ssim"]) for row in TripletDataset(out, columns=["scores/ssim"]))[3]
    assert run(["refilter", str(out), "--where", f"ssim >= {best:.9g}", "--out", str(tmp_path / "best")]) == 0
    assert len(TripletDataset(tmp_path / "best")) == 3


def test_folders_are_named_by_both_generators(
    tiny_weights: Path, tiny_child: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert generate("drawing-to-face", tiny_weights, tiny_child, "--n", 2) == 0
    (made,) = (tmp_path / "data").iterdir()
    recipe = json.loads((made / "recipe.json").read_text())
    first, second = recipe["generator"]["sha256"], recipe["edit"]["second_generator"]["sha256"]
    assert made.name == f"drawing-to-face-tiny-{first[:8]}-child-{second[:8]}-seed0"


def test_another_second_generator_is_another_data_set(
    tiny_weights: Path, tiny_child: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = make_child(tiny_weights, tmp_path / "child.safetensors", moved=0.1)
    for second, code in ((tiny_child, 0), (other, 2)):
        assert generate("face-to-drawing", tiny_weights, second, "--n", 4, "--out", tmp_path / "out") == code
    assert "the second generator is another file" in capsys.readouterr().err


def test_a_threshold_that_nothing_reaches_names_its_rate_and_what_to_do(
    tiny_weights: Path, tiny_child: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--n", 4, "--out", tmp_path / "out", "--min-ssim", 0.999, "--max-candidates", 8)
    assert generate("face-to-drawing", tiny_weights, tiny_child, *options) == 2
    err = capsys.readouterr().err
    advice = "take a smaller --min-ssim (-1 keeps all"
    for words in ("0 of 8 candidates accepted (0.0%)", "likeness.too-low: 8", advice):
        assert words in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("task", "args", "words"),
    [
        ("face-to-drawing", ["--second-generator", "nobody"], "unknown generator 'nobody'"),
        ("face-to-drawing", ["--second-generator", "gender-swap"], "is of the kind student"),
        (
            "face-to-drawing",
            ["--second-generator", "avatars", "--pairing", "shared"],
            "has 32 px, 8 w+ layers of 64, 'avatars' 64 px, 10 w+ layers of 128",
        ),
        ("face-to-drawing", ["--pairing", "morph"], "--pairing"),
        (
            "face-to-drawing",
            ["--steps", "9"],
            "--steps 9 has no meaning where both generators draw the same w",
        ),
        ("face-to-drawing", ["--pairing", "shared", "--space", "w"], "--space w has no meaning"),
        ("face-to-drawing", ["--min-ssim", "2"], "--min-ssim"),
        ("face-to-drawing", ["--min-ssim", "nan"], "--min-ssim"),
        ("face-to-drawing", ["--max-identity-distance", "1"], "no meaning for the task face-to-drawing"),
        ("face-to-drawing", ["--strength", "1"], "no meaning for the task face-to-drawing"),
        ("style-mix", [], "has no meaning for the task style-mix"),
    ],
)
def test_bad_input_gets_one_line_and_leaves_nothing(
    task: str,
    args: list[str],
    words: str,
    tiny_weights: Path,
    tiny_child: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert generate(task, tiny_weights, tiny_child, "--n", 4, "--out", tmp_path / "out", *args) == 2
    err = capsys.readouterr().err
    assert words in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()
