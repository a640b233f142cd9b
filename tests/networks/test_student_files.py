"""Students in files: what is known about them travels along, and bad files are refused in one line."""

from __future__ import annotations

import json
import os
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from distill.errors import DistillError, UnsafePickle, UnsupportedCheckpoint
from distill.networks.pix2pixhd import Architecture, create
from distill.networks.pix2pixhd_files import save_pth, save_safetensors
from distill.networks.student import (
    StudentFacts,
    load_student,
    resolve_student_precision,
    save_student,
)

GOLDEN = Path(__file__).parents[1] / "golden"
MIX = Architecture(inputs=6, ngf=4, downsamplings=2, blocks=1)
FACTS = StudentFacts(
    task="style-mix",
    inputs=("content", "style"),
    target="mixed",
    resolution=64,
    data_digest="0123456789ab",
    generator="portraits",
    val_fraction=0.05,
    seed=3,
    kimg=12.5,
    preset="demo",
    perceptual="efficientnet_lite0",
    scores={"l1": 0.0625, "ssim": 0.75},
)


def refusal(source: Path, kind: type[DistillError] = DistillError, **options: str) -> str:
    """The refusal: of one kind, one line, beginning with the path."""
    with pytest.raises(kind) as caught:
        load_student(source, **options)
    text = str(caught.value)
    assert text.startswith(str(source))
    assert "\n" not in text
    return text


def test_facts_come_back_and_the_same_student_is_the_same_bytes(tmp_path: Path) -> None:
    network = create(MIX, seed=0)
    for name in ("a.safetensors", "b.safetensors"):
        save_student(tmp_path / name, network, FACTS)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    student = load_student(tmp_path / "a.safetensors")
    assert student.facts == FACTS
    assert (student.architecture, student.input_channels, student.input_count) == (MIX, 6, 2)
    assert student.path == tmp_path / "a.safetensors"
    x = torch.rand(2, 6, 16, 24) * 2 - 1
    y = student(x)
    assert (y.shape, y.dtype, y.requires_grad) == ((2, 3, 16, 24), torch.float32, False)
    assert torch.allclose(y, network(x), atol=1e-5)


def test_of_a_run_the_best_student_counts_and_else_the_last(tmp_path: Path) -> None:
    assert "no student-best.safetensors nor student.safetensors" in refusal(tmp_path)
    save_student(tmp_path / "student.safetensors", create(MIX, seed=0), FACTS)
    assert load_student(tmp_path).path.name == "student.safetensors"
    save_student(tmp_path / "student-best.safetensors", create(MIX, seed=1), FACTS)
    assert load_student(tmp_path).path.name == "student-best.safetensors"


@pytest.mark.parametrize("name", ["global", "local"])
def test_a_published_file_is_a_student_of_which_nothing_more_is_known(name: str, tmp_path: Path) -> None:
    with np.load(GOLDEN / f"pix2pixhd_{name}.npz") as data:
        state = [key for key in data.files if key.startswith("state/")]
        tensors = OrderedDict((key.removeprefix("state/"), torch.from_numpy(data[key])) for key in state)
        x, y = torch.from_numpy(data["x"]), torch.from_numpy(data["y"])
    torch.save(tensors, tmp_path / "latest_net_G.pth")
    student = load_student(tmp_path / "latest_net_G.pth")
    assert student.facts == StudentFacts()
    assert (student(x) - y).abs().max() < 1e-4


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"inputs": ["content"]}, "inputs content make 3 channels, the network takes 6"),
        ({"inputs": ["content", "a\x1b[2J"]}, "inputs.1"),
        ({"resolution": "64"}, "resolution"),
        ({"resolution": 0}, "resolution"),
        ({"val_fraction": 1.0}, "val_fraction"),
        ({"scores": {"l1": float("nan")}}, "scores.l1"),
        ({"task": "two\nlines"}, "task"),
        ({"colour": "red"}, "colour"),
        ([], "they"),
    ],
)
def test_facts_are_read_strictly(facts: object, message: str, tmp_path: Path) -> None:
    path = tmp_path / "student.safetensors"
    save_safetensors(path, create(MIX, seed=0), {"student": json.dumps(facts)})
    assert message in refusal(path, UnsupportedCheckpoint)


def test_facts_that_could_not_be_read_are_not_written(tmp_path: Path) -> None:
    path = tmp_path / "student.safetensors"
    for facts in (StudentFacts(inputs=("content",)), StudentFacts(scores={"l1": float("inf")})):
        with pytest.raises(DistillError, match=r"student\.safetensors: facts"):
            save_student(path, create(MIX, seed=0), facts)
    assert not path.exists()


def test_networks_that_are_not_from_rgb_to_rgb_are_refused(tmp_path: Path) -> None:
    for inputs, outputs in ((36, 1), (4, 3)):
        path = tmp_path / "net_G.pth"
        save_pth(
            path,
            create(Architecture(inputs=inputs, outputs=outputs, ngf=2, downsamplings=1, blocks=1), seed=0),
        )
        assert f"from {inputs} to {outputs} channels" in refusal(path, UnsupportedCheckpoint)


class Hostile:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("was-here",)


def test_files_that_are_no_students_are_refused_and_run_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "no such file" in refusal(tmp_path / "nothing.pth")
    text = tmp_path / "note.pth"
    text.write_text("hello")
    assert "not a weight file" in refusal(text, UnsupportedCheckpoint)
    torch.save({"model.1.weight": Hostile()}, tmp_path / "hostile.pth")
    refusal(tmp_path / "hostile.pth", UnsafePickle)
    assert not (tmp_path / "was-here").exists()
    save_pth(tmp_path / "half.pth", create(MIX, seed=0))
    os.truncate(tmp_path / "half.pth", 20_000)
    refusal(tmp_path / "half.pth", UnsafePickle)


def test_images_that_do_not_fit_are_refused_with_both_numbers(tmp_path: Path) -> None:
    save_student(tmp_path / "student.safetensors", create(MIX, seed=0), FACTS)
    student = load_student(tmp_path)
    for shape, message in [
        ((1, 3, 16, 16), "6 input channels .* have 3"),
        ((1, 6, 16, 18), "18x16 px .* multiples of 4"),
        ((6, 16, 16), r"\[N, C, H, W\]"),
    ]:
        with pytest.raises(DistillError, match=message):
            student(torch.zeros(shape))


def published(path: Path) -> Path:
    """A file with batch normalisation whose running means are none of any image."""
    network = create(replace(MIX, inputs=3, norm="batch"), seed=0)
    for _ in range(3):
        network(torch.rand(2, 3, 32, 32) ** 3)
    torch.save(OrderedDict(network.state_dict()), path)
    return path


def test_batch_normalisation_by_each_image_is_what_training_mode_does_to_one(tmp_path: Path) -> None:
    path = published(tmp_path / "latest_net_G.pth")
    running, own = (load_student(path, norm_statistics=kind) for kind in ("running", "batch"))
    public = create(replace(MIX, inputs=3, norm="batch"), seed=0)
    public.load_state_dict(torch.load(path, weights_only=True))
    x = torch.rand(3, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        as_trained = torch.cat([public.train()(image[None]) for image in x])
    assert (own(x) - as_trained).abs().max() < 1e-4
    assert (running(x) - as_trained).abs().max() > 1e-3
    assert torch.allclose(own(x)[1:2], own(x[1:2]), atol=1e-5)  # no image sees the others


def test_a_student_says_what_may_surprise(tmp_path: Path) -> None:
    path = published(tmp_path / "latest_net_G.pth")
    running, own = (load_student(path, norm_statistics=kind) for kind in ("running", "batch"))
    first, second = running.notes(256, chosen=False)
    assert "running means" in first
    assert "--norm-statistics batch" in first
    assert "does not say at what size it was trained; it runs at 256 px" in second
    assert len(running.notes(256)) == len(running.notes()) == 1
    assert "each image's own statistics" in own.notes()[0]
    save_student(tmp_path / "student.safetensors", create(MIX, seed=0), FACTS)
    assert load_student(tmp_path).notes(64, chosen=False) == []
    assert load_student(tmp_path).notes(32) == ["the student was trained at 64 px and now runs at 32"]
    assert "this one has none" in refusal(tmp_path / "student.safetensors", norm_statistics="batch")


def test_half_precision_is_close_and_comes_out_as_float32(tmp_path: Path) -> None:
    save_student(tmp_path / "student.safetensors", create(MIX, seed=0), FACTS)
    x = torch.rand(1, 6, 16, 16) * 2 - 1
    exact, half = (load_student(tmp_path, precision=kind)(x) for kind in ("fp32", "bf16"))
    assert half.dtype == torch.float32
    assert 0 < (half - exact).abs().max() < 0.1
    assert resolve_student_precision("auto", "cpu") == "fp32"
    with pytest.raises(DistillError, match="'int8' is not one of auto, fp32, bf16, fp16"):
        load_student(tmp_path, precision="int8")


def test_a_header_as_long_as_a_pickle_starts_is_no_pickle(tmp_path: Path) -> None:
    network = create(Architecture(inputs=3, ngf=2, downsamplings=1, blocks=1), seed=0)
    for length in range(1, 300, 8):  # headers are padded to 8 bytes
        path = tmp_path / f"{length}.safetensors"
        save_student(path, network, StudentFacts(task="x" * length))
        assert load_student(path).facts.task == "x" * length
    starts = [(path.read_bytes()[0], path.read_bytes()[1]) for path in tmp_path.iterdir()]
    assert any(first == 0x80 and second <= 5 for first, second in starts)  # as a pickle of protocol 0 to 5
