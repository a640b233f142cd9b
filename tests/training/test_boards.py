"""Boards beside stats.jsonl: what Weights & Biases is told, and what is said where its package is missing."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from distill.errors import DistillError
from distill.training.boards import check_log, open_boards


class StubRun:
    """The part of a run of wandb that is used."""

    def __init__(self, **given: Any) -> None:
        self.given, self.logged, self.steps, self.finished = given, [], {}, False

    def define_metric(self, name: str, *, step_metric: str) -> None:
        self.steps[name] = step_metric

    def log(self, values: dict[str, float]) -> None:
        self.logged.append(values)

    def finish(self) -> None:
        self.finished = True


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[StubRun]:
    started: list[StubRun] = []

    def init(**given: Any) -> StubRun:
        started.append(StubRun(**given))
        return started[-1]

    module = ModuleType("wandb")
    module.init = init  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wandb", module)
    return started


def test_numbers_go_to_one_run_over_a_resume(runs: list[StubRun], tmp_path: Path) -> None:
    for samples in (8, 4):
        boards, _ = open_boards(tmp_path, samples=0, log="wandb", settings={"lr": 0.1})
        boards[0].write(samples, {"loss_g": 1.5})
        boards[0].close()
    first, second = runs
    assert first.given["id"] == second.given["id"]
    assert first.given["resume"] == "allow"
    assert first.given["name"] == tmp_path.name
    assert first.given["config"] == {"lr": 0.1}
    assert first.steps == {"*": "samples"}
    assert (first.logged, first.finished) == ([{"samples": 8, "loss_g": 1.5}], True)
    assert second.logged == [{"samples": 4, "loss_g": 1.5}]


def test_what_it_cannot_do_is_one_line(
    runs: list[StubRun], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**given: Any) -> StubRun:
        raise RuntimeError("no API\nkey")

    monkeypatch.setattr(sys.modules["wandb"], "init", refuse)
    with pytest.raises(DistillError, match="--log wandb: no API key; try wandb login"):
        open_boards(tmp_path, samples=0, log="wandb", settings={})
    with pytest.raises(DistillError, match="no log 'mlflow'; known is wandb"):
        check_log("mlflow")
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(DistillError, match=r"pip install 'distill\[wandb\]'"):
        check_log("wandb")
