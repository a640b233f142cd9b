"""`distill train-stargan`: a tiny run that learns, exact resume, two processes, one line for what cannot work."""

from __future__ import annotations

import json
from collections import OrderedDict
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
from distill.networks.stargan import (
    CriticArchitecture,
    StarGANArchitecture,
    create_critic,
    create_generator,
)
from distill.networks.student import load_student
from distill.training.checkpoint import load_checkpoint
from distill.training.stats import read_stats

FACE = Path(__file__).parents[1] / "golden" / "alignment" / "astronaut.png"
HEIGHT, WIDTH = 32, 16
D_SMALL = ["--set", "d_width=8", "--set", "d_layers=3"]
SMALL = ["--set", "width=8", "--set", "blocks=1", *D_SMALL, "--batch", 8]
COMMON = [*SMALL, "--precision", "fp32", "--device", "cpu", "--features", "pixels8"]
KIND = ["--attributes", "kind=red"]


def discs(red: list[bool], light: list[bool], seed: int) -> np.ndarray:
    """A disc at a place of its own, red or blue, on light or dark grey: oblong pictures."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    images = np.empty((len(red), HEIGHT, WIDTH, 3), np.uint8)
    for image, is_red, is_light in zip(images, red, light, strict=True):
        image[:] = 150 if is_light else 70
        across, down, radius = random.uniform(6, 10), random.uniform(8, 24), random.uniform(4, 6)
        colour = np.full(3, 30)
        colour[0 if is_red else 2] = random.integers(180, 255)
        image[(x - across) ** 2 + (y - down) ** 2 < radius**2] = colour
    return images


def make_set(folder: Path, count: int = 48) -> Path:
    red = [number % 2 == 0 for number in range(count)]
    light = [number % 3 == 0 for number in range(count)]
    labels = {
        "kind": ["red" if is_red else "blue" for is_red in red],
        "brightness": np.where(light, 150, 70).astype("<i2"),
    }
    return write_image_set(folder, discs(red, light, seed=1), labels=labels, shard_size=16)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_set(tmp_path_factory.mktemp("set") / "discs")


def train(data: Path, out: Path, *options: object) -> int:
    words = ["train-stargan", "--data", data, "--out", out, *COMMON, *options]
    return distill([str(word) for word in words])


def updates(constant: int, decay: int = 0) -> list[object]:
    return ["--constant-updates", constant, "--decay-updates", decay]


def state(out: Path) -> dict[str, object]:
    found = load_checkpoint(out)
    assert found is not None
    return found[0]


def test_a_run_leaves_a_student_that_edits_and_has_learnt(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    options = ["--attributes", "kind=red,brightness>=100", *updates(260, 60), "--lr", 4e-3, "--json"]
    options += ["--val-fraction", 0.25, "--tick-kimg", 0.4, "--set", "n_critic=1"]
    assert train(data, out, *options, "--set", "average_kimg=0.1") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["weights"] == str(out / "stargan.safetensors")
    lines = read_stats(out)
    assert {
        "loss_d",
        "loss_d_gan",
        "loss_d_class",
        "loss_penalty",
        "loss_g",
        "loss_gan",
        "loss_class",
    } <= lines[0].keys()
    assert lines[-1]["loss_cycle"] < 0.7 * lines[0]["loss_cycle"]
    assert result["scores"].keys() == {"l1_cycle", "missed", "kernel_pixels8"}
    assert result["scores"]["missed"] <= 0.25
    assert {"blue_missed", "brightness-from-100_kernel_pixels8"} <= lines[-1].keys()

    student = load_student(out, edit="kind=blue")
    assert (student.facts.resolution, student.facts.width, student.facts.kimg) == (
        HEIGHT,
        WIDTH,
        result["kimg"],
    )
    unseen = torch.from_numpy(discs([True] * 8, [False, True] * 4, seed=9)).permute(0, 3, 1, 2) / 127.5 - 1
    made = student(unseen)
    disc = (unseen[:, 0] > 0.3) & (unseen[:, 2] < 0)
    bluer = (made - unseen)[:, 2][disc].mean() - (made - unseen)[:, 0][disc].mean()
    assert bluer > 0.5
    lighter = load_student(out, edit="kind=red,brightness>=100")(unseen)[::2].mean() - unseen[::2].mean()
    assert lighter > 0.2

    page = (out / "index.html").read_text()
    for words in (
        "kind=red, brightness",
        "→ blue",
        "→ brightness-under-100",
        "all changes",
        "copy the content",
    ):
        assert words in page
    with Image.open(sorted(out.glob("samples-*.png"))[-1]) as picture:
        assert picture.size == (4 * WIDTH, 8 * HEIGHT)


def test_a_run_translates_pictures_and_becomes_onnx(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(data, tmp_path / "run", *KIND, *updates(6), "--features", "none", "--lr", 5e-3) == 0
    words = ["translate", FACE, "--model", tmp_path / "run", "--device", "cpu", "--align", "none", "--json"]
    made = []
    for edit in ("kind=red", "kind=blue"):
        capsys.readouterr()
        out = tmp_path / edit
        assert distill([str(word) for word in [*words, "--edit", edit, "--out", out]]) == 0
        report = json.loads(capsys.readouterr().out)
        assert report["model"] == str(tmp_path / "run" / "stargan.safetensors")
        assert (report["edit"], report["size"], report["width"]) == (edit, HEIGHT, WIDTH)
        with Image.open(out / FACE.name) as picture:
            assert picture.size == (WIDTH, HEIGHT)
            made.append(picture.tobytes())
    assert made[0] != made[1]
    exported = tmp_path / "red.onnx"
    words = ["export-student", tmp_path / "run", "--edit", "kind=red", "--out", exported]
    assert distill([str(word) for word in words]) == 0
    session = onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])
    images = discs([False] * 3, [False] * 3, seed=7).transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1
    (found,) = session.run(None, {"images": images})
    wanted = load_student(tmp_path / "run", edit="kind=red")(torch.from_numpy(images))
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    capsys.readouterr()
    for edit, message in (
        ([], "must be told what to change: add --edit NAME=VALUE; it knows kind=blue, kind=red"),
        (["--edit", "kind=green"], "--edit kind=green: this student does not know it; it knows kind=blue"),
        (["--edit", "red"], "--edit red: NAME=VALUE is needed"),
    ):
        words = ["translate", FACE, "--model", tmp_path / "run", "--out", tmp_path / "no", *edit]
        assert distill([str(word) for word in words]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    assert not (tmp_path / "no").exists()


def test_pieces_are_the_whole_average_included(data: Path, tmp_path: Path) -> None:
    options = [*KIND, *updates(3, 2), "--set", "average_kimg=0.01", "--set", "n_critic=2"]
    assert train(data, tmp_path / "whole", *options) == 0
    one_update = ["--minutes", 1e-9]
    assert train(data, tmp_path / "pieces", *options, *one_update) == 0
    assert train(data, tmp_path / "pieces", *options, *one_update, "--resume") == 0
    assert state(tmp_path / "pieces")["position"] == {"seed": 0, "updates": 2, "samples": 16}
    assert train(data, tmp_path / "pieces", *options, "--resume") == 0
    assert differences(state(tmp_path / "whole"), state(tmp_path / "pieces")) == []
    for name in ("stargan.safetensors", "stargan-critic.safetensors"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "pieces" / name).read_bytes()


@pytest.mark.cluster
def test_two_processes_learn_what_one_learns(data: Path, tmp_path: Path) -> None:
    options = [*COMMON, "--data", data, "--attributes", "kind=red,brightness>=100", *updates(12)]
    options += ["--tick-kimg", 0.016, "--set", "n_critic=2"]
    train_in_two_processes("stargan", options, tmp_path / "two")
    assert train(data, tmp_path / "one", *options[len(COMMON) + 2 :]) == 0
    one, two = (read_stats(tmp_path / name) for name in ("one", "two"))
    assert len(one) == len(two) >= 5
    for a, b in zip(one, two, strict=True):
        for name in ("loss_g", "loss_class", "loss_cycle", "loss_d_class", "loss_penalty", "l1_cycle"):
            if name in a:
                assert b[name] == pytest.approx(a[name], rel=5e-3), (name, a["samples"])
    means = [state(tmp_path / name)["step"]["generator"]["main.1.running_mean"] for name in ("one", "two")]  # type: ignore[index]
    assert (means[0] - means[1]).abs().max() < 2e-3


def test_a_published_generator_and_its_critic_are_a_start(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    generator = create_generator(StarGANArchitecture(attributes=1, width=4, blocks=2), seed=0)
    sizes = CriticArchitecture(attributes=1, height=HEIGHT, width_px=WIDTH, width=8, layers=3)
    critic = create_critic(sizes, seed=1)
    torch.save(OrderedDict(generator.state_dict()), tmp_path / "10-G.ckpt")
    torch.save(OrderedDict(critic.state_dict()), tmp_path / "10-D.ckpt")
    words = ["train-stargan", "--data", data, *updates(1), "--lr", 1e-9, "--features", "none", *D_SMALL]
    words += ["--batch", 4, "--device", "cpu", "--init", tmp_path / "10-G.ckpt", "--set", "average_kimg=0"]
    assert distill([str(word) for word in [*words, *KIND, "--out", tmp_path / "run"]]) == 0
    assert "from a generator and its critic" in capsys.readouterr().err
    step = state(tmp_path / "run")["step"]
    for name, network in (("generator", generator), ("critic", critic)):
        for key, tensor in network.named_parameters():
            torch.testing.assert_close(step[name][key], tensor, atol=1e-6, rtol=0, msg=key)  # type: ignore[index]
    two = ["--attributes", "kind=red,brightness>=100", "--out", tmp_path / "new"]
    assert distill([str(word) for word in [*words, *two]]) == 2
    assert "10-G.ckpt: a generator of 1 attributes, and --attributes names 2" in capsys.readouterr().err


def test_a_dry_run_prints_sizes_and_every_setting(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train-stargan", "--data", data, *KIND, "--out", tmp_path / "run", "--dry-run", "--json"]
    words += ["--device", "cpu", "--features", "none", "--preset", "paper", "--set", "d_layers=4"]
    words += ["--set", "width=2", "--set", "d_width=2"]
    assert distill([str(word) for word in words]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["updates"], plan["constant_updates"], plan["decay_updates"]) == (200_000, 100_000, 100_000)
    assert (plan["batch"], plan["lr"], plan["n_critic"], plan["blocks"]) == (16, 1e-4, 5, 6)
    assert (plan["class_weight"], plan["cycle_weight"], plan["penalty_weight"]) == (1, 10, 10)
    assert (plan["pictures"], plan["have"]) == ("46 and 2 held out", "kind=red 24")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "no attributes to learn: name some, such as --attributes gender=female"),
        (["--attributes", "kind=green"], "has kind=green; kind is red (24), blue (24)"),
        (["--attributes", "brightness>0"], "every one of the 43 pictures of"),
        ([*KIND, "--resolution", 5], "choose a divisor of 32"),
        ([*KIND, "--set", "d_layers=5"], "images of 16x32 px are too small for a critic of 5 halvings"),
        ([*KIND, *updates(1), "--preset", "large"], "its presets are paper, demo"),
        ([*KIND, "--init", "nowhere.ckpt"], "leave out width"),
        ([*KIND, "--set", "n_critic=0"], "setting n_critic: Input should be greater than or equal to 1"),
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


@pytest.mark.parametrize(
    ("other", "attributes", "words"),
    [
        (
            "blue, pale",
            "kind=blue, pale",
            "'pale': LABEL=VALUE is needed, such as gender=female, or age<30; no VALUE has",
        ),
        (
            "blue, pale",
            "kind=red",
            "label 'kind' has the value 'blue, pale': --edit takes none with a comma or space",
        ),
        ("navy blue", "kind=navy blue", "make it one word in the labels, such as navy-blue"),
    ],
)
def test_a_label_that_no_edit_could_name_is_refused_at_the_start(
    tmp_path: Path, other: str, attributes: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    red = [number % 2 == 0 for number in range(48)]
    labels = {"kind": ["red" if is_red else other for is_red in red]}
    odd = write_image_set(tmp_path / "set", discs(red, red, seed=1), labels=labels, shard_size=16)
    for command, *rest in (("train-stargan", *COMMON, *updates(1)), ("train-vaegan", "--preset", "clothes")):
        if command == "train-vaegan":
            rest += ["--set", f"height={HEIGHT}", "--set", f"width={WIDTH}", "--device", "cpu"]
        where = ["--data", odd, "--out", tmp_path / "run", "--attributes", attributes]
        assert distill([str(word) for word in [command, *where, *rest]]) == 2
        error = capsys.readouterr().err
        assert words in error
        assert len(error.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_resume_refuses_other_attributes(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [*updates(1), "--features", "none"]
    assert train(data, tmp_path / "run", *KIND, *options) == 0
    assert train(data, tmp_path / "run", "--attributes", "kind=blue", *options, "--resume") == 2
    assert "attributes is ['kind=red'] there and ['kind=blue'] now" in capsys.readouterr().err
