from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner
from image_sets import read_image_set

from distill.cli.main import explain
from distill.cli.render_avatars import render_avatars
from distill.shards.images import avatar_set

for package in ("dicebear", "dicebear_styles", "resvg_py"):
    pytest.importorskip(package, reason="needs the extra 'avatars'")


def run(*arguments):
    texts = [str(argument) for argument in arguments]
    return CliRunner().invoke(render_avatars, texts, standalone_mode=False)


def test_avatars_with_their_licence(tmp_path):
    out = tmp_path / "a"
    result = run("--n", 5, "--out", out, "--resolution", 16)
    assert result.exit_code == 0, result.output
    assert "5 toon-head avatars, 16×16" in result.stdout
    assert "licence CC BY 4.0: " in result.stdout
    assert "Johan Melin" in result.stdout
    found = read_image_set(out)
    assert len(found["images"]) == 5
    assert found["source"]["style"] == "toon-head"
    assert "CC BY 4.0" in (out / "README.md").read_text()


def test_json_report(tmp_path):
    result = run("--n", 3, "--out", tmp_path / "a", "--resolution", 8, "--style", "lorelei", "--json")
    report = json.loads(result.stdout)
    assert report["licence"] == "CC0 1.0"
    assert report["digest"] == json.loads((tmp_path / "a" / "manifest.json").read_text())["digest"]


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_another_data_set_is_refused_before_the_work(tmp_path, monkeypatch, dry):
    few = ("--n", 3, "--out", tmp_path / "a", "--resolution", 8)
    assert run(*few).exit_code == 0
    assert run(*few, *dry).exit_code == 0
    monkeypatch.setattr(avatar_set, "survey", lambda *args, **kwargs: pytest.fail("the work began"))
    line, code = explain(run(*few, "--seed", 1, *dry).exception)
    assert code == 2
    assert "holds another data set: its source" in line


def test_dry_run_writes_nothing(tmp_path):
    result = run("--n", 20000, "--out", tmp_path / "a", "--dry-run", "--workers", 2)
    assert result.exit_code == 0, result.output
    assert "20000 toon-head avatars, 64×64 → 245.8 MB" in result.stdout
    assert "nothing was written" in result.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--style", "nope"), ("no style 'nope'", "toon-head", "CC0 1.0: ")),
        (("--style", "initials"), ("fonts",)),
        (("--resolution", 100), ("resolution 100",)),
        (("--n", 0), ("--n",)),
        (("--seed", -1), ("--seed",)),
    ],
)
def test_bad_input_is_one_line(tmp_path, options, words):
    result = run("--n", 3, "--out", tmp_path / "a", *options)
    line, code = explain(result.exception)
    assert code == 2, line
    assert "\n" not in line
    assert all(word in line for word in words)
    assert list(tmp_path.iterdir()) == []


SCRIPT = "import sys; from distill.cli.render_avatars import render_avatars as command; from distill.cli import main;"
SCRIPT += "main.cli.add_command(command); main.COMMANDS['render-avatars'] = "
SCRIPT += "('distill.cli.render_avatars:render_avatars', ''); sys.exit(main.run(sys.argv[1:]))"


@pytest.mark.cluster
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupted_run_leaves_nothing(tmp_path, number, workers):
    command = [sys.executable, "-c", SCRIPT, "render-avatars", "--n", "1500", "--workers", str(workers)]
    command += ["--out", str(tmp_path / "a"), "--resolution", "8"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while not (tmp_path / "a" / "recipe.json").exists():
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, number)
    _, errors = process.communicate()
    assert process.returncode == 130, errors
    assert "interrupted" in errors
    assert "Traceback" not in errors
    assert list(tmp_path.iterdir()) == []
