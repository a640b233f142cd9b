"""A trainer of a stranger, one folder and one row: what it gets for nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from state_differences import differences

from distill.cli.main import run
from distill.errors import DistillError
from distill.training.checkpoint import load_checkpoint
from distill.training.request import TrainRequest
from distill.training.run import open_training, run_training
from distill.training.stats import read_stats
from distill.training.trainers import TRAINERS, open_trainer

ROW = ("toy_trainer.trainer:TOY", "Train a toy.", "a toy")
ROOT = Path(__file__).parents[2]
LAUNCH = f"""from distill.training.trainers import TRAINERS
TRAINERS["toy"] = {ROW!r}
from distill.cli.main import main
main()
"""


@pytest.fixture(autouse=True)
def row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TRAINERS, "toy", ROW)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, random = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for number in range(12):
        Image.fromarray(random.integers(0, 256, (8, 8, 3), np.uint8)).save(folder / f"{number:02}.png")
    return folder


def train(folder: Path, out: Path, *options: object) -> int:
    return run(["train-toy", "--data", str(folder), "--out", str(out), "--device", "cpu", *map(str, options)])


def state(out: Path) -> dict[str, object]:
    found = load_checkpoint(out)
    assert found is not None
    return found[0]


def test_two_halves_are_the_whole_pool_included(folder: Path, tmp_path: Path) -> None:
    assert train(folder, tmp_path / "whole", "--set", "kimg=0.08") == 0
    assert train(folder, tmp_path / "halves", "--set", "kimg=0.04") == 0
    assert train(folder, tmp_path / "halves", "--set", "kimg=0.08", "--resume") == 0
    whole, halves = state(tmp_path / "whole"), state(tmp_path / "halves")
    assert differences(whole, halves) == []
    assert len(whole["step"]["pool"]) == 16  # type: ignore[index]


def test_a_run_leaves_weights_stats_picture_and_page(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--set", "kimg=0.04", "--tick-kimg", 0.008, "--snapshot-kimg", 0.02, "--json"]
    assert train(folder, tmp_path / "run", *options) == 0
    result = json.loads(capsys.readouterr().out)
    assert torch.load(result["weights"], weights_only=True)
    lines = read_stats(tmp_path / "run")
    assert [line["samples"] for line in lines] == [8, 16, 20, 24, 32, 40]
    assert {"loss_g", "loss_d", "images_per_second"} <= lines[0].keys()
    assert result["scores"] == {"l1": lines[-1]["l1"]}
    page = Path(result["page"]).read_text()
    assert 'src="samples-000000040.png"' in page
    assert "data:image/svg+xml" in page
    with Image.open(tmp_path / "run" / "samples-000000040.png") as picture:
        assert picture.size == (16, 16)


@pytest.mark.cluster
def test_two_processes_learn_what_one_learns(folder: Path, tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(LAUNCH)
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    options = ["--data", str(folder), "--set", "kimg=0.04", "--device", "cpu"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    subprocess.run(
        [sys.executable, *torchrun, "train-toy", *options, "--out", str(tmp_path / "two")],
        check=True,
        env=environment,
        capture_output=True,
    )
    assert train(folder, tmp_path / "one", "--set", "kimg=0.04") == 0
    one, two = state(tmp_path / "one")["step"], state(tmp_path / "two")["step"]
    for network in ("generator", "discriminator"):
        for name, tensor in one[network].items():  # type: ignore[index]
            torch.testing.assert_close(two[network][name], tensor, atol=1e-4, rtol=1e-3)  # type: ignore[index]


def test_a_signal_saves_and_the_run_goes_on(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"

    def stop_once_it_trains() -> None:
        while not (out / "stats.jsonl").exists() or not (out / "stats.jsonl").stat().st_size:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop_once_it_trains, daemon=True).start()
    assert train(folder, out, "--set", "kimg=1000", "--tick-kimg", 0.004) == 130
    assert "--resume goes on from there" in capsys.readouterr().err
    samples = state(out)["position"]["samples"]  # type: ignore[index]
    assert train(folder, out, "--set", "kimg=1000", "--resume", "--minutes", 1e-9) == 0
    assert state(out)["position"]["samples"] == samples + 4  # type: ignore[index]


def test_a_run_that_its_minutes_cut_short_says_so(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = (folder, tmp_path / "run", "--set", "kimg=0.008")
    assert train(*options, "--minutes", 1e-9) == 0
    first, stopped = capsys.readouterr().out.splitlines()
    assert ": 0.004 kimg" in first
    assert stopped == (
        "stopped by --minutes at 0.004 of 0.008 kimg; the same command with --resume goes on from there"
    )
    assert train(*options, "--minutes", 1e-9, "--resume") == 0
    assert "--minutes" not in capsys.readouterr().out, "it was the last update"


def test_a_dry_run_shows_every_setting_and_writes_nothing(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(folder, tmp_path / "run", "--set", "pool=5", "--dry-run", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["images"], facts["pool"], facts["batch"], facts["kimg"]) == (12, 5, 4, 1.0)
    assert facts["time"].startswith("about ")
    assert facts["generator_parameters"] == 3 * 8 * 9 + 8 + 8 * 3 * 9 + 3
    assert not (tmp_path / "run").exists()


def test_resume_with_another_setting_is_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(folder, tmp_path / "run", "--set", "kimg=0.008") == 0
    assert train(folder, tmp_path / "run", "--set", "pool=5", "--resume") == 2
    assert "pool is 16 there and 5 now" in capsys.readouterr().err
    other = ["train-stylegan2", "--preset", "tiny", "--features", "none", "--device", "cpu", "--resume"]
    assert run([*other, "--data", str(folder), "--out", str(tmp_path / "run")]) == 2
    wanted = (
        "holds a toy run: go on with distill train-toy --resume, or choose another --out for train-stylegan2"
    )
    assert wanted in capsys.readouterr().err
    (tmp_path / "run" / ".distill-run").write_bytes(b"")  # then its checkpoint tells
    assert run([*other, "--data", str(folder), "--out", str(tmp_path / "run")]) == 2
    assert wanted in capsys.readouterr().err


@pytest.mark.parametrize("now", sorted(TRAINERS))
def test_a_folder_with_the_run_of_another_trainer_is_named(now: str, folder: Path, tmp_path: Path) -> None:
    for there in TRAINERS.keys() - {now}:
        out = tmp_path / there
        out.mkdir()
        (out / ".distill-run").write_text(there)
        for resume in (False, True):
            request = TrainRequest(data=folder, out=out, resume=resume)
            with (
                pytest.raises(
                    DistillError, match=f"holds {TRAINERS[there][2]} run: go on with distill train-{there}"
                ),
                open_training(open_trainer(now), request, device="cpu"),
            ):
                pass


def test_gpus_on_a_machine_without_one(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for count, words in ((1, "1 GPU asked for"), (2, "2 GPUs asked for")):
        assert train(folder, tmp_path / "run", "--gpus", count) == 2
        error = capsys.readouterr().err
        assert f"{words}, and no usable CUDA GPU here: leave --gpus out" in error


def test_a_plan_for_gpus_can_be_looked_at_on_a_machine_without_one(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert train(folder, tmp_path / "run", "--gpus", "4", "--dry-run") == 0
    assert (
        "there is no GPU here: the time is that of one process on the CPU, not of 4 GPUs"
        in capsys.readouterr().err
    )


def test_a_plan_for_more_gpus_than_there_are_is_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert train(folder, tmp_path / "run", "--gpus", "4", "--dry-run") == 2
    assert "4 GPUs asked for, 2 usable here" in capsys.readouterr().err


def test_it_stands_in_the_list_of_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    assert "Train a toy." in capsys.readouterr().out


def test_from_python_it_needs_a_request_alone(folder: Path, tmp_path: Path) -> None:
    request = TrainRequest(data=folder, out=tmp_path / "run", changes={"kimg": 0.008})
    result = run_training(open_trainer("toy"), request, device="cpu", quiet=True)
    assert result.weights.is_file()
    assert result.kimg == 0.008
    with pytest.raises(DistillError, match="no trainer 'stargan3'; the trainers are"):
        open_trainer("stargan3")


def test_names_that_are_no_utf8_are_escaped_on_page_and_terminal(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = os.fsdecode(b"caf\xe9")
    data, out = tmp_path / odd, tmp_path / f"run-{odd}"
    data.symlink_to(folder)
    assert train(data, out, "--set", "kimg=0.008") == 0
    printed = capsys.readouterr()
    for text in (printed.out, printed.err, (out / "index.html").read_text()):
        assert r"caf\xe9" in text
    assert read_stats(out)[-1]["samples"] == 8
    assert train(data, out, "--set", "kimg=0.008", "--resume", "--dry-run") == 0
    assert r"caf\xe9" in capsys.readouterr().out
