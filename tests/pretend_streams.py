"""The streams of a pretended GPU: which of its work has been waited for, and by whom."""

from __future__ import annotations

import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

CUDA = torch.device("cuda", 0)
lock = threading.RLock()
faults: list[str] = []  # what shows too late to be raised where it happens

_own = threading.local()  # the stream of each thread
_streams: weakref.WeakSet[Stream] = weakref.WeakSet()


class Stream:
    """Work in order. It is done at once, but known to be done only up to where somebody has waited."""

    def __init__(self, device: Any = None, priority: int = 0) -> None:
        checked(device)
        self.given, self.done = 0, 0
        self.after: dict[Stream, int] = {}  # of other streams' work, what this one waits for
        self.copies: deque[tuple[int, Callable[[], None]]] = deque()  # under way
        _streams.add(self)

    def takes(self) -> int:
        self.given += 1
        return self.given

    def knows(self, other: Stream, number: int) -> bool:
        """Whether what this stream is given now runs after a piece of another's work."""
        return other is self or other.done >= number or self.after.get(other, 0) >= number

    def finish(self, number: int) -> None:
        with lock:
            while self.copies and self.copies[0][0] <= number:
                self.copies.popleft()[1]()
            self.done = max(self.done, number)
            for other, seen in self.after.items():
                if seen > other.done:
                    other.finish(seen)

    def synchronize(self) -> None:
        self.finish(self.given)

    def wait_stream(self, other: Stream) -> None:
        with lock:
            for stream, number in [*other.after.items(), (other, other.given)]:
                self.after[stream] = max(number, self.after.get(stream, 0))

    def wait_event(self, event: Event) -> None:
        if event.stream is not None:
            self.wait_stream(event.stream)


class Event:
    def __init__(
        self, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False
    ) -> None:
        self.timing, self.stream, self.number, self.time = enable_timing, None, 0, 0.0

    stream: Stream | None

    def record(self, stream: Stream | None = None) -> None:
        self.stream = stream or current_stream()
        self.number, self.time = self.stream.given, time.perf_counter()

    def query(self) -> bool:
        return self.stream is None or self.stream.done >= self.number

    def synchronize(self) -> None:
        if self.stream is not None:
            self.stream.finish(self.number)

    def elapsed_time(self, end: Event) -> float:
        if not (self.timing and end.timing and self.stream and end.stream and self.query() and end.query()):
            raise RuntimeError("both events need enable_timing, to be recorded, and to be waited for")
        return 1000 * (end.time - self.time)


class Memory:
    """Who last wrote a block of the GPU's memory, and who else uses it."""

    def __init__(self, home: Stream) -> None:
        self.home, self.written, self.used = home, (home, 0), dict[Stream, int]()

    def touch(self, stream: Stream, number: int, *, write: bool, what: str) -> None:
        for other, last in [self.written, *(self.used.items() if write else ())]:
            if not stream.knows(other, last):
                raise RuntimeError(f"{what}: another stream's work on this tensor has not been waited for")
        self.used[stream] = number
        if write:
            self.written = (stream, number)

    def __del__(self) -> None:
        if not all(self.home.knows(stream, number) for stream, number in self.used.items()):
            faults.append("memory was given back to its stream while another was still using it")


def checked(device: Any) -> torch.device:
    """Read a device, None for the only GPU. Raises RuntimeError for another GPU."""
    found = CUDA if device is None or isinstance(device, int) else torch.device(device)
    if (found.type == "cuda" and found.index not in (None, 0)) or (device not in (None, 0) and found is CUDA):
        raise RuntimeError(f"CUDA error: invalid device ordinal ({device})")
    return found


def its(device: Any) -> None:
    """Refuse a device that is no GPU."""
    if checked(device).type != "cuda":
        raise ValueError(f"expected a cuda device, but got {device}")


def current_stream(device: Any = None) -> Stream:
    its(device)
    stream: Stream = getattr(_own, "stream", _default)
    return stream


_default = Stream()


@contextmanager
def stream_context(stream: Stream | None) -> Iterator[None]:
    before = current_stream()
    _own.stream = stream or before
    try:
        yield
    finally:
        _own.stream = before


def synchronize(device: Any = None) -> None:
    its(device)
    for stream in list(_streams):
        stream.synchronize()
