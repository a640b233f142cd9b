"""Work beside the caller: in order, and with its errors."""

from __future__ import annotations

import threading

import pytest
import torch

from distill.generation.background import BackgroundThread

CPU = torch.device("cpu")


def test_work_is_done_in_order_on_one_other_thread() -> None:
    seen: list[tuple[int, int]] = []

    def note(number: int) -> None:
        seen.append((number, threading.get_ident()))

    def again(number: int) -> None:
        assert seen[-1][0] == number

    with BackgroundThread(beside=True, device=CPU) as background:
        for number in range(20):
            background.do([note, again], number)
        while background.waiting:
            background.wait()
    assert [number for number, _ in seen] == list(range(20))
    assert len({thread for _, thread in seen}) == 1
    assert seen[0][1] != threading.get_ident()


def test_without_a_thread_the_work_is_done_when_do_returns() -> None:
    seen: list[int] = []
    with BackgroundThread(beside=False, device=CPU) as background:
        background.do([seen.append], 1)
        assert seen == [1]
        assert background.waiting == 0


def test_an_error_of_the_work_reaches_whoever_waits_for_it() -> None:
    def fail() -> None:
        raise ValueError("a bad batch")

    with BackgroundThread(beside=True, device=CPU) as background:
        background.do([fail])
        with pytest.raises(ValueError, match="a bad batch"):
            background.wait()


def test_leaving_early_drops_what_has_not_begun_and_waits_for_the_rest() -> None:
    seen: list[int] = []
    begun, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        begun.set()
        go_on.wait()
        seen.append(0)

    def leave() -> None:
        with BackgroundThread(beside=True, device=CPU) as background:
            background.do([slow])
            background.do([seen.append], 1)
            begun.wait()
            threading.Timer(0.05, go_on.set).start()
            raise RuntimeError("leaving")

    with pytest.raises(RuntimeError, match="leaving"):
        leave()
    assert seen == [0]
