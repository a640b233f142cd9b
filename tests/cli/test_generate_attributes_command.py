"""`distill generate --task attributes`: what comes out, through every command, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from several_attributes import write_colours

from distill.cli.main import run
from distill.shards.changes import measured_attributes, read_changes
from distill.shards.dataset import TripletDataset
from distill.stylegan2.generator import Generator

QUICK = ("--align", "none", "--batch-size", "4", "--shard-size", "4", "--max-candidates", "2000")


@pytest.fixture(scope="module")
def colours(tiny_teacher: Generator, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return write_colours(tmp_path_factory.mktemp("colours"), tiny_teacher)


def generate(weights: Path, out: Path, *args: str, cluster: str = "none") -> int:
    words = ["generate", "--task", "attributes", "--generator", str(weights), "--out", str(out)]
    return run([*words, "--cluster", cluster, *QUICK, *args])


def tree(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_pairs_go_through_every_command(
    tiny_weights: Path, colours: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "pairs"
    assert generate(tiny_weights, out, "--n", "10", *colours, "--dry-run") == 0
    plan = capsys.readouterr().out
    assert "red, green, up to 2 at a time: strengths in ±3 along more-red, more-green" in plan
    assert not out.exists()
    assert generate(tiny_weights, out, "--n", "10", *colours) == 0
    assert "10 pairs in 3 shards" in capsys.readouterr().out
    before = (out / "shard-00000.h5").stat().st_mtime_ns
    assert generate(tiny_weights, out, "--n", "10", *colours) == 0, "the same command resumes"
    assert (out / "shard-00000.h5").stat().st_mtime_ns == before
    capsys.readouterr()
    assert run(["verify", str(out), "--full"]) == 0
    assert run(["inspect", str(out), "--rows", "4"]) == 0
    told = capsys.readouterr().out
    assert "red: asked of " in told
    page, card = (out / "inspect.html").read_text(), (out / "README.md").read_text()
    for words in ("<h2>Changes</h2>", "measured red ", "measured in red, green"):
        assert words in page
    assert "## Changes" in card
    assert told.split("asked for them:\n")[1].split("page  ")[0] in card
    assert run(["inspect", str(out), "--json"]) == 0
    counts = json.loads(capsys.readouterr().out)["changes"]
    assert [item["attribute"] for item in counts] == ["red", "green"]
    for item in counts:
        assert item["up"] + item["down"] == item["asked"] == sum(item["counts"])
    assert run(["export", str(out), "--to", "pix2pixhd", "--out", str(tmp_path / "x")]) == 0


def test_recipe_and_shards_say_what_was_asked_and_what_was_measured(
    tiny_weights: Path, colours: list[str], tmp_path: Path
) -> None:
    assert generate(tiny_weights, tmp_path, "--n", "24", *colours) == 0
    columns = ["scores/red", "scores/green", "params/strength_red", "params/strength_green"]
    data = TripletDataset(tmp_path, columns=[*columns, "latents/source", "latents/target"])
    select, edit = (data.recipe[key] for key in ("select", "edit"))
    assert (edit["name"], select["name"]) == ("directions", "measured")
    assert select["attributes"] == edit["attributes"] == ["red", "green"]
    assert select["kinds"] == ["probability", "value"]
    assert [item["direction"] for item in edit["directions"]] == ["more-red", "more-green"]
    assert measured_attributes(data.recipe) == ("red", "green")
    rows = [data[k] for k in range(len(data))]
    asked = np.array([[float(row[f"params/strength_{name}"]) for name in ("red", "green")] for row in rows])
    changes = read_changes(data)
    assert changes.dtype == np.float32
    for row, change in zip(rows, changes, strict=True):
        found = [float(row[f"scores/{name}"][1] - row[f"scores/{name}"][0]) for name in ("red", "green")]
        np.testing.assert_allclose(change, found, atol=1e-6)
    wanted = asked != 0
    assert set(wanted.sum(axis=1)) == {1, 2}
    assert (np.sign(changes) == np.sign(asked))[wanted].all()
    assert (np.abs(changes) >= [0.25, 0.5])[wanted].all()
    assert np.abs(asked).max() <= 3
    assert (changes[~wanted] != 0).any(), "what was not asked for is measured too"


def test_growth_interruption_and_refiltering(
    tiny_weights: Path, colours: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for n in ("3", "9"):
        assert generate(tiny_weights, tmp_path / "grown", "--n", n, *colours) == 0
    assert generate(tiny_weights, tmp_path / "straight", "--n", "9", *colours) == 0
    (tmp_path / "straight" / "shard-00001.json").unlink()
    assert generate(tiny_weights, tmp_path / "straight", "--n", "9", *colours) == 0, "a shard is made again"
    assert tree(tmp_path / "grown") == tree(tmp_path / "straight")
    where = "green[1] > green[0]"
    words = ["refilter", str(tmp_path / "grown"), "--where", where, "--out", str(tmp_path / "greener")]
    assert run(words) == 0
    kept = read_changes(TripletDataset(tmp_path / "greener"))
    assert 0 < len(kept) < 9
    assert (kept[:, 1] > 0).all()
    assert "## Changes" in (tmp_path / "greener" / "README.md").read_text()
    assert run(["verify", str(tmp_path / "greener"), "--full"]) == 0
    capsys.readouterr()


@pytest.mark.cluster
def test_worker_processes_make_the_same_bytes(tiny_weights: Path, colours: list[str], tmp_path: Path) -> None:
    assert generate(tiny_weights, tmp_path / "here", "--n", "10", *colours) == 0
    two = ("--workers", "2")
    assert generate(tiny_weights, tmp_path / "there", "--n", "10", *colours, *two, cluster="local") == 0
    assert tree(tmp_path / "here") == tree(tmp_path / "there")


def test_one_attribute_alone(tiny_weights: Path, colours: list[str], tmp_path: Path) -> None:
    alone = ["--attributes", "red", *colours[-2:]]
    direction = colours[3].partition(",")[0]
    assert generate(tiny_weights, tmp_path, "--n", "3", *alone, "--direction", direction) == 0
    assert read_changes(TripletDataset(tmp_path)).shape == (3, 1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"--attributes": None}, "the task attributes needs --attributes"),
        ({"--attributes": "red,green,red"}, "--attributes names 'red' twice"),
        ({"--attributes": "red,,green"}, "'' is not the name of an attribute"),
        ({"--attributes": "red,green,blue"}, "no direction for 'blue' comes with the generator"),
        ({"--attributes": "red"}, "'green' is not one of --attributes red"),
        ({"--direction": "RED"}, "write ATTRIBUTE=…"),
        ({"--direction": "red=RED,green=RED"}, "moves 'red', this task edits 'green'"),
        ({"--direction": "red=nowhere,green=RED"}, "unknown direction 'nowhere'"),
        ({"--scorer": "builtin"}, "unknown attribute 'red': the scorer 'builtin' gives gender"),
        ({"--min-change": None}, "say what change of 'green' counts: --min-change green=NUMBER"),
        ({"--min-change": "green=5,red=2"}, "red is a probability"),
        ({"--min-change": "green=much"}, "--min-change green=much: give a number above 0"),
        ({"--min-change": "green=nan"}, "give a number above 0"),
        ({"--min-change": "green=1,green=2"}, "'green' is named twice"),
        ({"--years": "20"}, "--years 20.0 has no meaning for the task attributes"),
        ({"--min-confidence": "0.9"}, "--min-confidence 0.9 has no meaning for the task attributes"),
        ({"--crossover": "4"}, "--crossover 4 has no meaning for the task attributes"),
        ({"--strength": "0"}, "--strength"),
    ],
)
def test_bad_input_gets_one_line_and_leaves_nothing(
    changes: dict[str, str | None],
    words: str,
    tiny_weights: Path,
    colours: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = dict(zip(colours[::2], colours[1::2], strict=True)) | changes
    red = colours[3].partition(",")[0].removeprefix("red=")
    given = [text.replace("RED", red) for pair in options.items() if pair[1] for text in pair]  # type: ignore[union-attr]
    assert generate(tiny_weights, tmp_path / "out", "--n", "4", *given) == 2
    error = capsys.readouterr().err
    assert words in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", ["--attributes", "--min-change"])
def test_other_tasks_refuse_what_only_this_one_has(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["generate", "--task", "gender-swap", "--n", "4", "--out", str(tmp_path / "out")]
    assert run([*words, option, "gender=1"]) == 2
    assert f"{option} gender=1 has no meaning for the task gender-swap" in capsys.readouterr().err


def test_another_choice_in_the_same_folder_is_named(
    tiny_weights: Path, colours: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert generate(tiny_weights, tmp_path, "--n", "2", *colours) == 0
    capsys.readouterr()
    for option, value, words in [
        ("--min-change", "green=0.7", "--min-change is 0.5 there and 0.7 here"),
        ("--attributes", "green,red", "--attributes is 'red' there and 'green' here"),
    ]:
        changed = [
            value if before == option else text for before, text in zip(["", *colours], colours, strict=False)
        ]
        assert generate(tiny_weights, tmp_path, "--n", "2", *changed) == 2
        assert words in capsys.readouterr().err
