"""`distill train-vaegan`: a tiny run that learns, exact resume, two processes, one line for what cannot work."""

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
from distill.networks.student import Student, load_student
from distill.training.checkpoint import load_checkpoint
from distill.training.stats import read_stats

FACE = Path(__file__).parents[1] / "golden" / "alignment" / "astronaut.png"
SIDE = 16
SMALL = {"height": SIDE, "width": SIDE, "channels": 8, "hidden": 24}
COMMON = [word for name, value in SMALL.items() for word in ("--set", f"{name}={value}")]
COMMON += ["--latent", "8", "--batch", "8", "--device", "cpu", "--features", "pixels8", "--preset", "demo"]
ATTRIBUTES = ["--attributes", "kind=red,size>=3"]


def discs(count: int, hue: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A disc at a place of its own on grey, in red (0) or blue (2); and its size."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    images, sizes = np.full((count, SIDE, SIDE, 3), 90, np.uint8), random.uniform(2, 6, count)
    for image, radius in zip(images, sizes, strict=True):
        across, down = random.uniform(6, 10, 2)
        image[(x - across) ** 2 + (y - down) ** 2 < radius**2] = np.roll([220, 30, 30], hue)
    return images, sizes.astype(np.float32)


def as_input(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2) / 127.5 - 1


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    (red, red_sizes), (blue, blue_sizes) = discs(28, 0, seed=1), discs(20, 2, seed=2)
    kinds = ["red"] * 26 + ["", ""] + ["blue"] * 20
    labels = {"kind": kinds, "size": np.concatenate([red_sizes, blue_sizes])}
    images = np.concatenate([red, blue])
    return write_image_set(tmp_path_factory.mktemp("set") / "discs", images, labels=labels, shard_size=16)


def train(data: Path, out: Path, *options: object) -> int:
    words = ["train-vaegan", "--data", data, "--out", out, *COMMON, *options]
    return distill([str(word) for word in words])


def state(out: Path) -> dict[str, object]:
    found = load_checkpoint(out)
    assert found is not None
    return found[0]


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has learnt something."""
    out = tmp_path_factory.mktemp("runs") / "discs"
    quick = ["--lr", 5e-3, "--gamma", 0.1, "--set", "prior_weight=0.03", "--score-kimg", 1.6]
    assert train(data, out, *ATTRIBUTES, *quick, "--kimg", 3.2, "--val-fraction", 0.2) == 0
    return out


def test_a_run_leaves_an_autoencoder_that_has_learnt(run: Path) -> None:
    lines = read_stats(run)
    names = {
        "loss_prior",
        "loss_similarity",
        "loss_g",
        "loss_d",
        "cost_real",
        "cost_fake",
        "decoder_moved",
        "lr",
    }
    assert names <= lines[0].keys()
    student = load_student(run)
    assert student.path == run / "vaegan.safetensors"
    facts = student.facts
    assert (facts.inputs, facts.target, facts.resolution, facts.kimg) == (("photo",), "photo", SIDE, 3.2)
    assert [str(attribute) for attribute in facts.attributes] == ["kind=red", "size>=3"]
    assert {"l1", "ssim", "kernel_pixels8"} <= facts.scores.keys()
    page = (run / "index.html").read_text()
    for words in (
        "mean of the inputs",
        "pictures trained on",
        "+ kind=red, + size&gt;=3, a sample of the prior",
    ):
        assert words in page
    with Image.open(sorted(run.glob("samples-*.png"))[-1]) as picture:
        assert picture.size == (5 * SIDE, 8 * SIDE)
    red, blue = (redness(student, hue) for hue in (0, 2))
    assert red - blue > 0.8


def redness(student: Student, hue: int) -> float:
    """How much more red than blue there is where unseen discs are, after reconstruction or edit."""
    images = as_input(discs(8, hue, seed=9)[0])
    made, inside = student(images), images[:, hue] > 0.3
    return float((made[:, 0] - made[:, 2])[inside].mean())


def test_an_edit_turns_blue_discs_red_and_back(run: Path) -> None:
    plain, red, blue = (load_student(run, edit=edit) for edit in (None, "kind=red", "kind=blue"))
    assert redness(red, 2) - redness(plain, 2) > 0.5
    assert redness(blue, 0) - redness(plain, 0) < -0.5


def test_means_are_those_of_the_training_pictures(data: Path, tmp_path: Path) -> None:
    options = [*ATTRIBUTES, "--kimg", 0.04, "--features", "none", "--val-fraction", 0]
    assert train(data, tmp_path / "run", *options) == 0
    network = load_student(tmp_path / "run").network
    (red, red_sizes), (blue, blue_sizes) = discs(28, 0, seed=1), discs(20, 2, seed=2)
    images = as_input(np.concatenate([red, blue]))
    with torch.no_grad():
        z = network.encoder(images)[0]
    large = torch.from_numpy(np.concatenate([red_sizes, blue_sizes]) >= 3)
    torch.testing.assert_close(
        network.on, torch.stack([z[:26].mean(0), z[large].mean(0)]), atol=1e-4, rtol=1e-3
    )
    torch.testing.assert_close(
        network.off, torch.stack([z[28:].mean(0), z[~large].mean(0)]), atol=1e-4, rtol=1e-3
    )


def test_a_run_edits_photos_and_becomes_onnx(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["translate", FACE, "--model", run, "--device", "cpu", "--json"]
    made = {}
    for name, edit in (("plain", []), ("red", ["--edit", "kind=red"])):
        capsys.readouterr()
        assert distill([str(word) for word in [*words, *edit, "--out", tmp_path / name]]) == 0
        report = json.loads(capsys.readouterr().out)
        assert (report["size"], report["translated"], report.get("edit")) == (
            SIDE,
            1,
            "kind=red" if edit else None,
        )
        with Image.open(tmp_path / name / FACE.name) as picture:
            made[name] = np.asarray(picture)
    assert not np.array_equal(made["plain"], made["red"])
    for edit in (None, "kind=red"):
        exported = tmp_path / f"{edit}.onnx"
        command = ["export-student", run, "--out", exported, *(["--edit", edit] if edit else [])]
        assert distill([str(word) for word in command]) == 0
        assert f"height {SIDE} and width {SIDE} alone" in capsys.readouterr().out
        session = onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])
        images = as_input(discs(3, 2, seed=7)[0])
        (found,) = session.run(None, {"images": images.numpy()})
        np.testing.assert_allclose(found, load_student(run, edit=edit)(images), atol=1e-4)
    half = tmp_path / "half.safetensors"
    command = ["export-student", run, "--to", "float16", "--edit", "kind=red", "--out", half]
    assert distill([str(word) for word in command]) == 0
    assert load_student(half).edit == "kind=red"


def test_pieces_are_the_whole(data: Path, tmp_path: Path) -> None:
    options = [*ATTRIBUTES, "--kimg", 0.032, "--set", "clip=100"]
    assert train(data, tmp_path / "whole", *options) == 0
    one_update = ["--minutes", 1e-9]
    assert train(data, tmp_path / "pieces", *options, *one_update) == 0
    assert train(data, tmp_path / "pieces", *options, *one_update, "--resume") == 0
    assert state(tmp_path / "pieces")["position"] == {"seed": 0, "updates": 2, "samples": 16}
    assert train(data, tmp_path / "pieces", *options, "--resume") == 0
    assert differences(state(tmp_path / "whole"), state(tmp_path / "pieces")) == []
    files = [(tmp_path / name / "vaegan.safetensors").read_bytes() for name in ("whole", "pieces")]
    assert files[0] == files[1]


@pytest.mark.cluster
def test_two_processes_learn_what_one_learns(data: Path, tmp_path: Path) -> None:
    options = [*COMMON, "--data", data, *ATTRIBUTES, "--kimg", 0.064, "--tick-kimg", 0.008]
    options += ["--precision", "fp32", "--lr", 1e-4]  # at higher rates rounding grows too fast
    train_in_two_processes("vaegan", options, tmp_path / "two")
    assert train(data, tmp_path / "one", *options[len(COMMON) + 2 :]) == 0
    one, two = (read_stats(tmp_path / name) for name in ("one", "two"))
    assert len(one) == len(two) == 8
    for a, b in zip(one, two, strict=True):
        for name in ("loss_prior", "loss_similarity", "loss_g", "loss_d", "cost_real", "cost_fake", "l1"):
            if name in a:
                assert b[name] == pytest.approx(a[name], rel=5e-3), (name, a["samples"])


def test_a_dry_run_prints_sizes_and_every_setting(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faces, clothes = (
        write_image_set(tmp_path / name, np.zeros((20, 64, 64, 3), np.uint8)) for name in ("faces", "more")
    )
    words = ["train-vaegan", "--out", tmp_path / "run", "--dry-run", "--json", "--device", "cpu"]
    plans = {}
    for preset in ("paper", "demo"):
        assert distill([str(word) for word in [*words, "--data", faces, "--preset", preset]]) == 0
        plans[preset] = json.loads(capsys.readouterr().out)
    assert distill([str(word) for word in [*words, "--data", clothes]]) == 0
    assert json.loads(capsys.readouterr().out)["preset"] == "demo"
    paper = plans["paper"]
    assert (paper["batch"], paper["latent"], paper["gamma"], paper["kimg"]) == (64, 128, 1e-6, 4000.0)
    assert (paper["equilibrium"], paper["margin"], paper["decay_power"]) == (0.68, 0.35, 0.75)
    assert [paper[f"{name}_parameters"] for name in ("encoder", "decoder", "discriminator")] == [
        35_112_768,
        4_693_155,
        10_953_857,
    ]
    assert plans["demo"]["pictures"] == "18 and 2 held out"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--set", "height=24"], "pictures of 16×16 px, but this network takes 16×24: choose --resolution"),
        (["--set", "height=20"], "multiples of 8 px"),
        (["--resolution", 8], "pictures of 8×8 px, but this network takes 16×16"),
        (["--attributes", "kind=green"], "has kind=green; kind is red (26), blue (20), unknown (2)"),
        (["--attributes", "colour=red"], "has no label 'colour'; its labels are kind, size"),
        (["--attributes", "size>=1"], "all have it: an attribute needs some with it and some without"),
        (["--attributes", "red"], "'red': LABEL=VALUE is needed"),
        (["--preset", "large"], "its presets are paper, clothes, demo"),
        (["--precision", "bf16"], "vaegan is trained in fp32 only"),
        (["--kimg", 0.01, "--batch", 1], "a batch of 1 picture cannot be normalised"),
        (["--set", "gamma=-1"], "setting gamma: Input should be greater than or equal to 0"),
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


def test_resume_takes_other_attributes_and_no_other_network(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--features", "none", "--out", tmp_path / "run"]
    words = [str(word) for word in ["train-vaegan", "--data", data, *COMMON, *options]]
    assert distill([*words, "--kimg", "0.008"]) == 0
    assert load_student(tmp_path / "run").facts.attributes == ()
    assert distill([*words, "--kimg", "0.016", *ATTRIBUTES, "--resume"]) == 0
    assert load_student(tmp_path / "run", edit="kind=red").edit == "kind=red"
    capsys.readouterr()
    assert distill([*words, "--kimg", "0.016", "--set", "hidden=32", "--resume"]) == 2
    assert "hidden is 24 there and 32 now" in capsys.readouterr().err
