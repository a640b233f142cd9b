"""`distill generate` from the command line: plans, refusals, signals."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest

import distill
import pipelines
from distill.cli.main import run

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
    assert "time        " in text
    assert not out.exists()
    assert generate("--n", 10, "--generator", tiny_weights, "--out", out, "--dry-run", "--json", *QUICK) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["shards"] == 3
    assert facts.keys() >= {"seconds", "bytes_needed"}


def test_the_output_folder_has_a_name_of_its_own(
    tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert generate("--n", 4, "--generator", tiny_weights, "--seed", 3, *QUICK) == 0
    (made,) = (tmp_path / "data").iterdir()
    sha256 = json.loads((made / "manifest.json").read_text())["recipe"]["generator"]["sha256"]
    assert made.name == f"style-mix-tiny-{sha256[:8]}-seed3", "another file called tiny has another folder"
    assert generate("--n", 4, "--generator", "portraits", "--seed", 3, "--dry-run") == 0
    assert "data/style-mix-portraits-seed3 " in capsys.readouterr().out


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
        (["--n", "4", "--cluster", "moon"], "--cluster moon is not one of"),
        (["--n", "4", "--out", "/dev/null/sub"], "/dev/null"),
        (["--n", "four"], "four"),
        (["--n", "4", "--max-candidates", "0"], "max-candidates"),
        (["--n", "5", "--max-candidates", "3"], "--max-candidates 3 is fewer than the 5 rows of a shard"),
        (["--n", "1" + 23 * "0"], "at most 1,000,000,000 triplets"),
        (["--n", "99999999999"], "at most 1,000,000,000 triplets"),
        (["--n", "4", "--device", "mps"], "device 'mps' is not one of auto, cpu, cuda"),
        (["--n", "4", "--resolution", "0"], "'--resolution': 0 is not in the range"),
        (["--n", "4", "--years", "inf"], "'--years': inf is not in the range"),
        (["--n", "4", "--years", "500"], "'--years': 500.0 is not in the range"),
        (["--n", "4", "--strength", "nan"], "'--strength': nan is no finite number"),
        (["--n", "4", "--truncation-psi", "-1"], "'--truncation-psi': -1.0 is not in the range"),
        (["--n", "4", "--max-outside-change", "nan"], "'--max-outside-change': nan is no finite number"),
        (["--n", "4", "--direction", ""], "'--direction': it is empty"),
        (["--n", "4", "--scorer", ""], "'--scorer': it is empty"),
        (["--n", "4", "--out", ""], "'--out': the name is empty"),
        (["--n", "4", "--workers", "100000"], "'--workers': 100000 is not in the range"),
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


def test_a_data_set_goes_on_as_it_was_begun(
    tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--generator", tiny_weights, "--out", tmp_path / "a", "--align", "none", "--shard-size", 4]
    options += ["--cluster", "none"]
    assert generate("--n", 4, *options, "--batch-size", 3, "--precision", "bf16") == 0
    begun = json.loads((tmp_path / "a" / "conditions.json").read_text())
    assert (begun["batch_size"], begun["precision"], begun["compiled"]) == (3, "bf16", False)
    recipe = json.loads((tmp_path / "a" / "recipe.json").read_text())
    assert not {"batch_size", "precision", "compiled"} & recipe.keys()
    capsys.readouterr()
    assert generate("--n", 8, *options, "--dry-run", "--json") == 0
    there = json.loads(capsys.readouterr().out)["conditions"]
    assert (there["batch_size"], there["precision"]) == (3, "bf16")
    assert generate("--n", 8, *options) == 0
    assert json.loads((tmp_path / "a" / "conditions.json").read_text()) == begun
    for asked, words in (
        (["--batch-size", 5], "batch_size: this data set was begun with 3, and 5 is asked for now"),
        (["--precision", "fp32"], "precision: this data set was begun with bf16, and fp32 is asked for now"),
        (["--compile"], "compiled: this data set was begun with False, and True is asked for now"),
    ):
        capsys.readouterr()
        assert generate("--n", 8, *options, *asked) == 2
        assert words in capsys.readouterr().err


def test_a_lost_record_of_the_conditions_is_restored_from_the_shards(
    tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a"
    options = ["--generator", tiny_weights, "--out", out, *QUICK]
    assert generate("--n", 4, *options, "--precision", "fp32") == 0
    path = out / "conditions.json"
    begun = path.read_bytes()
    path.unlink()
    capsys.readouterr()
    assert generate("--n", 8, *options, "--precision", "bf16") == 2
    assert (
        "precision: this data set was begun with fp32, and bf16 is asked for now" in capsys.readouterr().err
    )
    assert generate("--n", 4, *options) == 0  # nothing to do
    assert path.read_bytes() == begun
    path.unlink()
    assert generate("--n", 8, *options) == 0
    assert path.read_bytes() == begun
    assert run(["verify", str(out), "--full"]) == 0


def test_shards_drawn_in_two_ways_are_no_data_set_to_go_on_with(
    tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for out, n, precision in ((one, 4, "fp32"), (other, 8, "bf16")):
        options = ["--generator", tiny_weights, "--out", out, *QUICK, "--precision", precision]
        assert generate("--n", n, *options) == 0
    for path in (*other.glob("shard-00001.*"), other / "manifest.json"):
        shutil.copy(path, one)
    capsys.readouterr()
    assert run(["verify", str(one)]) == 2
    assert "shard-00001.h5: drawn with precision bf16, conditions.json says fp32" in capsys.readouterr().out
    (one / "conditions.json").unlink()
    assert generate("--n", 12, "--generator", tiny_weights, "--out", one, *QUICK) == 2
    line = capsys.readouterr().err
    assert "shard-00001.h5: its precision is bf16, but that of shard-00000.h5 is fp32" in line
    assert line.count("\n") == 1
    assert not (one / "conditions.json").exists()


def test_a_device_that_cannot_draw_as_was_begun_is_refused_by_name(
    tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--generator", tiny_weights, "--out", tmp_path / "a", "--device", "cpu", *QUICK]
    assert generate("--n", 4, *options) == 0
    path = tmp_path / "a" / "conditions.json"
    there = json.loads(path.read_text()) | {"precision": "fp16", "device": "cuda", "model": "NVIDIA H100"}
    path.write_text(json.dumps(there))
    capsys.readouterr()
    assert generate("--n", 8, *options) == 2
    line = capsys.readouterr().err
    assert "begun in fp16 on NVIDIA H100" in line
    assert "cannot draw in" in line


def test_other_versions_are_said_and_go_on(
    tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--generator", tiny_weights, "--out", tmp_path / "a", "--device", "cpu", *QUICK]
    assert generate("--n", 4, *options) == 0
    assert "other conditions" not in capsys.readouterr().err
    path = tmp_path / "a" / "conditions.json"
    there = json.loads(path.read_text())
    there["versions"]["torch"] = "2.0.0"
    path.write_text(json.dumps(there))
    assert generate("--n", 8, *options) == 0
    assert "torch 2.0.0 -> " in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [("generate", "--task", "style-mix", "--n", "4", "--dry-run"), ("evaluate", ".", "--photos", "here")],
)
def test_another_package_named_pipelines_gets_one_line(words: Sequence[str], tmp_path: Path) -> None:
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "__init__.py").write_text("raise ImportError")
    command = [sys.executable, "-m", "distill", *words]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert found.returncode == 2
    assert found.stderr.count("\n") == 1
    assert f"is hidden by {tmp_path / 'pipelines' / '__init__.py'}" in found.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [("x = 1", "helper.py: no RECIPE in it"), ("1 / 0", "helper.py: ZeroDivisionError: division by zero")],
)
def test_a_file_of_pipelines_that_is_no_task_is_named(text: str, words: str, tmp_path: Path) -> None:
    file = Path(pipelines.__file__).parent / "helper.py"
    shutil.copytree(file.parent, tmp_path / "pipelines")
    (tmp_path / "pipelines" / "helper.py").write_text(text)
    (tmp_path / "distill").symlink_to(Path(distill.__file__).parent)
    code = (
        "from distill.errors import DistillError\ntry: import pipelines\nexcept DistillError as e: print(e)"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert words in found.stdout, found.stderr


@pytest.mark.parametrize("size", ["many", "0", "1025", "auto"])
def test_a_batch_size_that_cannot_be_is_refused(
    size: str, tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a"
    options = ("--generator", tiny_weights, "--align", "none", "--out", out, "--batch-size", size)
    assert generate("--n", 4, *options) == 2
    captured = capsys.readouterr()
    assert "--batch-size" in captured.err
    assert len(captured.err.strip().splitlines()) == 1
    assert not out.exists()
