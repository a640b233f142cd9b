"""Work on several processes, when these are killed under it."""

from __future__ import annotations

import threading
from concurrent.futures import ProcessPoolExecutor

import pytest

from distill.errors import DistillError, Interrupted
from distill.parallel import ordered


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
