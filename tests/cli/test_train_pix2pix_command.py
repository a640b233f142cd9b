"""`distill train-pix2pix`: a real, tiny run; exact resume; two processes; one line for what cannot work."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from state_differences import differences
from triplet_sets import make_triplets
from two_processes import train_in_two_processes

from distill.cli.main import run as distill
from distill.cli.train import training_command
from distill.errors import DistillError, ShardCorrupt
from distill.networks.pix2pixhd import Architecture, Norm, create
from distill.networks.pix2pixhd_files import save_pth
from distill.networks.student import load_student
from distill.shards.folder import read_manifest
from distill.training.checkpoint import load_checkpoint
from distill.training.pix2pix.settings import PRESETS
from distill.training.stats import read_stats

TRAIN = training_command("pix2pix")
SHAPE = ["--set", "ngf=4", "--set", "downsamplings=1", "--set", "blocks=1"]
SMALL = [*SHAPE, "--set", "ndf=4", "--batch", 4, "--perceptual", "none"]
COMMON = [*SMALL, "--precision", "fp32", "--device", "cpu", "--features", "pixels8", "--val-fraction", 0.25]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_triplets(tmp_path_factory.mktemp("data"), rows=64, per_shard=32)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_triplets(
        tmp_path_factory.mktemp("pairs"), rows=16, task="ageing", inputs=["source"], target="target"
    )


def run(*args: object) -> dict[str, object]:
    result = CliRunner().invoke(TRAIN, [str(a) for a in [*COMMON, *args]], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout) if "--json" in args else {}


def failure(*args: object) -> DistillError:
    with pytest.raises(DistillError) as caught:
        CliRunner().invoke(
            TRAIN, [str(a) for a in [*COMMON, *args]], standalone_mode=False, catch_exceptions=False
        )
    assert "\n" not in str(caught.value)
    return caught.value


def epochs(constant: float, decay: float, *, warm_up: float = 0) -> list[object]:
    return ["--constant-epochs", constant, "--decay-epochs", decay, "--warm-up-epochs", warm_up]


def test_a_run_learns_and_leaves_what_a_user_looks_for(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    options = [*epochs(8, 8), "--lr", 5e-3, "--augment", "flip", "--set", "l1_weight=100", "--json"]
    result = run("--data", data, "--out", out, *options)
    scores = json.loads((out / "scores.json").read_text())
    assert result["scores"] == scores["best"]
    assert result["weights"] == str(out / "student.safetensors")
    copied, mean = (scores["baselines"][name]["l1"] for name in ("copy the content", "mean of the inputs"))
    assert scores["best"]["l1"] < 0.8 * min(copied, mean)
    assert scores["best_by"] == "l1"
    assert scores["best"]["l1"] == min(line["l1"] for line in read_stats(out) if "l1" in line)
    last, best = (load_student(out / f"student{kind}.safetensors") for kind in ("", "-best"))
    assert load_student(out).path == best.path
    facts = best.facts
    assert (facts.task, facts.inputs, facts.target) == ("style-mix", ("content", "style"), "mixed")
    assert (facts.resolution, facts.preset, facts.perceptual, facts.seed) == (16, "demo", "none", 0)
    assert (facts.generator, facts.val_fraction, facts.data_digest) == (
        "tiny",
        0.25,
        read_manifest(data)["digest"],
    )
    assert facts.drawn == {"generator_sha256": "ab" * 32, "edit": "style-mix", "seed": 0}
    assert facts.scores["l1"] == pytest.approx(scores["best"]["l1"])
    assert last.facts.kimg == result["kimg"]
    page = (out / "index.html").read_text()
    assert 'http-equiv="refresh"' not in page  # it has ended
    assert "copy the content" in page
    pictures = sorted(out.glob("samples-*.png"))
    assert f'src="{pictures[-1].name}"' in page
    with Image.open(pictures[-1]) as picture:
        assert min(picture.size) > 100
    assert read_stats(out)[-1]["lr"] < 5e-4  # it decays


def test_pieces_give_the_weights_of_the_whole(data: Path, tmp_path: Path) -> None:
    options = ["--data", data, "--features", "none", "--perceptual", "efficientnet_lite0"]
    options += [*epochs(0.5, 1, warm_up=0.25), "--set", "l1_weight=100"]
    run(*options, "--out", tmp_path / "whole")
    pieces, one_update = [*options, "--out", tmp_path / "pieces"], ["--minutes", 1e-9]
    run(*pieces, *one_update)
    run(*pieces, *one_update, "--resume")
    assert load(tmp_path / "pieces")["position"] == {"seed": 0, "updates": 2, "samples": 8}
    run(*pieces, "--resume")
    assert differences(load(tmp_path / "whole"), load(tmp_path / "pieces")) == []
    both = [(tmp_path / name / "student.safetensors").read_bytes() for name in ("whole", "pieces")]
    assert both[0] == both[1]


def load(folder: Path) -> dict[str, object]:
    found = load_checkpoint(folder)
    assert found is not None
    return found[0]


def test_more_epochs_go_on_at_the_rate_of_their_place(data: Path, tmp_path: Path) -> None:
    options = ["--data", data, "--out", tmp_path / "run", "--features", "none", "--tick-kimg", 0.004]
    run(*options, *epochs(1, 1))
    first = read_stats(tmp_path / "run")
    assert first[-1]["lr"] < 0.2 * first[0]["lr"]
    run(*options, *epochs(1, 3), "--resume")
    rates = [line["lr"] for line in read_stats(tmp_path / "run")[len(first) :]]
    assert rates == sorted(rates, reverse=True)
    assert 0.5 * first[0]["lr"] < rates[0] < first[0]["lr"]
    assert read_stats(tmp_path / "run")[-1]["samples"] == pytest.approx(2 * first[-1]["samples"], abs=4)


@pytest.mark.cluster
def test_two_processes_lose_what_one_loses(data: Path, tmp_path: Path) -> None:
    options = [*COMMON, "--data", data, "--batch", 8, *epochs(0.5, 0.5), "--features", "none"]
    options += ["--tick-kimg", 0.008, "--perceptual", "efficientnet_lite0", "--norm", "instance"]
    train_in_two_processes("pix2pix", options, tmp_path / "two")
    run(*options[len(COMMON) :], "--out", tmp_path / "one")
    one, two = (read_stats(tmp_path / name) for name in ("one", "two"))
    assert len(one) == len(two) >= 6
    for a, b in zip(one, two, strict=True):
        for name in ("loss_g", "loss_gan", "loss_matching", "loss_perceptual", "loss_d", "lr", "l1", "ssim"):
            if name in a:
                assert b[name] == pytest.approx(a[name], rel=2e-3), (name, a["samples"])


def test_batch_normalisation_over_processes_needs_gpus(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = tmp_path / "latest_net_G.pth"
    save_pth(
        published, create(Architecture(inputs=6, ngf=4, downsamplings=1, blocks=2, norm="batch"), seed=0)
    )
    monkeypatch.setattr("distill.training.processes.world_size", lambda: 2)
    options = ["--data", data, "--out", tmp_path / "run", "--batch", 8, *epochs(1, 0)]
    start = [*COMMON[COMMON.index("--batch") :], "--init", published]
    for words in ([*COMMON, "--norm", "batch"], start):
        with pytest.raises(DistillError, match="over several processes needs GPUs"):
            CliRunner().invoke(
                TRAIN,
                [str(a) for a in [*words, *options]],
                standalone_mode=False,
                catch_exceptions=False,
            )
    assert not (tmp_path / "run").exists()


def test_a_signal_saves_without_a_last_score_and_the_run_goes_on(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    options = ["--data", data, "--out", out, *epochs(1000, 0), "--tick-kimg", 0.004]

    def stop_once_it_trains() -> None:
        stats = out / "stats.jsonl"
        while not stats.exists() or not stats.stat().st_size:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    killer = threading.Thread(target=stop_once_it_trains, daemon=True)
    killer.start()
    error = failure(*options)
    killer.join()
    assert error.exit_code == 130
    assert "--resume goes on from there" in str(error)
    samples = int(load(out)["position"]["samples"])  # type: ignore[index]
    run(*options, "--resume", "--minutes", 1e-9)
    assert read_stats(out)[-1]["samples"] == samples + 4
    assert "l1" in read_stats(out)[-1]


def test_a_student_that_ships_is_gone_on_from_by_its_name(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = ["train-pix2pix", "--data", str(pairs), "--out", str(tmp_path / "run"), "--device", "cpu"]
    start += ["--perceptual", "none", "--dry-run", "--init"]
    assert distill([*start, "ageing"]) == 0
    assert re.search(
        r"generator_parameters +1377411\n", capsys.readouterr().out
    )  # as its card says: 1.38 million
    assert distill([*start, "nonsense"]) == 2
    assert "no student of that name; the students are style-mix, " in capsys.readouterr().err


def test_the_best_student_is_remembered_over_a_resume(data: Path, tmp_path: Path) -> None:
    out = tmp_path / os.fsdecode(b"caf\xe9")  # no UTF-8
    options = ["--data", data, "--out", out, "--norm", "instance"]
    run(*options, *epochs(2, 0))
    before = (out / "student-best.safetensors").read_bytes()
    run(*options, *epochs(2.5, 0), "--lr", 0.9, "--resume")  # which spoils it
    assert (out / "student-best.safetensors").read_bytes() == before
    scores = json.loads((out / "scores.json").read_text())
    assert scores["best"]["l1"] < scores["latest"]["l1"]
    (out / "student-best.safetensors").write_bytes(before[:-9])
    error = failure(*options, *epochs(3, 0), "--lr", 0.9, "--resume")
    assert error.exit_code == 2
    assert "student-best.safetensors" in str(error)
    assert "remove it, and the best student from now on takes its place" in str(error)


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_a_published_generator_is_a_start_and_its_channels_are_checked(
    norm: Norm, data: Path, pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    six = tmp_path / "latest_net_G.pth"
    architecture = Architecture(inputs=6, ngf=4, downsamplings=1, blocks=2, norm=norm)
    save_pth(six, create(architecture, seed=0))
    assert "leave out ngf" in str(failure("--data", data, "--out", tmp_path / "run", "--init", six))
    out = tmp_path / "run"
    options = [
        "--set",
        "ndf=4",
        "--batch",
        4,
        "--perceptual",
        "none",
        "--features",
        "none",
        "--precision",
        "fp32",
    ]
    start = [str(a) for a in ("--init", six, "--out", out, *options, *epochs(0.1, 0), "--lr", 1e-9)]
    assert distill(["train-pix2pix", "--data", str(data), *start]) == 0
    student = load_student(out / "student.safetensors")
    assert student.architecture == architecture
    assert student.facts.init == six.name
    wanted = dict(create(architecture, seed=0).named_parameters())
    for name, tensor in student.network.named_parameters():
        torch.testing.assert_close(tensor, wanted[name], atol=1e-6, rtol=0, msg=name)
    capsys.readouterr()
    assert distill(["train-pix2pix", "--data", str(pairs), *start]) == 2
    assert "takes 6 input channels (2 images), the images have 3 (1 image)" in capsys.readouterr().err
    error = failure("--data", pairs, "--out", out, "--resume")
    assert "input_channels is 6 there and 3 now" in str(error)
    assert error.exit_code == 2


def test_pairs_and_chosen_roles(pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = run("--data", pairs, "--out", tmp_path / "run", "--dry-run", "--json")
    assert (plan["inputs"], plan["target"], plan["input_channels"]) == ("source", "target", 3)
    back = ["--inputs", "target", "--target", "source"]
    plan = run("--data", pairs, "--out", tmp_path / "run", *back, "--dry-run", "--json")
    assert (plan["inputs"], plan["target"]) == ("target", "source")
    options = ["--data", pairs, "--out", tmp_path / "run", *back, *epochs(0.5, 0), "--val-fraction", 0]
    assert distill(["train-pix2pix", *map(str, [*COMMON, *options])]) == 0
    assert (
        "target → source, 16 pairs, 0 held out, perceptual loss: none, for 0.008 kimg"
        in capsys.readouterr().err
    )
    facts = load_student(tmp_path / "run").facts
    assert facts.inputs == ("target",)
    assert facts.selected_by == {}


def test_both_directions_are_learnt_from_one_data_set(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The student of the way back says so, and is scored on the faces that neither has seen."""
    options = ["--data", pairs, *epochs(0.5, 0), "--val-fraction", 0.5]
    run(*options, "--out", tmp_path / "there")
    run(*options, "--out", tmp_path / "back", "--reverse")
    there, back = (load_student(tmp_path / name).facts for name in ("there", "back"))
    assert (there.task, there.inputs, there.target) == ("ageing", ("source",), "target")
    assert (back.task, back.inputs, back.target) == ("rejuvenation", ("target",), "source")
    found = []
    for name in ("there", "back"):
        capsys.readouterr()
        quick = ["--features", "none", "--perceptual", "none", "--faces", "0", "--device", "cpu", "--json"]
        assert distill(["evaluate", str(tmp_path / name), "--data", str(pairs), *quick]) == 0
        found.append(json.loads(capsys.readouterr().out))
    assert [facts["roles"] for facts in found] == [["source", "target"], ["target", "source"]]
    assert found[0]["part"] == found[1]["part"] == "validation"
    copied = [facts["scores"]["copy_content"]["l1"] for facts in found]
    assert found[0]["rows"] == found[1]["rows"]
    assert copied[0] == pytest.approx(copied[1]), "the same rows, the other way"
    error = failure(*options, "--out", tmp_path / "there", "--reverse", "--resume")
    assert "roles" in str(error)


def test_a_student_keeps_who_selected_its_data(tmp_path: Path) -> None:
    chooser = {"name": "apart", "scorer": "builtin", "scorer_sha256": "ab" * 32, "attribute": "age"}
    data = make_triplets(tmp_path / "data", select=chooser)
    run("--data", data, "--out", tmp_path / "run", *epochs(0.5, 0), "--val-fraction", 0)
    facts = load_student(tmp_path / "run").facts
    assert facts.selected_by == {"scorer": "builtin", "scorer_sha256": "ab" * 32}


def test_a_dry_run_prints_the_plan_and_writes_nothing(data: Path, tmp_path: Path) -> None:
    plan = run("--data", data, "--out", tmp_path / "run", *epochs(3, 2), "--dry-run", "--json")
    assert not (tmp_path / "run").exists()
    count, held = int(str(plan["triplets"])), int(str(plan["held_out"]))
    assert count + held == 64
    assert plan["kimg"] == 5 * count / 1000
    assert plan["updates"] == -(-5 * count // 4)
    assert (plan["preset"], plan["perceptual_features"], plan["device"]) == ("demo", "none", "cpu")
    seed = run("--data", data, "--out", tmp_path / "run", "--preset", "seed", "--dry-run", "--json")
    assert (seed["preset"], seed["constant_epochs"], seed["resolution"]) == ("seed", 50, 16)


def test_fewer_epochs_make_the_warm_up_shorter(data: Path, tmp_path: Path) -> None:
    short = ["--constant-epochs", 1, "--decay-epochs", 3]
    plan = run("--data", data, "--out", tmp_path / "run", *short, "--dry-run", "--json")
    whole = PRESETS["demo"]
    assert whole.warm_up_epochs > 4
    share = whole.warm_up_epochs / (whole.constant_epochs + whole.decay_epochs)
    assert plan["warm_up_epochs"] == pytest.approx(4 * share)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--resolution", 5], "choose a divisor of 16"),
        (["--set", "downsamplings=4"], "at least 32"),
        (["--inputs", "source"], "no role 'source'; it has content, style, mixed"),
        (["--reverse"], "content + style → mixed cannot be reversed, since a student draws one image"),
        (["--reverse", "--target", "style"], "reverse swaps the inputs and the target"),
        (["--target", "style"], "two or more are needed, each named once"),
        (["--augment", "flip,blur"], "'blur' is not one of flip, crop, geometry, colour, sharpness, none"),
        (["--batch", 6, "--set", "accumulate=4"], "batch 6 cannot be split over 4 equal parts"),
        (epochs(0, 0), "0 epochs"),
        (epochs(1, 2, warm_up=4), "4 epochs of pixels alone are more than the 3"),
        (["--warm-up-epochs", 2, "--set", "l1_weight=0"], "2 epochs of pixels alone need a weight"),
        (["--features", "inception"], "inception"),
        (["--perceptual", "vgg19", "--vgg19", "/nowhere/vgg19.pth"], "/nowhere/vgg19.pth"),
        (["--val-fraction", 0.9999], "all 64 rows fall into the held-out"),
        (["--gpus", 64], "64 GPUs asked for"),
        (["--preset", "large"], "no preset 'large' of pix2pix; its presets are seed, paper, demo"),
        (["--set", "nfg=4"], "no setting 'nfg'; the settings are accumulate, augment,"),
        (["--set", "ndf"], "--set 'ndf': NAME=VALUE is needed"),
        (["--set", "ndf=many"], "setting ndf: Input should be a valid integer"),
        (["--set", "lr=nan"], "setting lr: Input should be"),
        (["--set", "norm=layer"], "setting norm: Input should be 'instance' or 'batch'"),
    ],
)
def test_bad_input_is_one_line(data: Path, tmp_path: Path, options: list[object], words: str) -> None:
    error = failure("--data", data, "--out", tmp_path / "run", *options)
    assert words in str(error)
    assert error.exit_code == 2
    assert not (tmp_path / "run").exists()


def test_a_folder_without_shards_and_a_broken_shard_are_one_line(tmp_path: Path) -> None:
    assert failure("--data", tmp_path, "--out", tmp_path / "run").exit_code == 2
    folder = make_triplets(tmp_path / "data", rows=32, per_shard=16)
    (folder / "shard-00001.h5").write_bytes(b"no shard")
    error = failure("--data", folder, "--out", tmp_path / "run")
    assert isinstance(error, ShardCorrupt)
    assert "shard-00001.h5" in str(error)


def test_resume_refuses_other_settings_and_a_corrupt_checkpoint(data: Path, tmp_path: Path) -> None:
    options = ["--data", data, "--out", tmp_path / "run", "--features", "none", *epochs(0.2, 0)]
    run(*options)
    assert "add --resume" in str(failure(*options))
    assert "d_layers is 3 there and 2 now" in str(failure(*options, "--resume", "--set", "d_layers=2"))
    assert "perceptual_features is 'none' there" in str(
        failure(*options, "--resume", "--perceptual", "efficientnet_lite0")
    )
    for part in (tmp_path / "run").glob("checkpoint-*.pt"):
        part.write_bytes(b"x")
    error = failure(*options, "--resume")
    assert "damaged" in str(error)
    assert "no checkpoint is left" in str(error)


def test_no_memory_says_what_to_do(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total of …")

    monkeypatch.setattr("distill.training.pix2pix.step.Pix2PixHDStep.update", refuse)
    error = failure("--data", data, "--features", "none", "--out", tmp_path / "run")
    assert "out of memory with 4 images at once: --set lean=true gives the same result" in str(error)


def test_the_table_of_commands_knows_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert distill(["train-pix2pix", "--help"]) == 0
    assert "distill train-pix2pix --data runs/demo --out runs/student" in capsys.readouterr().out
