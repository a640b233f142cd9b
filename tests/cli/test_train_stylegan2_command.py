"""`distill train-stylegan2`: a real, tiny run; exact resume; one line for what cannot work."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from state_differences import differences
from two_processes import train_in_two_processes

from distill.cli.train import training_command
from distill.errors import DistillError
from distill.stylegan2.load import load_generator
from distill.training.checkpoint import load_checkpoint
from distill.training.stats import read_stats

TRAIN = training_command("stylegan2")
COMMON = ["--preset", "tiny", "--precision", "fp32", "--device", "cpu", "--features", "pixels8"]


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two-coloured 8-px images: a bright disc of random warm colour on a dark cold ground."""
    folder = tmp_path_factory.mktemp("faces")
    random = np.random.default_rng(0)
    y, x = np.mgrid[:8, :8] - 3.5
    for i in range(64):
        disc = (x**2 + y**2 < random.uniform(6, 9))[:, :, None]
        warm, cold = (
            random.integers([200, 120, 60], [256, 180, 120]),
            random.integers([0, 0, 40], [40, 40, 90]),
        )
        Image.fromarray(np.where(disc, warm, cold).astype(np.uint8)).save(folder / f"{i}.png")
    return folder


def run(*args: object) -> dict[str, object]:
    result = CliRunner().invoke(TRAIN, [str(a) for a in [*COMMON, *args]], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout) if "--json" in args else {}


def failure(*args: object) -> DistillError:
    with pytest.raises(DistillError) as caught:
        CliRunner().invoke(
            TRAIN, [str(a) for a in [*COMMON, *args]], standalone_mode=False, catch_exceptions=False
        )
    return caught.value


def test_a_run_learns_and_leaves_a_generator_that_draws(faces: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = run(
        *("--data", faces, "--out", out),
        *[
            "--kimg",
            "4",
            "--mirror",
            "--batch",
            "16",
            "--held-out",
            "16",
            "--score-kimg",
            "2",
            "--score-images",
            "200",
        ],
        *["--snapshot-kimg", "2", "--tick-kimg", "1", "--save-kimg", "2", "--set", "float16=true", "--json"],
    )
    scores = [line["frechet_pixels8"] for line in read_stats(out) if "frechet_pixels8" in line]
    assert len(scores) == 2
    assert scores[-1] < 0.8 * scores[0]
    assert result["scores"]["frechet_pixels8"] == pytest.approx(scores[-1])
    generator = load_generator(out / "generator.safetensors")
    images = generator.synthesize(generator.map(torch.randn(4, generator.z_dim), truncation_psi=0.7))
    assert images.shape == (4, 3, 8, 8)
    assert float(images[:, 0, 3:5, 3:5].mean() - images[:, 0, 0, 0].mean()) > 0.3  # a bright disc
    names = {path.name for path in out.iterdir()}
    assert {
        "reals.png",
        "samples-000002000.png",
        "samples-000004000.png",
        "index.html",
        "stats.jsonl",
        "checkpoint.json",
    } <= names
    from distill.weights.checkpoint import read_checkpoint

    facts = read_checkpoint(out / "generator.safetensors").facts
    assert facts["kimg"] == 4
    assert facts["preset"] == "tiny"
    assert facts["score_counts"] == "200 drawn, 16 held out"
    assert facts["mapping_lr_multiplier"] == 0.01


@pytest.mark.parametrize(
    "more",
    [[], ["--set", "noise=true", "--set", "path_weight=2"]],
    ids=["frozen noise", "noise and path length"],
)
def test_two_halves_give_the_weights_of_the_whole(faces: Path, tmp_path: Path, more: list[str]) -> None:
    options = ["--data", faces, "--batch", 8, "--mirror", "--augment", "0.1", "--set", "ada_kimg=0.2", *more]
    options += ["--features", "none", "--save-kimg", "0.1"]
    run(*options, "--out", tmp_path / "whole", "--kimg", "0.32")
    run(*options, "--out", tmp_path / "halves", "--kimg", "0.16")
    run(*options, "--out", tmp_path / "halves", "--kimg", "0.32", "--resume")
    whole, halves = (load_checkpoint(tmp_path / name) for name in ("whole", "halves"))
    assert whole is not None
    assert halves is not None
    assert whole[0]["step"]["ada"]["p"] > 0  # augmentation was at work
    differing = differences(whole[0], halves[0])
    assert differing == []
    both = [(tmp_path / name / "generator.safetensors").read_bytes() for name in ("whole", "halves")]
    assert both[0] == both[1]


@pytest.mark.cluster
def test_two_processes_train_as_one_up_to_rounding(faces: Path, tmp_path: Path) -> None:
    options = [
        *COMMON,
        "--data",
        faces,
        "--batch",
        8,
        "--augment",
        "p=0.5",
        "--features",
        "none",
        "--kimg",
        "0.024",
    ]
    train_in_two_processes("stylegan2", options, tmp_path / "two")
    run(*options[len(COMMON) :], "--out", tmp_path / "one")
    one, two = (load_checkpoint(tmp_path / name) for name in ("one", "two"))
    assert one is not None
    assert two is not None
    assert one[0]["position"] == two[0]["position"]
    for network in ("generator", "discriminator"):
        for name, tensor in one[0]["step"][network].items():
            # Adam turns a rounding of a gradient near 0 into a step of up to lr: few weights, by little.
            assert float((tensor - two[0]["step"][network][name]).abs().mean()) < 2e-4, name


def test_a_signal_saves_and_the_run_goes_on(faces: Path, tmp_path: Path) -> None:
    options = ["--data", faces, "--out", tmp_path / "run", "--features", "none", "--kimg", "100"]
    stats = tmp_path / "run" / "stats.jsonl"

    def stop_once_it_trains() -> None:
        while not stats.exists() or not stats.stat().st_size:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    killer = threading.Thread(target=stop_once_it_trains, daemon=True)
    killer.start()
    error = failure(*options, "--tick-kimg", "0.016")
    killer.join()
    assert error.exit_code == 130
    found = load_checkpoint(tmp_path / "run")
    assert found is not None
    samples = found[0]["position"]["samples"]
    run(*options[:-1], (samples + 16) / 1000, "--resume")
    assert read_stats(tmp_path / "run")[-1]["samples"] == samples + 16


def test_a_dry_run_prints_the_plan_and_writes_nothing(faces: Path, tmp_path: Path) -> None:
    plan = run("--data", faces, "--out", tmp_path / "run", "--kimg", 10, "--dry-run", "--json")
    assert not (tmp_path / "run").exists()
    assert (plan["images"], plan["held_out"], plan["resolution"]) == (58, 6, 8)
    assert (plan["kimg"], plan["batch"], plan["updates"], plan["device"]) == (10, 16, 625, "cpu")
    assert int(str(plan["generator_parameters"])) > 10_000


def test_widths_are_set_as_text(faces: Path, tmp_path: Path) -> None:
    options = ["--data", faces, "--out", tmp_path / "run", "--dry-run", "--json"]
    wide, narrow = (run(*options, "--set", f"widths=4:{width},8:{width}") for width in (16, 8))
    assert narrow["widths"] == "4 8, 8 8"
    assert int(str(narrow["generator_parameters"])) < int(str(wide["generator_parameters"]))


def test_resume_with_other_settings_names_the_key(faces: Path, tmp_path: Path) -> None:
    data = tmp_path / os.fsdecode(b"caf\xe9")  # no UTF-8
    data.symlink_to(faces)
    options = ["--data", data, "--out", tmp_path / os.fsdecode(b"run-\xe9"), "--features", "none"]
    run(*options, "--kimg", "0.032")
    generator = load_generator(tmp_path / os.fsdecode(b"run-\xe9") / "generator.safetensors")
    assert generator.resolution == 8
    assert "add --resume" in str(failure(*options, "--kimg", "0.064"))
    error = failure(*options, "--kimg", "0.064", "--resume", "--gamma", "7")
    assert "gamma is 0.1 there and 7.0 now" in str(error)
    assert error.exit_code == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--resolution", "24"], "resolution 24 is not a power of two"),
        (["--resolution", "512"], "this preset has widths up to 128 px"),
        (["--augment", "often"], "augment 'often': give a target"),
        (["--augment", "p=2"], "augment 'p=2': give a target"),
        (["--held-out", "64"], "64 images to hold out of 64"),
        (["--batch", "6"], "6 images of a batch in each process are not a multiple of 4"),
        (
            ["--features", "zz"],
            "unknown features 'zz'; known are auto, efficientnet_lite0, inception[=FILE], pixels8, and none",
        ),
        (["--set", "init="], "setting init is empty: give a value, or leave it out"),
        (["--features", "inception"], "give its path as inception=FILE"),
        (["--features", "inception=/no/such.pth"], "/no/such.pth: cannot be read"),
        (["--gpus", "64"], "64 GPUs asked for"),
        (["--set", "widths=4:8,wide"], "setting widths: 4:512,8:256 is needed, px:channels (got 4:8,wide)"),
        (["--set", "widths=4:0,8:8"], "setting widths.4: Input should be greater than or equal to 1"),
    ],
)
def test_bad_input_is_one_line(faces: Path, tmp_path: Path, options: list[str], words: str) -> None:
    error = failure("--data", faces, "--out", tmp_path / "run", *options)
    assert words in str(error)
    assert error.exit_code == 2
    assert "\n" not in str(error)
    assert not (tmp_path / "run").exists()


def test_no_images_is_one_line(tmp_path: Path) -> None:
    assert "no files in" in str(failure("--data", tmp_path, "--out", tmp_path / "run"))


@pytest.mark.parametrize("name", ["generator.safetensors", "index.html", "reals.png", "recipe.json"])
def test_a_folder_of_something_else_is_left_alone(faces: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    for more in ([], ["--resume"], ["--dry-run"]):
        error = failure("--data", faces, "--out", tmp_path, "--kimg", "0.016", *more)
        assert f"holds {name!r} and no run of a training" in str(error)
        assert error.exit_code == 2
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, "mine")]
