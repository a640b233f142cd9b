"""A student of `region-swap` through every command: the photo is the person, the style image the reference."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from region_swaps import painted_left, written_shares

from distill.cli.main import run
from distill.networks.student import load_student
from distill.stylegan2.generator import Generator

ASTRONAUT = Path(__file__).parents[1] / "golden" / "alignment" / "astronaut.png"
KEEP_ALL = {"--align": "none", "--min-inside-change": 0, "--max-outside-change": 1, "--cluster": "none"}
SMALL = ("--set", "ngf=4", "--set", "ndf=4", "--set", "downsamplings=1", "--set", "blocks=1")
SHORT = {"--warm-up-epochs": 1, "--constant-epochs": 1, "--decay-epochs": 0, "--batch": 4}
PLAIN = {"--perceptual": "none", "--features": "none", "--device": "cpu"}


def words(*parts: object) -> list[str]:
    """Words of a command line; a dict gives its names and values in turn."""
    found: list[str] = []
    for part in parts:
        found += (
            [str(word) for pair in part.items() for word in pair] if isinstance(part, dict) else [str(part)]
        )
    return found


@pytest.fixture(scope="module")
def triplets(tiny_weights: Path, tiny_teacher: Generator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("swap")
    mask = painted_left(folder / "left.png")
    shares = written_shares(folder / "q.safetensors", tiny_teacher)
    choices = {"--part": "hair", "--regions": mask, "--shares": shares, "--n": 16, "--out": folder / "data"}
    task = ("generate", "--task", "region-swap", "--generator", tiny_weights)
    assert run(words(*task, choices, KEEP_ALL, "--device", "cpu")) == 0
    return folder / "data"


def test_a_student_of_triplets_goes_through_every_command(
    triplets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    student, out = tmp_path / "student", tmp_path / "out"
    training = words("train-pix2pix", "--data", triplets, "--out", student, SHORT, PLAIN, *SMALL)
    assert run([*training, "--precision", "fp32", "--val-fraction", "0.25"]) == 0
    loaded = load_student(student)
    assert (loaded.facts.task, loaded.input_count) == ("region-swap", 2)
    assert (loaded.facts.inputs, loaded.facts.target) == (("person", "reference"), "result")

    assert (
        run(words("evaluate", student, "--data", triplets, "--faces", 0, PLAIN, "--out", tmp_path / "e")) == 0
    )
    found = json.loads((tmp_path / "e" / "evaluation.json").read_text())
    assert found["roles"] == ["person", "reference", "result"]

    capsys.readouterr()
    translate = ["translate", str(ASTRONAUT), "--model", str(student), "--device", "cpu", "--out", str(out)]
    assert run(translate) == 2
    assert "a person and a reference: add --style IMAGE, the reference" in capsys.readouterr().err
    mirrored = tmp_path / "mirrored.png"
    with Image.open(ASTRONAUT) as image:
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(mirrored)
    assert run([*translate, "--style", str(mirrored)]) == 0
    with Image.open(out / "astronaut.png") as image:
        assert image.size == (32, 32)
        assert np.asarray(image).std() > 0

    onnx = pytest.importorskip("onnx", reason="needs the extra onnx")
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    onnx_file = tmp_path / "student.onnx"
    assert run(["export-student", str(student), "--out", str(onnx_file)]) == 0
    texts = {entry.key: entry.value for entry in onnx.load(onnx_file).metadata_props}
    assert "[batch, 6, height, width] in [-1, 1]: person, reference, joined along C" in texts["images"]
