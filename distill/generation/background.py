"""A second thread that does its work in order, beside the one that gives it; on a GPU, with a stream of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext, suppress
from functools import cache
from typing import Any, Self

import torch


class BackgroundThread:
    """Does what it is given one after the other: on a thread of its own (`beside`), or at once in the caller's.

    On a GPU the thread has its own stream, so that no piece of work waits for what the caller has queued since: it
    must itself wait for what it takes (a `DeviceTimer` does). What a piece is given lives until its work on the GPU
    is done. An exception of the work is raised by `wait`, or by `do` where the work is done at once.
    """

    def __init__(self, *, beside: bool, device: torch.device) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="background") if beside else None
        self._stream = stream_beside(device) if beside and device.type == "cuda" else None
        self._given: deque[Future[None]] = deque()

    @property
    def waiting(self) -> int:
        """Pieces of work that may not be done yet."""
        return len(self._given)

    def do(self, steps: Sequence[Callable[..., None]], *arguments: Any) -> None:
        """Call the steps of one piece of work, in order, each with these arguments."""
        if self._thread is None:
            for step in steps:
                step(*arguments)
        else:
            self._given.append(self._thread.submit(self._run, steps, *arguments))

    def _run(self, steps: Sequence[Callable[..., None]], *arguments: Any) -> None:
        with torch.cuda.stream(self._stream) if self._stream else nullcontext():
            try:
                for step in steps:
                    step(*arguments)
            finally:
                if self._stream:  # before the caller's stream gets the memory that this one has read
                    self._stream.synchronize()

    def wait(self) -> None:
        """Wait for the oldest piece of work."""
        self._given.popleft().result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *reason: Any) -> None:
        if self._thread is None:
            return
        for piece in self._given:
            piece.cancel()
        self._thread.shutdown()
        for piece in self._given:
            with suppress(BaseException):  # the caller is leaving for a reason of its own
                piece.result()


@cache
def stream_beside(device: torch.device) -> Any:
    """A GPU's stream for all threads of this process: memory that one stream has used is never another's."""
    stream: Any = torch.cuda.Stream
    return stream(device)
