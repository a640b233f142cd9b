"""The account of where the time went."""

from __future__ import annotations

import time

import torch

from distill.timing import LEAST, STAGES, DeviceTimer, StageClock, milliseconds_per_image


def test_clocks_of_several_workers_add_up_and_name_the_bottleneck() -> None:
    clock = StageClock()
    clock.add({"synthesis": 6.0, "filter": 1.0})
    clock.add({"synthesis": 2.0, "write": 1.0})
    assert clock.seconds == dict.fromkeys(STAGES, 0.0) | {"synthesis": 8.0, "filter": 1.0, "write": 1.0}
    assert clock.line() == "time went to: synthesis 80%, filter 10%, write 10%; synthesis is the bottleneck"


def test_a_run_that_made_nothing_says_nothing() -> None:
    assert StageClock().line() == ""


def test_a_stage_is_timed_even_when_it_fails() -> None:
    clock = StageClock()
    try:
        with clock.stage("encode"):
            sum(range(100_000))
            raise KeyError
    except KeyError:
        pass
    assert clock.seconds["encode"] > 0
    assert set(clock.seconds) == set(STAGES)


def test_a_stopwatch_on_the_cpu_counts_the_time_within() -> None:
    with DeviceTimer(torch.device("cpu")) as timer:
        sum(range(100_000))
    assert timer.seconds() > 0


def test_the_time_of_an_image_is_the_median_over_warm_runs(monkeypatch) -> None:
    monkeypatch.setattr("distill.timing.SECONDS", 0.0)
    pauses = iter([0.2, 0.2, *[0.01] * (LEAST - 1), 0.2])  # two to warm up, and one that something disturbed
    took = milliseconds_per_image(lambda: time.sleep(next(pauses)), images=2, device=torch.device("cpu"))
    assert 5 <= took < 50
