"""Tasks in this process: in order whatever happens, one after the other or a few at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from distill.errors import DiskFull, DistillError, Interrupted
from distill.generation.local import Leave, run_inline
from distill.generation.outcome import Outcome

LONG = 60  # seconds after which a test that hangs fails


def run(work: Callable[[Any, Leave], Any], tasks: list[Any], **options: Any) -> Iterator[Outcome]:
    named = [(str(index), task) for index, task in enumerate(tasks)]
    return run_inline(work, named, **{"stop": threading.Event(), **options})


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_outcomes_come_in_order_whoever_ends_first(at_once: int) -> None:
    last_of_them = threading.Event()

    def work(task: int, leave: Leave) -> int:
        if task == at_once - 1:
            last_of_them.set()
        assert last_of_them.wait(LONG)
        if task == 3:
            raise ValueError("seven")
        return task

    outcomes = list(run(work, list(range(7)), at_once=at_once))
    assert [outcome.key for outcome in outcomes] == list("0123456")
    assert [outcome.value for outcome in outcomes] == [0, 1, 2, None, 4, 5, 6]
    assert "seven" in str(outcomes[3].error)


def test_one_at_once_is_the_callers_own_thread() -> None:
    outcomes = run(lambda task, leave: threading.get_ident(), [0, 1])
    assert {outcome.value for outcome in outcomes} == {threading.get_ident()}


def test_no_more_than_so_many_are_under_way() -> None:
    together, under_way, most = threading.Barrier(2), [0], [0]
    lock = threading.Lock()

    def work(task: int, leave: Leave) -> None:
        with lock:
            under_way[0] += 1
            most[0] = max(most[0], under_way[0])
        together.wait(LONG)
        with lock:
            under_way[0] -= 1

    assert [outcome.error for outcome in run(work, list(range(8)), at_once=2)] == [None] * 8
    assert most == [2]


@pytest.mark.parametrize("at_once", [1, 2])
def test_what_may_pass_by_itself_is_tried_again(at_once: int) -> None:
    tries = {0: 0, 1: 0}

    def work(task: int, leave: Leave) -> int:
        tries[task] += 1
        if tries[task] < 3:
            raise OSError(5, "the network disk hiccups")
        return task

    assert [outcome.value for outcome in run(work, [0, 1], at_once=at_once)] == [0, 1]


def test_after_stop_those_under_way_are_asked_to_leave_and_none_is_begun() -> None:
    stop, begun = threading.Event(), threading.Barrier(2)
    seen = []

    def work(task: int, leave: Leave) -> int:
        seen.append(task)
        assert not leave()
        begun.wait(LONG)
        stop.set()
        if task == 0:  # interrupted, and the other one has all but finished
            assert leave()
            raise Interrupted("between two batches")
        return task

    [outcome] = run(work, [0, 1, 2, 3], stop=stop, at_once=2)
    assert (outcome.key, outcome.value) == ("1", 1)
    assert sorted(seen) == [0, 1]


@pytest.mark.parametrize("leave_at_first", [True, False])
def test_an_error_that_concerns_all_ends_those_under_way(leave_at_first: bool) -> None:
    """Whether the caller leaves at the first fatal outcome or takes what else comes."""
    begun, left, tick = threading.Barrier(2), threading.Event(), threading.Event()

    def work(task: int, leave: Leave) -> None:
        begun.wait(LONG)
        if task == 0:
            raise DiskFull("no space left")
        for _ in range(100 * LONG):
            if leave():
                left.set()
                break
            tick.wait(0.01)
        raise Interrupted("between two batches")

    outcomes = run(work, [0, 1, 2, 3], at_once=2)
    first = next(outcomes)
    assert (first.fatal, first.exit_code, first.error) == (True, 4, "no space left")
    if leave_at_first:
        outcomes.close()  # type: ignore[attr-defined]
    else:
        assert list(outcomes) == []
    assert left.is_set(), "it was waited for"


def test_a_refusal_of_one_task_is_not_the_end() -> None:
    def work(task: int, leave: Leave) -> int:
        if task == 0:
            raise DistillError("other weights here")
        return task

    assert [o.error for o in run(work, [0, 1, 2], at_once=2)] == ["other weights here", None, None]


def test_ctrl_c_is_handed_to_those_under_way(press_ctrl_c: Callable[[], None]) -> None:
    interrupted = threading.Event()

    def work(task: int, leave: Leave) -> None:
        if task == 0:
            press_ctrl_c()
        assert interrupted.wait(LONG)
        assert leave()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(run(work, [0, 1, 2], at_once=2, interrupt=interrupted.set))
    assert interrupted.is_set()
