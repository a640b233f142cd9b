"""Work on several processes, when these are killed under it."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ProcessPoolExecutor

import pytest

from distill.errors import DistillError, Interrupted
from distill.parallel import ordered

LONG = 40.0  # seconds


@pytest.mark.parametrize(("stopped", "kind"), [(True, Interrupted), (False, DistillError)])
def test_a_pool_that_closes_under_the_work_is_an_error_of_one_line(
    stopped: bool, kind: type[DistillError], monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = threading.Event()

    def submit(*_: object) -> None:
        if stopped:
            stop.set()  # the signal that killed the workers came here too
        raise OSError("handle is closed")

    monkeypatch.setattr(ProcessPoolExecutor, "submit", submit)
    with pytest.raises(kind) as caught:
        list(ordered(abs, [1, 2], workers=2, stop=stop))
    assert type(caught.value) is kind


@pytest.mark.cluster
def test_a_worker_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("distill.parallel.GRACE", 0.2)
    stop = threading.Event()
    threading.Timer(1.0, stop.set).start()
    began = time.monotonic()
    with pytest.raises(Interrupted):
        list(ordered(time.sleep, [LONG, LONG], workers=2, stop=stop))
    assert time.monotonic() - began < LONG / 2
