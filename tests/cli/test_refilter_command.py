"""`distill refilter` as a user calls it, and the other commands on what it makes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from data_sets import DIGEST, make_data_set

from distill.cli.main import run


def refiltered(source: Path, where: str, out: Path, *words: str) -> int:
    return run(["refilter", str(source), "--where", where, "--out", str(out), *words])


@pytest.fixture
def source(tmp_path: Path) -> Path:
    make_data_set(tmp_path / "data", shards=3)
    return tmp_path / "data"


def test_the_table_and_a_data_set_that_all_commands_take(tmp_path, source, capsys):
    out = tmp_path / "kept"
    assert refiltered(source, "ssim<0.65 and face_confidence[1] > 0.6", out) == 0
    table = capsys.readouterr().out
    assert f"{source} (style-mix, digest {DIGEST}): 9 rows in 3 shards" in table
    assert "where ssim < 0.65 and face_confidence[1] > 0.6" in table
    lines = [line.split() for line in table.splitlines()]
    assert ["kept", "3", "33.3%"] in lines
    assert ["dropped", "6", "66.7%"] in lines
    assert ["not", "ssim", "<", "0.65", "3", "33.3%"] in lines
    assert "ssim is 0.5 to 0.7" in table
    assert "face_confidence[1] is 0.5714 to 1.214" in table
    assert f"look at them: distill inspect {out}" in table

    assert run(["verify", str(out), "--full"]) == 0
    assert "3 rows in 1 shard, all fine" in capsys.readouterr().out
    assert run(["inspect", str(out)]) == 0
    assert run(["status", str(out), "--json"]) == 0
    status = json.loads(capsys.readouterr().out.partition("{")[2].join(["{", ""]))
    assert (status["complete"], status["n"], status["dropped"]["refilter"]) == (True, 3, 6)
    assert run(["export", str(out), "--to", "folders", "--out", str(tmp_path / "files")]) == 0
    assert len(list((tmp_path / "files").rglob("*.png"))) == 9


def test_json_of_plan_and_result(tmp_path, source, capsys):
    out = tmp_path / "kept"
    assert refiltered(source, "params/crossover == 2", out, "--dry-run", "--json") == 0
    plan = json.loads(capsys.readouterr().out)
    assert not out.exists()
    assert (plan["kept"], plan["dropped"], plan["from"], plan["written"]) == (6, 3, DIGEST, False)
    assert plan["ranges"] == {"params/crossover": {"low": 2.0, "high": 3.0, "missing": 0}} or plan[
        "ranges"
    ] == {"crossover": {"low": 2.0, "high": 3.0, "missing": 0}}
    assert refiltered(source, "crossover == 2", out, "--json") == 0
    done = json.loads(capsys.readouterr().out)
    assert (done["digest"], done["written"], done["shards"]) == (plan["digest"], True, 2)
    assert done["bytes"] == sum(path.stat().st_size for path in out.glob("*.h5"))
    assert refiltered(source, "crossover == 2", out, "--json") == 0  # again: nothing to do, the same answer
    assert json.loads(capsys.readouterr().out)["digest"] == done["digest"]


def test_a_dry_run_for_people(tmp_path, source, capsys):
    assert refiltered(source, "ssim < 0.65", tmp_path / "kept", "--dry-run") == 0
    assert f"{tmp_path / 'kept'} would take 2 shards, about" in capsys.readouterr().out
    assert not (tmp_path / "kept").exists()


def test_a_quantile_is_shown_and_the_recipe_holds_its_number(tmp_path, source, capsys):
    out, where = tmp_path / "best", "ssim >= quantile(ssim, 0.6)"
    assert refiltered(source, where, out, "--dry-run") == 0
    table = capsys.readouterr().out
    lines = table.splitlines()
    asked = next(line for line in lines if line.startswith("quantile(ssim, 0.6) is "))
    number = asked.split()[3].rstrip(",")
    assert asked.endswith(", over 9 rows")
    assert f"where ssim >= {number}" in lines
    assert not out.exists()
    assert refiltered(source, where, out, "--json") == 0
    done = json.loads(capsys.readouterr().out)
    assert done["where"] == f"ssim >= {number}"
    assert done["quantiles"] == {"quantile(ssim, 0.6)": {"value": float(number), "rows": 9, "missing": 0}}
    (step,) = json.loads((out / "recipe.json").read_text())["refiltered"]
    assert step == {"from": DIGEST, "where": f"ssim >= {number}"}
    assert refiltered(source, where, out) == 0, "the same command goes on"
    assert refiltered(source, f"ssim >= {number}", out) == 0, "its number says the same"
    capsys.readouterr()
    assert refiltered(source, "ssim >= quantile(ssim, 0.9)", out) == 2
    assert "; quantile(ssim, 0.9) is " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("ssim > quantile(ssim, 60)", "is a number from 0 to 1, not 60"),
        ("ssim > quantile(ssim, 1)", "keeps none of the 9 rows of"),
        ("ssim <", "--where, column 7: the expression ends too early"),
        ("sim < 1", "did you mean ssim?; the columns are crossover, face_confidence, ssim"),
        ("ssim < 0.1", "keeps none of the 9 rows of"),
        ("face_confidence < 1", "face_confidence holds 3 numbers a row"),
    ],
)
def test_a_bad_expression_is_one_line(tmp_path, source, capsys, where, words):
    assert refiltered(source, where, tmp_path / "kept") == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not (tmp_path / "kept").exists()


def test_folders_that_cannot_be_used_are_one_line(tmp_path, source, capsys):
    (tmp_path / "file").write_text("")
    make_data_set(tmp_path / "begun", complete=False)
    for folder, out in (
        (tmp_path / "nothing", tmp_path / "kept"),
        (tmp_path / "begun", tmp_path / "kept"),
        (source, source),
        (source, tmp_path / "begun"),
        (source, tmp_path / "file"),
        (source, tmp_path / "file" / "below"),
    ):
        assert refiltered(folder, "ssim < 0.65", out) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_generate_does_not_add_to_it(tmp_path, tiny_weights, capsys):
    words = ["--task", "style-mix", "--generator", str(tiny_weights), "--align", "none", "--device", "cpu"]
    data, out = tmp_path / "data", tmp_path / "kept"
    assert run(["generate", *words, "--n", "4", "--out", str(data)]) == 0
    assert refiltered(data, "ssim <= 1", out) == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    capsys.readouterr()
    assert run(["generate", *words, "--n", "8", "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert "was made by distill refilter from" in error
    assert "'ssim <= 1'" in error
    assert error.count("\n") == 1
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
