"""`distill train-pix2pix` on measured changes: one student, any strength; exact resume; what does not fit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from measured_sets import drawn, make_measured
from state_differences import differences
from triplet_sets import make_triplets

from distill.cli.train import training_command
from distill.errors import DistillError
from distill.networks.student import load_student
from distill.training.checkpoint import load_checkpoint

TRAIN = training_command("pix2pix")
SHAPE = ["--set", "ngf=8", "--set", "downsamplings=1", "--set", "blocks=1"]
OTHERS = ["--set", "ndf=4", "--batch", 8, "--perceptual", "none", "--precision", "fp32", "--device", "cpu"]
COMMON = [*SHAPE, *OTHERS, "--features", "none", "--val-fraction", 0.25]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_measured(tmp_path_factory.mktemp("data"), names=("age",), rows=128, per_shard=64)


def run(*args: object) -> dict[str, object]:
    options = [str(a) for a in [*COMMON, *args]]
    result = CliRunner().invoke(TRAIN, options, standalone_mode=False, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout) if "--json" in options else {}


def epochs(warm_up: float, constant: float, decay: float) -> list[object]:
    return ["--warm-up-epochs", warm_up, "--constant-epochs", constant, "--decay-epochs", decay]


def test_one_student_changes_an_attribute_up_and_down(data: Path, tmp_path: Path) -> None:
    schedule = [*epochs(12, 0, 14), "--lr", 5e-3, "--set", "average_kimg=0", "--augment", "none"]
    run("--data", data, "--out", tmp_path, *schedule)
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["best"]["l1"] < 0.7 * scores["baselines"]["copy the content"]["l1"]
    student = load_student(tmp_path)
    (age,) = student.facts.conditions
    assert (age.name, age.unit, age.high) == ("age", "years", pytest.approx(55, abs=5))
    assert (student.facts.task, student.facts.inputs, student.facts.target) == (
        "attributes",
        ("source",),
        "target",
    )
    picture = torch.from_numpy(drawn(torch.full((1, 1), 0.5).numpy(), torch.full((1, 3), 0.5).numpy(), 16))
    x = picture.permute(0, 3, 1, 2).float() / 127.5 - 1
    bars = [float(student.edited(f"age={years}")(x)[..., 4:12, 4:12].mean()) for years in (-25, 0, 25)]
    assert bars[0] < bars[1] - 0.3 < bars[1] + 0.3 < bars[2]
    assert (tmp_path / "index.html").read_text().count("source ↔ target by age")


def test_pieces_give_the_weights_of_the_whole(data: Path, tmp_path: Path) -> None:
    options = ["--data", data, "--augment", "flip,colour", *epochs(0.25, 0.25, 0.5)]
    run(*options, "--out", tmp_path / "whole")
    pieces = [*options, "--out", tmp_path / "pieces"]
    run(*pieces, "--minutes", 1e-9)
    run(*pieces, "--resume", "--minutes", 1e-9)
    run(*pieces, "--resume")
    states = [load_checkpoint(tmp_path / name) for name in ("whole", "pieces")]
    assert states[0] is not None
    assert differences(states[0][0], states[1][0]) == []
    both = [(tmp_path / name / "student.safetensors").read_bytes() for name in ("whole", "pieces")]
    assert both[0] == both[1]
    with pytest.raises(DistillError, match="identity_share"):
        run(*pieces, "--resume", "--identity-share", 0.5)


def test_a_start_from_a_student_of_as_many_conditions(data: Path, tmp_path: Path) -> None:
    run("--data", data, "--out", tmp_path / "first", *epochs(0, 0, 0.25))
    init = tmp_path / "first" / "student.safetensors"
    again = [
        *COMMON[len(SHAPE) :],
        "--data",
        data,
        "--out",
        tmp_path / "second",
        *epochs(0, 0, 0.25),
        "--init",
        init,
    ]
    result = CliRunner().invoke(TRAIN, list(map(str, again)), standalone_mode=False, catch_exceptions=False)
    assert result.exit_code == 0
    more = make_measured(tmp_path / "more", rows=32)
    again[again.index("--data") + 1] = more
    again[again.index("--out") + 1] = tmp_path / "third"
    with pytest.raises(DistillError, match="takes 4 channels; with 3 conditions 6 are needed"):
        CliRunner().invoke(TRAIN, list(map(str, again)), standalone_mode=False, catch_exceptions=False)


def test_the_plan_names_the_conditions(data: Path, tmp_path: Path) -> None:
    facts = run("--data", data, "--out", tmp_path / "run", "--dry-run", "--json")
    assert str(facts["conditions"]).startswith("age=-")
    assert (facts["norm"], facts["identity_share"], facts["input_channels"]) == ("batch", 0.1, 4)


def test_the_share_of_copies_is_for_measured_changes_alone(tmp_path: Path) -> None:
    plain = make_triplets(tmp_path / "data", rows=16)
    with pytest.raises(DistillError) as caught:
        run("--data", plain, "--out", tmp_path / "run", "--identity-share", 0.2)
    assert "identity_share is for data sets with measured changes" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()
