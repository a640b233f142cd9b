"""`distill train-cyclegan`: a tiny run that learns, exact resume, two processes, one line for what cannot work."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from image_sets import write_image_set
from PIL import Image
from state_differences import differences
from two_processes import train_in_two_processes

from distill.cli.main import run as distill
from distill.networks.pix2pixhd import Architecture, create
from distill.networks.pix2pixhd_files import save_pth
from distill.networks.student import load_student
from distill.training.checkpoint import load_checkpoint
from distill.training.stats import read_stats

FACE = Path(__file__).parents[1] / "golden" / "alignment" / "astronaut.png"
SIDE = 32
SMALL = ["--set", "ngf=4", "--set", "ndf=4", "--blocks", 1, "--batch", 2, "--set", "d_layers=2"]
COMMON = [*SMALL, "--precision", "fp32", "--device", "cpu", "--features", "pixels8"]
DOMAINS = ["--domains", "kind=red,kind=blue"]


def discs(count: int, hue: int, seed: int) -> np.ndarray:
    """A disc at a place of its own on grey, in red (0) or blue (2)."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    images = np.full((count, SIDE, SIDE, 3), 90, np.uint8)
    for image in images:
        across, down, radius = *random.uniform(8, 24, 2), random.uniform(5, 9)
        colour = np.full(3, 30)
        colour[hue] = random.integers(180, 255)
        image[(x - across) ** 2 + (y - down) ** 2 < radius**2] = colour
    return images


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    images = np.concatenate([discs(24, 0, seed=1), discs(16, 2, seed=2)])
    labels = {"kind": ["red"] * 24 + ["blue"] * 16}
    return write_image_set(tmp_path_factory.mktemp("set") / "discs", images, labels=labels, shard_size=16)


def train(data: Path, out: Path, *options: object) -> int:
    words = ["train-cyclegan", "--data", data, "--out", out, *COMMON, *options]
    return distill([str(word) for word in words])


def epochs(constant: float, decay: float = 0) -> list[object]:
    return ["--constant-epochs", constant, "--decay-epochs", decay]


def state(out: Path) -> dict[str, object]:
    found = load_checkpoint(out)
    assert found is not None
    return found[0]


def test_a_run_leaves_two_translators_that_have_learnt(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    options = [*DOMAINS, *epochs(16, 6), "--lr", 4e-3, "--val-fraction", 0.2, "--json", "--tick-kimg", 0.1]
    assert train(data, out, *options, "--set", "pool=8", "--norm", "batch") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["weights"] == str(out / "a2b.safetensors")
    lines = read_stats(out)
    assert {"loss_g", "loss_gan", "loss_cycle", "loss_identity", "loss_d", "loss_total", "lr"} <= lines[
        0
    ].keys()
    assert lines[-1]["loss_cycle"] < 0.7 * lines[0]["loss_cycle"]
    assert {"l1_cycle_a2b", "kernel_pixels8_a2b", "l1_cycle_b2a", "kernel_pixels8_b2a"} == result[
        "scores"
    ].keys()
    there, back = (load_student(out / f"{name}.safetensors") for name in ("a2b", "b2a"))
    assert (there.facts.task, there.facts.inputs, there.facts.target) == ("red → blue", ("red",), "blue")
    assert (back.facts.task, back.facts.inputs, back.facts.target) == ("blue → red", ("blue",), "red")
    assert (there.facts.resolution, there.facts.kimg, there.facts.seed) == (SIDE, result["kimg"], 0)
    assert there.facts.scores["kernel_pixels8"] == pytest.approx(result["scores"]["kernel_pixels8_a2b"])
    unseen = torch.from_numpy(discs(8, 0, seed=9)).permute(0, 3, 1, 2) / 127.5 - 1
    made = there(unseen)
    on_disc = (unseen[:, :1] > 0.3).expand_as(made)
    bluer = (made - unseen)[:, 2][on_disc[:, 2]].mean() - (made - unseen)[:, 0][on_disc[:, 0]].mean()
    assert bluer > 0.5
    page = (out / "index.html").read_text()
    assert "red → blue" in page
    assert "copy the content" in page
    assert "red, as blue, and back; blue, as red, and back. Held-out pictures." in page
    with Image.open(sorted(out.glob("samples-*.png"))[-1]) as picture:
        assert picture.size == (6 * SIDE, 8 * SIDE)


def test_a_run_translates_photos_both_ways_and_becomes_onnx(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(data, tmp_path / "run", *DOMAINS, *epochs(1), "--features", "none", "--lr", 5e-3) == 0
    words = ["translate", FACE, "--model", tmp_path / "run", "--device", "cpu", "--json"]
    for way, key in (([], "a2b"), (["--reverse"], "b2a")):
        capsys.readouterr()
        assert distill([str(word) for word in [*words, *way, "--out", tmp_path / key]]) == 0
        report = json.loads(capsys.readouterr().out)
        assert report["model"] == str(tmp_path / "run" / f"{key}.safetensors")
        assert (report["size"], report["translated"]) == (SIDE, 1)
    with Image.open(tmp_path / "a2b" / FACE.name) as one, Image.open(tmp_path / "b2a" / FACE.name) as other:
        assert one.size == (SIDE, SIDE)
        assert one.tobytes() != other.tobytes()
    exported = tmp_path / "b2a.onnx"
    assert distill(["export-student", str(tmp_path / "run" / "b2a.safetensors"), "--out", str(exported)]) == 0
    session = onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])
    images = discs(3, 2, seed=7).transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1
    (made,) = session.run(None, {"images": images})
    wanted = load_student(tmp_path / "run", reverse=True)(torch.from_numpy(images))
    np.testing.assert_allclose(made, wanted, atol=1e-4)


def test_reverse_is_for_a_run_of_two_translators(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_pth(tmp_path / "net_G.pth", create(Architecture(inputs=3, ngf=2, downsamplings=2, blocks=1), seed=0))
    words = ["translate", FACE, "--out", tmp_path / "out", "--reverse", "--model", tmp_path / "net_G.pth"]
    assert distill([str(word) for word in words]) == 2
    error = capsys.readouterr().err
    assert "no b2a.safetensors in it: the other way (--reverse, or :b2a of a method)" in error
    assert not (tmp_path / "out").exists()


def test_pieces_are_the_whole_pools_and_average_included(data: Path, tmp_path: Path) -> None:
    options = [
        *DOMAINS,
        *epochs(0.5, 0.5),
        "--set",
        "pool=3",
        "--set",
        "average_kimg=0.01",
        "--set",
        "clip=1",
    ]
    assert train(data, tmp_path / "whole", *options) == 0
    one_update = ["--minutes", 1e-9]
    assert train(data, tmp_path / "pieces", *options, *one_update) == 0
    assert train(data, tmp_path / "pieces", *options, *one_update, "--resume") == 0
    assert state(tmp_path / "pieces")["position"] == {"seed": 0, "updates": 2, "samples": 4}
    assert train(data, tmp_path / "pieces", *options, "--resume") == 0
    assert differences(state(tmp_path / "whole"), state(tmp_path / "pieces")) == []
    for name in ("a2b.safetensors", "b2a.safetensors"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "pieces" / name).read_bytes()


@pytest.mark.cluster
def test_two_processes_learn_what_one_learns(data: Path, tmp_path: Path) -> None:
    options = [*COMMON, "--data", data, *DOMAINS, "--batch", 4, *epochs(1), "--set", "pool=3"]
    options += ["--tick-kimg", 0.004, "--augment", "flip,crop,rotate", "--set", "clip=1"]
    train_in_two_processes("cyclegan", options, tmp_path / "two")
    assert train(data, tmp_path / "one", *options[len(COMMON) + 2 :]) == 0
    one, two = (read_stats(tmp_path / name) for name in ("one", "two"))
    assert len(one) == len(two) >= 5
    for a, b in zip(one, two, strict=True):
        for name in ("loss_g", "loss_gan", "loss_cycle", "loss_identity", "loss_d", "l1_cycle_a2b"):
            if name in a:
                assert b[name] == pytest.approx(a[name], rel=5e-3), (name, a["samples"])
    pools = [state(tmp_path / name)["step"]["pools"]["a"]["images"] for name in ("one", "two")]  # type: ignore[index]
    assert (pools[0] - pools[1]).abs().mean() < 2e-3


def test_published_generators_are_a_start(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    architecture = Architecture(inputs=3, ngf=4, downsamplings=2, blocks=6)
    for seed, name in enumerate(("latest_net_G_A.pth", "latest_net_G_B.pth")):
        save_pth(tmp_path / name, create(architecture, seed=seed))
    words = ["train-cyclegan", "--data", data, *DOMAINS, *epochs(0.05), "--lr", 1e-9, "--features", "none"]
    words += [
        "--set",
        "ndf=4",
        "--batch",
        2,
        "--set",
        "average_kimg=0",
        "--set",
        "d_layers=2",
        "--device",
        "cpu",
    ]
    start = ["--init", tmp_path / "latest_net_G_A.pth", "--init-b", tmp_path / "latest_net_G_B.pth"]
    assert distill([str(word) for word in [*words, *start, "--out", tmp_path / "run"]]) == 0
    for seed, name in enumerate(("a2b", "b2a")):
        student = load_student(tmp_path / "run" / f"{name}.safetensors")
        assert student.architecture == architecture
        for key, tensor in create(architecture, seed=seed).named_parameters():
            torch.testing.assert_close(student.network.get_parameter(key), tensor, atol=1e-6, rtol=0, msg=key)
    save_pth(tmp_path / "other.pth", create(Architecture(inputs=3, ngf=4, downsamplings=2, blocks=2), seed=0))
    wrong = [*start[:3], tmp_path / "other.pth", "--out", tmp_path / "new"]
    capsys.readouterr()
    assert distill([str(word) for word in [*words, *wrong]]) == 2
    assert "generators of different architectures: both must have the same" in capsys.readouterr().err


def test_a_dry_run_prints_sizes_and_every_setting(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train-cyclegan", "--data", data, *DOMAINS, "--out", tmp_path / "run", "--dry-run", "--json"]
    words += ["--device", "cpu", "--features", "none", "--set", "ngf=2", "--set", "ndf=2"]
    plans = {}
    for preset in ("demo", "paper", "clothes"):
        assert distill([str(word) for word in [*words, "--preset", preset]]) == 0
        plans[preset] = json.loads(capsys.readouterr().out)
    assert plans["demo"]["domain_a"] == "red: 22 and 2 held out"
    assert plans["demo"]["kimg"] == 22 * 20 / 1000
    paper, clothes = plans["paper"], plans["clothes"]
    assert (paper["blocks"], paper["norm"], paper["lr"], paper["batch"]) == (6, "instance", 2e-4, 1)
    assert (paper["kimg"], paper["clip"], paper["pool"], paper["discriminator"]) == (4.6, "-", 50, "patch")
    assert (clothes["blocks"], clothes["norm"], clothes["lr"], clothes["batch"]) == (9, "batch", 2e-3, 10)
    assert (clothes["clip"], clothes["identity_share"], clothes["discriminator"]) == (5.0, 0.0, "single")
    assert clothes["augment"] == "flip, crop, rotate"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "is one domain; name the other"),
        (["--domains", "kind=red,kind=green"], "has kind=green; kind is red (24), blue (16)"),
        (["--domains", "colour=red,colour=blue"], "has no label 'colour'; its labels are kind"),
        (["--domains", "kind=red"], "two are needed, such as gender=male,gender=female"),
        (["--domains", "red,blue"], "'red': LABEL=VALUE is needed"),
        ([*DOMAINS, "--resolution", 5], "choose a divisor of 32"),
        ([*DOMAINS, "--resolution", 8], "at least 12 px are needed, or fewer d_layers"),
        ([*DOMAINS, "--augment", "blur"], "'blur' is not one of flip, crop, rotate, none"),
        ([*DOMAINS, *epochs(0)], "0 epochs"),
        ([*DOMAINS, "--preset", "large"], "its presets are paper, clothes, demo"),
        ([*DOMAINS, "--init", "nowhere.pth"], "leave out ngf"),
        (
            [*DOMAINS, "--set", "identity_share=2"],
            "setting identity_share: Input should be less than or equal to 1",
        ),
    ],
)
def test_bad_input_is_one_line(
    data: Path, tmp_path: Path, options: list[object], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(data, tmp_path / "run", *options) == 2
    error = capsys.readouterr().err
    assert words in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_resume_refuses_other_domains(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = [*epochs(0.1), "--features", "none"]
    assert train(data, tmp_path / "run", *DOMAINS, *options) == 0
    assert train(data, tmp_path / "run", "--domains", "kind=blue,kind=red", *options, "--resume") == 2
    assert "domains is ['red', 'blue'] there and ['blue', 'red'] now" in capsys.readouterr().err
