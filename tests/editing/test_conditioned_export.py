"""Students of any strength for other runtimes: a second input in units, or an edit baked in."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from conditioned_students import make_conditioned

from distill.cli.main import run
from distill.editing.export import export_half, export_student
from distill.networks.student import Student, load_student


@pytest.fixture(params=[0, 1], ids=["global", "local"])
def student(request: pytest.FixtureRequest, tmp_path: Path) -> Student:
    return make_conditioned(tmp_path / "run", enhancers=request.param)


def pictures(count: int, height: int, width: int) -> torch.Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(7)) * 2 - 1


def test_the_condition_is_an_input_in_units_over_all_its_range(student: Student, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    done = export_student(student, tmp_path / "student.onnx")
    assert done.difference < 1e-4
    session = runtime.InferenceSession(done.path, providers=["CPUExecutionProvider"])
    assert [value.name for value in session.get_inputs()] == ["images", "condition"]
    assert session.get_inputs()[0].shape == ["batch", 3, "height", "width"]
    assert session.get_inputs()[1].shape == ["batch", 3]
    x = pictures(2, 16, 24)
    for place, condition in enumerate(student.facts.conditions):
        outputs = []
        for value in np.linspace(condition.low, condition.high, 5):
            units = np.zeros((2, 3), np.float32)
            units[:, place] = value
            (y,) = session.run(None, {"images": x.numpy(), "condition": units})
            wanted = student.edited(f"{condition.name}={value:+g}")(x).numpy()
            assert np.abs(y - wanted).max() < 1e-4
            outputs.append(y)
        assert np.abs(outputs[0] - outputs[-1]).max() > 0.01
    each = np.array([[0, 30, 0], [1, 0, -0.5]], np.float32)  # samples may differ
    (y,) = session.run(None, {"images": x.numpy(), "condition": each})
    wanted = torch.cat([student.edited("age=30")(x[:1]), student.edited("gender=1,smile=-0.5")(x[1:])])
    assert np.abs(y - wanted.numpy()).max() < 1e-4


def test_the_file_says_what_its_condition_is(student: Student, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="needs the extra onnx")
    export_student(student, tmp_path / "student.onnx")
    texts = {entry.key: entry.value for entry in onnx.load(tmp_path / "student.onnx").metadata_props}
    assert texts["format"] == "conditioned-pix2pixhd"
    assert "age (-30 to +30 years)" in texts["condition"]
    assert "attributes" not in json.loads(texts["student"])  # it has conditions
    assert json.loads(texts["conditions"])[1] == {
        "name": "age", "kind": "value", "unit": "years", "low": -30.0, "high": 30.0
    }  # fmt: skip
    assert "edit" not in texts


def test_an_edit_is_baked_in(student: Student, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    older = student.edited("age=+20,smile=1")
    done = export_student(older, tmp_path / "older.onnx")
    session = runtime.InferenceSession(done.path, providers=["CPUExecutionProvider"])
    assert [value.name for value in session.get_inputs()] == ["images"]
    x = pictures(1, 32, 16)
    (y,) = session.run(None, {"images": x.numpy()})
    assert np.abs(y - older(x).numpy()).max() < 1e-4
    texts = session.get_modelmeta().custom_metadata_map
    assert texts["edit"] == "age=+20,smile=1"
    assert "condition" not in texts


def test_of_half_the_size_it_still_takes_any_edit(student: Student, tmp_path: Path) -> None:
    done = export_half(student, tmp_path / "half.safetensors")
    read = load_student(done.path)
    assert read.facts == student.facts
    x = pictures(1, 16, 16)
    for edit in ("age=-30", "smile=1,gender=female"):
        assert (read.edited(edit)(x) - student.edited(edit)(x)).abs().max() < 0.05
    assert done.size < 0.6 * student.path.stat().st_size


def test_the_command_tells_of_the_second_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    make_conditioned(tmp_path / "run")
    options = ["export-student", str(tmp_path / "run"), "--out", str(tmp_path / "a.onnx")]
    assert run(options) == 0
    said = capsys.readouterr().out
    assert "condition: float32 [batch, 3]: gender -1 to +1 (probability), age -30 to +30 years, smile" in said
    assert run([*options, "--overwrite", "--edit", "age=-5"]) == 0
    assert "condition:" not in capsys.readouterr().out
