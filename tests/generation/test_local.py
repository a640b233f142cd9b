"""Tasks in this process: one after the other, whatever happens to some of them."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from distill.errors import DiskFull, DistillError, Interrupted
from distill.generation.attempt import Outcome
from distill.generation.local import run_here


def run(
    work: Callable[[Any], Any], tasks: list[Any], stop: threading.Event | None = None
) -> Iterator[Outcome]:
    named = [(str(index), task) for index, task in enumerate(tasks)]
    return run_here(work, named, stop=stop or threading.Event())


def test_outcomes_come_in_order_and_a_bad_one_is_named() -> None:
    def work(task: int) -> int:
        if task == 3:
            raise ValueError("seven")
        return task

    outcomes = list(run(work, list(range(5))))
    assert [outcome.key for outcome in outcomes] == list("01234")
    assert [outcome.value for outcome in outcomes] == [0, 1, 2, None, 4]
    assert "seven" in str(outcomes[3].error)


def test_what_may_pass_by_itself_is_tried_again() -> None:
    tries = {0: 0, 1: 0}

    def work(task: int) -> int:
        tries[task] += 1
        if tries[task] < 3:
            raise OSError(5, "the network disk hiccups")
        return task

    assert [outcome.value for outcome in run(work, [0, 1])] == [0, 1]


def test_what_does_not_pass_is_given_up_with_its_reason() -> None:
    def work(task: int) -> int:
        raise OSError(5, "the network disk is gone")

    [outcome] = run(work, [0])
    assert "the network disk is gone" in str(outcome.error)
    assert not outcome.fatal


def test_the_first_reason_of_a_task_tried_again_is_told() -> None:
    reasons = iter(["the cause", "what came of it", "what came of it"])

    def work(task: int) -> int:
        raise OSError(5, next(reasons))

    [outcome] = run(work, [0])
    assert re.search(r"the cause.*tried 3 times; the last time: .*what came of it", str(outcome.error))


@pytest.mark.parametrize("error", [DiskFull("full"), DistillError("hopeless")])
def test_an_error_of_all_tasks_ends_the_run(error: DistillError) -> None:
    error.fatal = True

    def work(task: int) -> int:
        raise error

    outcomes = list(run(work, [0, 1, 2]))
    assert [(outcome.key, outcome.fatal) for outcome in outcomes] == [("0", True)]


def test_after_stop_nothing_is_begun_and_an_interrupted_task_has_no_outcome() -> None:
    stop, seen = threading.Event(), []

    def work(task: int) -> int:
        seen.append(task)
        if task == 1:
            stop.set()
            raise Interrupted("between two batches")
        return task

    assert [outcome.key for outcome in run(work, [0, 1, 2], stop)] == ["0"]
    assert seen == [0, 1]
