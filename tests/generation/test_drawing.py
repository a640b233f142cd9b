"""The one thread that draws: whose turn it is, and what becomes of errors and interruptions."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache

import pytest

from distill.generation import drawing as module
from distill.generation.drawing import DrawingThread, drawing_thread

LONG = 60  # seconds after which a test that hangs fails


def test_a_process_has_one_though_two_ask_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    together, both_make = threading.Barrier(2), threading.Barrier(2)

    def make() -> DrawingThread:
        with suppress(threading.BrokenBarrierError):  # as it should be: nobody else comes here
            both_make.wait(0.2)
        return DrawingThread()

    def ask(_: int) -> DrawingThread:
        together.wait()
        return drawing_thread()

    monkeypatch.setattr(module, "_made_once", lru_cache(maxsize=1)(make))
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(ask, range(2))
    assert one is other


def test_work_is_done_one_at_a_time_and_always_on_the_same_thread() -> None:
    thread, alone, seen = DrawingThread(), threading.Lock(), set()

    def work(number: int) -> int:
        assert alone.acquire(blocking=False), "another piece of work is under way"
        seen.add(threading.get_ident())
        alone.release()
        return 2 * number

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda n: thread.do(lambda: work(n)), range(100))) == list(range(0, 200, 2))
    assert len(seen) == 1
    assert threading.get_ident() not in seen


@pytest.mark.parametrize("error", [ValueError("a bad batch"), KeyboardInterrupt(), SystemExit(3)])
def test_what_the_work_raises_reaches_its_giver_and_no_other(error: BaseException) -> None:
    thread = DrawingThread()

    def fail() -> None:
        raise error

    with pytest.raises(type(error)) as raised:
        thread.do(fail)
    assert raised.value is error
    assert thread.do(lambda: "next") == "next"


def test_whoever_is_interrupted_while_waiting_interrupts_the_work(press_ctrl_c: Callable[[], None]) -> None:
    thread, tick, interrupted = DrawingThread(), threading.Event(), []

    def draw_on() -> None:
        try:
            press_ctrl_c()
            for _ in range(100 * LONG):
                tick.wait(0.01)
        except KeyboardInterrupt:
            interrupted.append(True)
            raise

    with pytest.raises(KeyboardInterrupt):
        thread.do(draw_on)
    assert interrupted, "and waited for"
    assert thread.do(lambda: "next") == "next"


def test_whoever_is_interrupted_before_its_turn_leaves_the_others_alone(
    press_ctrl_c: Callable[[], None],
) -> None:
    thread, begun, asked, go_on = DrawingThread(), threading.Event(), threading.Event(), threading.Event()
    drawn: list[str] = []

    def first() -> str:
        begun.set()
        assert asked.wait(LONG)
        press_ctrl_c()
        assert go_on.wait(LONG)
        return "first"

    def ask_for_a_second() -> None:
        asked.set()
        thread.do(lambda: drawn.append("second"))

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(thread.do, first)
        assert begun.wait(LONG)
        with pytest.raises(KeyboardInterrupt):
            ask_for_a_second()
        go_on.set()
        assert other.result() == "first"
    assert thread.do(lambda: "next") == "next"
    assert drawn == []


def test_to_interrupt_nothing_does_nothing() -> None:
    thread = DrawingThread()
    thread.interrupt()
    assert thread.do(lambda: "next") == "next"
    thread.interrupt()
    assert thread.do(lambda: "next") == "next"
