"""`distill generate` for tasks along a direction and for morphs: what comes out, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from attribute_edits import Redness, planted, write_planted

import distill.attributes.open as scorers
import distill.generation.worker as workers
from distill.cli.main import run
from distill.shards.dataset import TripletDataset
from distill.shards.split import split_rows
from distill.stylegan2.generator import Generator

QUICK = ("--align", "none", "--batch-size", "4", "--shard-size", "4", "--cluster", "none")


@pytest.fixture
def scorer(tiny_teacher: Generator, monkeypatch: pytest.MonkeyPatch) -> Redness:
    """Let the built-in scorer be one that sees how red a picture is."""
    found = Redness(middle=planted(tiny_teacher)[1], width=1.0)
    monkeypatch.setattr(scorers, "_open", lambda source, attribute, device: found)
    monkeypatch.setattr(workers, "cached_scorer", scorers.open_scorer)
    return found


@pytest.fixture
def redder(tiny_teacher: Generator, tmp_path: Path) -> Path:
    write_planted(tmp_path / "redder.safetensors", tiny_teacher, "gender")
    return tmp_path / "redder.safetensors"


def generate(weights: Path, task: str, *args: str | Path | float) -> int:
    return run(["generate", "--task", task, "--generator", str(weights), *QUICK, *map(str, args)])


def test_pairs_go_through_every_command(
    tiny_weights: Path, redder: Path, scorer: Redness, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "pairs"
    options = ("--n", 10, "--direction", redder, "--out", out, "--max-candidates", 2000)
    assert generate(tiny_weights, "gender-swap", *options, "--dry-run") == 0
    plan = capsys.readouterr().out
    assert "pairs       10 of 32 px" in plan
    assert "gender: -3, -1.5, +0, +1.5, +3 along redder" in plan
    assert generate(tiny_weights, "gender-swap", *options) == 0
    assert "10 pairs in 3 shards" in capsys.readouterr().out
    before = (out / "shard-00000.h5").stat().st_mtime_ns
    assert generate(tiny_weights, "gender-swap", *options) == 0, "the same command resumes"
    assert (out / "shard-00000.h5").stat().st_mtime_ns == before
    assert generate(tiny_weights, "gender-swap", *options, "--strength", 2) == 2
    capsys.readouterr()
    assert run(["verify", str(out), "--full"]) == 0
    assert run(["status", str(out)]) == 0
    assert run(["inspect", str(out), "--rows", "4"]) == 0
    assert "gender-swap: 10 pairs, 32 px" in capsys.readouterr().out
    page = (out / "inspect.html").read_text()
    for words in (
        "source → target",
        "gender · +1.5",
        "gender: -3, -1.5, +0, +1.5, +3 along redder",
    ):
        assert words in page
    assert re.search(r"gender [01]\.\d\d to [01]\.\d\d", page)
    assert run(["export", str(out), "--to", "pix2pixhd", "--out", str(tmp_path / "x")]) == 0
    assert "--input_nc 3" in capsys.readouterr().out
    folders = {path.name: len(list(path.iterdir())) for path in (tmp_path / "x").iterdir() if path.is_dir()}
    assert folders == {"train_A": 10, "train_B": 10}
    assert run(["export", str(out), "--to", "folders", "--out", str(tmp_path / "y")]) == 0
    dataset = TripletDataset(out, columns=["latents/source", "scores/gender"])
    train, held = split_rows(dataset, fraction=0.3, seed=0)
    assert len(train) + len(held) == 10
    assert dataset[0]["scores/gender"].shape == (5,)


def test_a_growing_data_set_of_pairs_equals_one_long_run(
    tiny_weights: Path, redder: Path, scorer: Redness, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--direction", redder, "--max-candidates", 2000)
    for n in (3, 9):
        assert generate(tiny_weights, "gender-swap", "--n", n, "--out", tmp_path / "grown", *options) == 0
    assert generate(tiny_weights, "gender-swap", "--n", 9, "--out", tmp_path / "straight", *options) == 0
    grown, straight = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        for name in ("grown", "straight")
    )
    assert grown == straight
    capsys.readouterr()


@pytest.mark.parametrize(
    ("attribute", "options", "select"),
    [
        ("gender", (), {"name": "opposite", "min_confidence": 0.9}),
        ("age", ("--min-gap", 0.5), {"name": "apart", "min_gap": 0.5, "source": "lower"}),
    ],
)
def test_an_attribute_of_the_user_s_choice_is_swapped_by_what_its_scorer_gives(
    attribute: str,
    options: tuple[str | float, ...],
    select: dict[str, str | float],
    tiny_teacher: Generator,
    tiny_weights: Path,
    scorer: Redness,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_planted(tmp_path / "redder.safetensors", tiny_teacher, attribute)
    out = tmp_path / "pairs"
    given = ("--attribute", attribute, "--direction", tmp_path / "redder.safetensors", "--out", out, *options)
    assert generate(tiny_weights, "attribute-swap", "--n", 4, "--max-candidates", 2000, *given) == 0
    recipe = json.loads((out / "recipe.json").read_text())
    assert recipe["task"] == "attribute-swap"
    assert recipe["edit"]["attribute"] == recipe["select"]["attribute"] == attribute
    assert recipe["select"].items() >= select.items()
    chosen = ("params/source_picture", "params/target_picture")
    for row in TripletDataset(out, columns=[f"scores/{attribute}", *chosen]):
        source, target = (float(row[f"scores/{attribute}"][int(row[name])]) for name in chosen)
        assert abs(target - source) >= 0.8 if attribute == "gender" else target - source >= 0.5
    capsys.readouterr()


def test_morphs_go_through_every_command(
    tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "morphs"
    assert generate(tiny_weights, "morph", "--n", 5, "--out", out) == 0
    assert "5 triplets in 2 shards" in capsys.readouterr().out
    assert run(["verify", str(out), "--full"]) == 0
    assert run(["inspect", str(out)]) == 0
    assert "first + second → morph" in (out / "inspect.html").read_text()
    assert run(["export", str(out), "--to", "pix2pixhd", "--out", str(tmp_path / "x")]) == 0
    assert "--input_nc 6" in capsys.readouterr().out
    train, held = split_rows(TripletDataset(out), fraction=0.3, seed=0)
    assert len(train) + len(held) == 5
    assert json.loads((out / "recipe.json").read_text())["edit"] == {"name": "morph"}


@pytest.mark.parametrize(
    ("task", "args", "words"),
    [
        ("gender-swap", [], "no direction for 'gender' comes with"),
        ("gender-swap", ["--direction", "nowhere"], "unknown direction 'nowhere'"),
        ("ageing", ["--direction", "REDDER"], "moves 'gender', this task edits 'age'"),
        ("gender-swap", ["--direction", "REDDER", "--strength", "0"], "--strength"),
        ("gender-swap", ["--direction", "REDDER", "--strength", "nan"], "strength"),
        ("gender-swap", ["--direction", "REDDER", "--min-confidence", "0.3"], "--min-confidence"),
        ("gender-swap", ["--direction", "REDDER", "--min-confidence", "1.5"], "--min-confidence"),
        ("gender-swap", ["--direction", "REDDER", "--max-identity-distance", "0"], "--max-identity-distance"),
        ("gender-swap", ["--direction", "REDDER", "--max-outside-change", "0.9"], "needs the face filter"),
        ("gender-swap", ["--years", "20"], "--years 20.0 has no meaning for the task gender-swap"),
        ("gender-swap", ["--attribute", "age"], "--attribute age has no meaning for the task gender-swap"),
        ("attribute-swap", [], "the task attribute-swap needs --attribute NAME"),
        (
            "attribute-swap",
            ["--attribute", "hat"],
            "unknown attribute 'hat': the scorer 'builtin' gives gender, age",
        ),
        (
            "attribute-swap",
            ["--attribute", "age", "--direction", "REDDER"],
            "moves 'gender', this task edits 'age'",
        ),
        ("attribute-swap", ["--attribute", "gender", "--min-gap", "5"], "--min-gap 5.0 has no meaning"),
        ("ageing", ["--years", "5", "--min-gap", "5"], "--min-gap 5.0 has no meaning"),
        ("gender-swap", ["--crossover", "4"], "--crossover 4 has no meaning for the task gender-swap"),
        ("ageing", ["--years", "-5", "--direction", "REDDER"], "--years"),
        ("ageing", ["--min-confidence", "0.9"], "--min-confidence 0.9 has no meaning for the task ageing"),
        ("morph", ["--strength", "2"], "--strength 2.0 has no meaning for the task morph"),
        ("morph", ["--max-identity-distance", "1"], "no meaning for the task morph"),
        ("style-mix", ["--scorer", "builtin"], "--scorer builtin has no meaning for the task style-mix"),
    ],
)
def test_bad_input_gets_one_line_and_leaves_nothing(
    task: str,
    args: list[str],
    words: str,
    tiny_weights: Path,
    redder: Path,
    scorer: Redness,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = [str(redder) if arg == "REDDER" else arg for arg in args]
    assert generate(tiny_weights, task, "--n", 4, "--out", tmp_path / "out", *given) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert len(captured.err.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"generator_sha256": "ab" * 32}, "belongs to the generator with sha256 abababababab"),
        ({"vector": planted}, "this generator takes"),
    ],
)
def test_a_direction_of_another_generator_is_refused(
    changes: dict[str, object],
    words: str,
    tiny_weights: Path,
    tiny_teacher: Generator,
    scorer: Redness,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if "vector" in changes:
        changes = {"vector": planted(tiny_teacher)[0][:, :-1]}
    write_planted(tmp_path / "d.safetensors", tiny_teacher, "gender", **changes)
    options = ("--n", 4, "--direction", tmp_path / "d.safetensors", "--out", tmp_path / "out")
    assert generate(tiny_weights, "gender-swap", *options) == 2
    err = capsys.readouterr().err
    assert words in err
    assert "distill directions fit" in err


def test_a_value_of_unknown_unit_needs_a_gap(
    tiny_weights: Path,
    scorer: Redness,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(scorer, "names", ("pose",))
    monkeypatch.setattr(scorer, "kinds", {"pose": "value"})
    assert (
        generate(tiny_weights, "attribute-swap", "--attribute", "pose", "--n", 4, "--out", tmp_path / "o")
        == 2
    )
    assert "pose is a value: give --min-gap, in its unit" in capsys.readouterr().err


def test_an_attribute_that_the_scorer_does_not_know_is_refused(
    tiny_weights: Path, redder: Path, scorer: Redness, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scorer.names = ("smile",)  # type: ignore[assignment]
    assert (
        generate(tiny_weights, "gender-swap", "--n", 4, "--direction", redder, "--out", tmp_path / "o") == 2
    )
    assert "unknown attribute 'gender': the scorer 'builtin' gives smile" in capsys.readouterr().err
