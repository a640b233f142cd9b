"""Students for other runtimes compute what PyTorch computes, for any batch and any size."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from distill.cli.main import run
from distill.editing import export as student_export
from distill.editing.export import export_half, export_student
from distill.editing.onnx_graph import OPSET
from distill.errors import DistillError
from distill.networks.edits import EditAttribute
from distill.networks.pix2pixhd import Architecture, create
from distill.networks.stargan import (
    CriticArchitecture,
    StarGANArchitecture,
    create_critic,
    create_generator,
)
from distill.networks.stargan_files import save_critic
from distill.networks.student import Student, StudentFacts, load_student, save_student

GLOBAL = Architecture(inputs=6, ngf=4, downsamplings=2, blocks=2)
LOCAL = Architecture(inputs=3, ngf=4, downsamplings=1, blocks=1, enhancers=2, local_blocks=1)
FACTS = StudentFacts(inputs=("content", "style"), resolution=64)
BATCH = Architecture(inputs=6, ngf=4, downsamplings=2, blocks=1, norm="batch")
SIZES = [(1, 16, 16), (3, 32, 32), (2, 24, 48)]


@pytest.fixture(params=[GLOBAL, LOCAL, BATCH], ids=["global", "local", "batch normalisation"])
def student(request: pytest.FixtureRequest, tmp_path: Path) -> Student:
    architecture: Architecture = request.param
    network = create(architecture, seed=0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(5)  # so that pixels reach from -1 to 1
    if architecture.norm == "batch":
        for seed in range(50):
            network(torch.rand(4, 6, 16, 16, generator=torch.Generator().manual_seed(seed)) * 2 - 1)
    facts = FACTS if architecture.inputs == 6 else StudentFacts()
    (tmp_path / "run").mkdir()
    save_student(tmp_path / "run" / "student.safetensors", network, facts)
    return load_student(tmp_path / "run")


def images(student: Student, shape: tuple[int, int, int]) -> torch.Tensor:
    count, height, width = shape
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.rand(count, student.input_channels, height, width, generator=generator) * 2 - 1


def test_onnx_is_what_pytorch_computes(student: Student, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    done = export_student(student, tmp_path / "new" / "student.onnx")
    assert done.size == done.path.stat().st_size
    assert done.difference < 1e-4
    session = runtime.InferenceSession(done.path, providers=["CPUExecutionProvider"])
    for shape in SIZES:
        x = images(student, shape)
        (y,) = session.run(None, {"images": x.numpy()})
        assert np.abs(y - student(x).numpy()).max() < 1e-4
        assert y.std() > 0.1
    assert session.get_inputs()[0].shape == ["batch", student.input_channels, "height", "width"]
    assert session.get_outputs()[0].shape == ["batch", 3, "height", "width"]
    texts = session.get_modelmeta().custom_metadata_map
    assert texts["side_multiple"] == str(student.architecture.side_multiple)
    assert json.loads(texts["student"]).get("inputs", []) == list(student.facts.inputs)


def test_batch_normalisation_by_each_image_is_exported_too(tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    network = create(BATCH, seed=0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(5)
    save_student(tmp_path / "student.safetensors", network, FACTS)
    own = load_student(tmp_path, norm_statistics="batch")
    command = [
        "export-student",
        str(tmp_path),
        "--out",
        str(tmp_path / "x.onnx"),
        "--norm-statistics",
        "batch",
    ]
    assert run(command) == 0
    session = runtime.InferenceSession(tmp_path / "x.onnx", providers=["CPUExecutionProvider"])
    x = images(own, (3, 32, 32))
    (y,) = session.run(None, {"images": x.numpy()})
    assert np.abs(y - own(x).numpy()).max() < 1e-4
    assert np.abs(y - load_student(tmp_path)(x).numpy()).max() > 1e-2


def test_the_graph_says_its_opset_and_keeps_the_public_names(student: Student, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="needs the extra onnx")
    for name in ("a.onnx", "b.onnx"):
        export_student(student, tmp_path / name)
    model = onnx.load(tmp_path / "a.onnx")
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", OPSET)]
    tensors = {tensor.name for tensor in model.graph.initializer}
    assert {name for name in student.network.state_dict() if "num_batches" not in name} <= tensors
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_without_its_packages_onnx_is_refused_with_what_to_install(
    student: Student, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(DistillError, match=r"pip install 'distill\[onnx\]'"):
        export_student(student, tmp_path / "student.onnx")


def test_what_differs_is_not_written(
    student: Student, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    monkeypatch.setattr(student_export, "TOLERANCE", -1.0)
    with pytest.raises(DistillError, match="not written"):
        export_student(student, tmp_path / "student.any")
    assert not (tmp_path / "student.any").exists()


def test_a_student_of_half_the_size_edits_alike(
    student: Student, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "small.safetensors"
    assert run(["export-student", str(tmp_path / "run"), "--to", "float16", "--out", str(out)]) == 0
    assert f"wrote {out}: float16" in capsys.readouterr().out
    small, x = load_student(out), images(student, (2, 32, 32))
    assert small.facts == student.facts
    assert 0 < (small(x) - student(x)).abs().max() < 0.02
    assert out.stat().st_size < 0.6 * student.path.stat().st_size


def test_in_float16_there_are_no_statistics_of_each_image(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_student(tmp_path / "student.safetensors", create(BATCH, seed=0), FACTS)
    out = tmp_path / "small.safetensors"
    command = ["export-student", str(tmp_path), "--to", "float16", "--out", str(out)]
    assert run([*command, "--norm-statistics", "batch"]) == 2
    assert "--norm-statistics batch is for --to onnx" in capsys.readouterr().err
    assert not out.exists()
    assert run(command) == 0
    load_student(out, norm_statistics="batch")


def test_weights_beyond_float16_are_not_written(student: Student, tmp_path: Path) -> None:
    with torch.no_grad():
        next(student.network.parameters()).fill_(1e6)
    with pytest.raises(DistillError, match=r"model.*weight is beyond what float16 holds: not written"):
        export_half(student, tmp_path / "small.safetensors")
    assert not (tmp_path / "small.safetensors").exists()


def test_the_command_tells_what_it_wrote(
    student: Student, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    out = tmp_path / "student.onnx"
    assert run(["export-student", str(tmp_path / "run"), "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert f"wrote {out}: ONNX" in text
    assert f"[batch, {student.input_channels}, height, width]" in text
    assert run(["export-student", str(tmp_path), "--out", str(out)]) == 2
    assert run(["export-student", str(tmp_path / "run"), "--out", str(tmp_path)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2


def stargan(folder: Path, edit: str) -> Student:
    """A student of two attributes, with a critic beside its file."""
    attributes = tuple(EditAttribute(label=name, value="yes", values=("yes", "no")) for name in ("a", "b"))
    network = create_generator(StarGANArchitecture(attributes=2, width=4, blocks=1), seed=0)
    save_student(folder / "stargan.safetensors", network, StudentFacts(attributes=attributes, resolution=16))
    critic = create_critic(
        CriticArchitecture(attributes=2, height=16, width_px=16, width=2, layers=2), seed=0
    )
    save_critic(folder / "stargan-critic.safetensors", critic)
    return load_student(folder, edit=edit)


def test_an_edit_is_baked_into_the_graph(tmp_path):
    runtime = pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    made = {}
    for edit in ("a=yes,b=no", "a=no,b=no"):
        student = stargan(tmp_path, edit)
        done = export_student(student, tmp_path / "edit.onnx")
        assert done.difference < 1e-4
        session = runtime.InferenceSession(done.path, providers=["CPUExecutionProvider"])
        x = images(student, (2, 16, 24))
        made[edit] = session.run(None, {"images": x.numpy()})[0]
        np.testing.assert_allclose(made[edit], student(x).numpy(), atol=1e-4)
        texts = session.get_modelmeta().custom_metadata_map
        assert (texts["format"], texts["edit"]) == ("stargan-generator", edit)
    assert np.abs(np.subtract(*made.values())).max() > 1e-3


def test_a_smaller_file_makes_its_edit_where_it_is_told_no_other(tmp_path):
    student = stargan(tmp_path, "a=yes,b=no")
    export_half(student, tmp_path / "half.safetensors")
    assert load_student(tmp_path / "half.safetensors").edit == "a=yes,b=no"
    assert load_student(tmp_path / "half.safetensors", edit="a=no,b=no").edit == "a=no,b=no"


def test_an_edit_that_needs_the_critic_is_not_exported(tmp_path):
    student = stargan(tmp_path, "a=yes")
    for export in (export_half, export_student):
        with pytest.raises(
            DistillError, match=r"read off each picture: b=yes .* name all attributes in --edit"
        ):
            export(student, tmp_path / "out")
    assert not (tmp_path / "out").exists()
