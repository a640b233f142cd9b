"""How long a run would take: by a few candidates, or not known, with the reason."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from distill.generation import estimate as module
from distill.generation.advice import Tally
from distill.generation.estimate import estimate
from distill.generation.job import GenerationRun, prepare
from distill.generation.request import GenerateRequest, TaskChoices
from pipelines import RECIPES


@pytest.fixture
def run(tiny_weights: Path, tmp_path: Path) -> GenerationRun:
    choices = TaskChoices(align="none", shard_size=4)
    return prepare(
        GenerateRequest(
            task=RECIPES["style-mix"],
            n=100,
            generator=str(tiny_weights),
            out=tmp_path / "a",
            choices=choices,
            cluster="none",
            device="cpu",
        )
    )


def ticking(monkeypatch: pytest.MonkeyPatch, accepted: int, seconds: float) -> None:
    """Every batch of 4 candidates has so many that are accepted, and takes so long; the first takes a minute."""
    now = [0.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])

    def draw(task: Any, recipe: Any, *, clock: Any, on_progress: Any) -> None:
        for batch in range(1, 100):
            now[0] += seconds if batch > 1 else 60.0
            on_progress(Tally(accepted=accepted * batch, tried=4 * batch))

    monkeypatch.setattr(module, "draw_shard", draw)


def test_the_time_of_all_rows_by_those_tried_after_the_first_batch(run, monkeypatch):
    ticking(monkeypatch, accepted=2, seconds=1.5)  # 0.75 s a row
    found = estimate(run)
    assert found.seconds == pytest.approx(75)
    assert found.text() == "about 1 min 15 s: 4 of 8 candidates tried now were accepted"
    two = replace(run, placement=replace(run.placement, cluster="local", workers=2))
    assert estimate(two).seconds == pytest.approx(37.5)


def test_it_says_why_no_time_is_known(run, monkeypatch):
    ticking(monkeypatch, accepted=0, seconds=1)
    assert estimate(run).text() == "not known: none of the first 12 candidates was accepted"
    elsewhere = replace(run, placement=replace(run.placement, cluster="tcp://host:8786"))
    assert estimate(elsewhere).text() == "not known: that depends on the workers of tcp://host:8786"
    compiled = replace(run, conditions=run.conditions.model_copy(update={"compiled": True}))
    assert "compiling comes first" in estimate(compiled).text()


def test_a_trial_writes_nothing(run, tmp_path):
    assert estimate(run).how
    assert list(tmp_path.iterdir()) == []
