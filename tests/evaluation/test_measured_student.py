"""A student of any strength is asked for what each row of a data set changes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from conditioned_students import make_conditioned
from measured_sets import make_measured
from triplet_sets import make_triplets

import distill
from distill.errors import DistillError
from distill.networks.student import load_student
from distill.shards.changes import read_changes

NAMES = ("smile", "gender", "age")  # in another order than the student's


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    make_conditioned(folder)
    return folder


def l1(model: Path, data: Path, out: Path) -> float:
    report = distill.evaluate(
        model, data=data, out=out, faces=0, features="none", perceptual="none", device="cpu"
    )
    return float(report.facts["scores"]["student"]["l1"])


def test_each_row_is_asked_for_its_measured_change(model: Path, tmp_path: Path) -> None:
    data = make_measured(tmp_path / "data", names=NAMES, rows=6)
    found = l1(model, data, tmp_path / "out")
    rows = distill.TripletDataset(data, dtype="float32")
    source, target = (torch.stack([row[role] for row in rows]) for role in ("source", "target"))
    changes = torch.from_numpy(read_changes(rows)[:, [1, 2, 0]])
    student = load_student(model)
    made = ((student(source, changes).clamp(-1, 1) + 1) * 127.5).round() / 127.5 - 1
    assert found == pytest.approx(float((made - target).abs().mean()) / 2, rel=0.02)
    assert found != pytest.approx(float((student(source) - target).abs().mean()) / 2, rel=0.02)
    assert "as measured, row by row" in (tmp_path / "out" / "evaluation.md").read_text()


def test_data_without_one_of_its_attributes_are_refused(model: Path, tmp_path: Path) -> None:
    data = make_measured(tmp_path / "data", names=("age",), rows=6)
    with pytest.raises(DistillError, match="no measured change of gender, which the student was taught"):
        l1(model, data, tmp_path / "out")


def test_changes_that_do_not_fit_are_refused(model: Path) -> None:
    student = load_student(model)
    with pytest.raises(DistillError, match=r"changes \[N, 3\] are needed, not \[2, 2\]"):
        student(torch.zeros(2, 3, 16, 16), torch.zeros(2, 2))


def test_of_data_of_one_edit_nothing_is_asked(model: Path, tmp_path: Path) -> None:
    data = make_triplets(tmp_path / "data", rows=6, task="ageing", inputs=["source"], target="target")
    assert l1(model, data, tmp_path / "out") > 0
