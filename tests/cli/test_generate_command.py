"""`distill generate` from the command line: plans, refusals, signals."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest

from distill.cli.main import run
from distill.generation import batch_size
from distill.stylegan2 import compiling

QUICK = ("--align", "none", "--batch-size", "4", "--shard-size", "4", "--cluster", "none")


def generate(*args: str | Path) -> int:
    return run(["generate", "--task", "style-mix", *map(str, args)])


def test_a_run_prints_what_it_made(
    tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert generate("--n", 6, "--generator", tiny_weights, "--out", tmp_path / "a", *QUICK) == 0
    out = capsys.readouterr()
    assert "6 triplets in 2 shards" in out.out
    assert "time went to: synthesis" in out.out
    assert "distill inspect" in out.out
    assert "from tiny.safetensors" in out.err


def test_json_output_is_json_alone(
    tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert generate("--n", 6, "--generator", tiny_weights, "--out", tmp_path / "a", "--json", *QUICK) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["n"], result["shards"], result["made_now"]) == (6, 2, 6)
    assert result["seconds"]["synthesis"] > 0


def test_a_dry_run_writes_nothing(
    tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a"
    assert generate("--n", 10, "--generator", tiny_weights, "--out", out, "--dry-run", *QUICK) == 0
    text = capsys.readouterr().out
    assert "3 of up to 4" in text
    assert "fits" in text
    assert not out.exists()
    assert generate("--n", 10, "--generator", tiny_weights, "--out", out, "--dry-run", "--json", *QUICK) == 0
    assert json.loads(capsys.readouterr().out)["shards"] == 3


def test_the_output_folder_has_a_name_of_its_own(
    tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert generate("--n", 4, "--generator", tiny_weights, "--seed", 3, *QUICK) == 0
    assert (tmp_path / "data" / "style-mix-tiny-seed3" / "manifest.json").exists()
    capsys.readouterr()


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--n", "0"], "--n is 0"),
        (["--n", "4", "--generator", "nobody"], "unknown generator 'nobody'"),
        (["--n", "4", "--resolution", "64"], "above the teacher's 32"),
        (["--n", "4", "--crossover", "8"], "outside this network of 8"),
        (["--n", "4", "--crossover", "fine"], "outside this network of 8"),
        (["--n", "4", "--seed", "-1"], "seed"),
        (["--n", "4", "--codec", "bmp"], "codec"),
        (["--n", "4", "--align", "up"], "align"),
        (["--n", "4", "--precision", "int4"], "precision"),
        (["--n", "4", "--device", "abacus"], "abacus"),
        (["--n", "4", "--device", "cuda:99"], "cuda:99"),
        (["--n", "4", "--cluster", "moon"], "--cluster 'moon'"),
        (["--n", "4", "--out", "/dev/null/sub"], "/dev/null"),
        (["--n", "four"], "four"),
        (["--n", "4", "--max-candidates", "0"], "max-candidates"),
    ],
)
def test_bad_input_gets_one_line_and_leaves_nothing(
    args: Sequence[str], words: str, tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    options = {"--generator": str(tiny_weights), "--out": str(out), "--align": "none"}
    full = [item for key, value in options.items() if key not in args for item in (key, value)] + list(args)
    assert generate(*full) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert len(captured.err.strip().splitlines()) == 1
    assert not out.exists()


def test_an_unknown_task_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["generate", "--task", "teleport", "--n", "1"]) == 2
    assert "style-mix" in capsys.readouterr().err


def test_another_recipe_in_the_same_folder_is_refused_by_key(
    tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = ("--n", 4, "--generator", tiny_weights, "--out", tmp_path / "a", *QUICK)
    assert generate(*base) == 0
    assert generate(*base, "--truncation-psi", 0.5) == 2
    assert "truncation_psi is 0.7 there and 0.5 here" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_cleanly_and_the_same_command_resumes(
    number: signal.Signals, tiny_weights: Path, tmp_path: Path
) -> None:
    out = tmp_path / "a"
    args = ["--n", "2000", "--generator", str(tiny_weights), "--out", str(out), *QUICK]
    command = [sys.executable, "-m", "distill", "generate", "--task", "style-mix", *args]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    while process.poll() is None and not (out / "shard-00001.json").exists():
        time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate()
    assert process.returncode == 130, err
    assert "interrupted" in err.splitlines()[-1]
    assert "Traceback" not in err
    left = sorted(path.name for path in out.iterdir())
    assert not [name for name in left if name.startswith(".")]
    done = len([name for name in left if name.endswith(".h5")])
    assert 0 < done < 500


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the compiler about itself
def test_a_compiled_generator_draws_the_same_but_for_rounding(
    tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    monkeypatch.setenv("DISTILL_CACHE", str(tmp_path / "cache"))
    options = ["--n", 4, "--generator", tiny_weights, "--precision", "fp32", *QUICK]
    assert generate(*options, "--out", tmp_path / "plain") == 0
    assert "compiling" not in capsys.readouterr().err
    assert generate(*options, "--out", tmp_path / "compiled", "--compile") == 0
    assert "compiling the generator first" in capsys.readouterr().err
    assert any((tmp_path / "cache" / "compiled").iterdir())
    with (
        h5py.File(tmp_path / "plain" / "shard-00000.h5") as plain,
        h5py.File(tmp_path / "compiled" / "shard-00000.h5") as compiled,
    ):
        difference = np.abs(plain["images/mixed"][:].astype(int) - compiled["images/mixed"][:])
        assert difference.max() <= 1


@pytest.mark.parametrize(
    ("n", "options", "compiler", "compiled"),
    [
        (500, [], True, True),
        (499, [], True, False),
        (500, [], False, False),
        (500, ["--no-compile"], True, False),
        (4999, ["--precision", "bf16"], True, False),
        (5000, ["--precision", "bf16"], True, True),
        (500, ["--cluster", "tcp://127.0.0.1:1"], True, False),
        (4, ["--compile"], False, True),
    ],
)
def test_long_runs_of_large_images_are_compiled_where_it_pays(
    n: int,
    options: list[str],
    compiler: bool,
    compiled: bool,
    tiny_weights: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(compiling, "LARGE", 32)
    monkeypatch.setattr(compiling, "has_compiler", lambda: compiler)
    given = ["--align", "none", "--device", "cpu", "--precision", "fp32", *options, "--dry-run", "--json"]
    assert generate("--n", n, "--generator", tiny_weights, "--out", tmp_path / "a", *given) == 0
    assert json.loads(capsys.readouterr().out)["compiled"] is compiled


def test_a_compiler_that_is_not_there_is_not_counted_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert not compiling.has_compiler(), "PyTorch takes the one that is named, whatever else is there"
    monkeypatch.setenv("CXX", sys.executable)
    monkeypatch.setattr(compiling.sysconfig, "get_path", lambda name: "/nowhere")
    assert not compiling.has_compiler(), "without Python's headers nothing compiles"


@pytest.mark.skip(reason="how a data set was drawn is not yet recorded beside its recipe")
def test_a_data_set_goes_on_as_it_was_begun(
    tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiling, "LARGE", 32)
    monkeypatch.setattr(compiling, "has_compiler", lambda: True)
    options = ["--generator", tiny_weights, "--out", tmp_path / "a", "--precision", "fp32", *QUICK]
    assert generate("--n", 4, *options) == 0
    capsys.readouterr()
    assert generate("--n", 500, *options, "--dry-run", "--json") == 0
    assert "compiled" not in json.loads(capsys.readouterr().out)["recipe"]


@pytest.fixture
def any_run_is_long(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(batch_size, "LONG_RUN", 8)
    monkeypatch.setattr(batch_size, "LARGE", 32)
    monkeypatch.setenv("DISTILL_CACHE", str(tmp_path / "cache"))


NO_BATCH = ("--align", "none", "--shard-size", "8", "--cluster", "none")


@pytest.mark.skip(reason="how a data set was drawn is not yet recorded beside its recipe")
@pytest.mark.usefixtures("any_run_is_long")
def test_a_long_run_measures_its_batch_size_and_the_data_set_goes_on_with_it(
    tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("--generator", tiny_weights, "--out", tmp_path / "a", *NO_BATCH)
    assert generate("--n", 8, *options, "--dry-run") == 0
    assert "the batch size is measured first" in capsys.readouterr().out
    assert generate("--n", 8, *options) == 0
    line = next(line for line in capsys.readouterr().err.splitlines() if line.startswith("batch size"))
    chosen = json.loads((tmp_path / "a" / "recipe.json").read_text())["batch_size"]
    assert line.startswith(f"batch size {chosen} (seconds a candidate: ")
    assert 2 <= chosen <= 8
    monkeypatch.setattr(batch_size, "measure", None)  # would fail
    assert generate("--n", 16, *options) == 0, "a data set goes on as it was begun"
    assert generate("--n", 16, *options, "--batch-size", "auto") == 0
    assert generate("--n", 16, *options, "--batch-size", chosen) == 0
    assert generate("--n", 16, *options, "--batch-size", chosen + 1) == 2
    assert f"batch_size is {chosen} there and {chosen + 1} here" in capsys.readouterr().err
    fresh = ("--generator", tiny_weights, "--out", tmp_path / "b", *NO_BATCH)
    assert generate("--n", 4, *fresh) == 0, "a short run is not worth it"
    assert json.loads((tmp_path / "b" / "recipe.json").read_text())["batch_size"] == 16


@pytest.mark.skip(reason="how a data set was drawn is not yet recorded beside its recipe")
@pytest.mark.usefixtures("any_run_is_long")
def test_workers_draw_by_the_measured_batch_size(
    tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ("--n", 16, "--generator", tiny_weights, "--align", "none", "--shard-size", 8, "--workers", 2)
    assert generate(*args, "--out", tmp_path / "a", "--json") == 0
    out = capsys.readouterr()
    assert json.loads(out.out)["made_now"] == 16
    assert "batch size" not in out.err
    recipe = json.loads((tmp_path / "a" / "recipe.json").read_text())
    with h5py.File(tmp_path / "a" / "shard-00000.h5") as shard:
        assert json.loads(shard.attrs["recipe"])["batch_size"] == recipe["batch_size"]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--batch-size", "many"), "'many' is neither a whole number nor 'auto'"),
        (("--batch-size", "0"), "batch_size"),
        (("--batch-size", "auto", "--cluster", "tcp://127.0.0.1:1"), "name a number"),
    ],
)
def test_a_batch_size_that_cannot_be_is_refused(
    args: tuple[str, str], words: str, tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a"
    assert generate("--n", 4, "--generator", tiny_weights, "--align", "none", "--out", out, *args) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert len(captured.err.strip().splitlines()) == 1
    assert not out.exists()
