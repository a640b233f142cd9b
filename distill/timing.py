"""Where the time of a run goes, by stage of the pipeline, and how long an image takes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import torch

WARM_UPS, LEAST, MOST = 2, 5, 50  # runs before the clock starts, and under it
SECONDS = 3.0  # after which no new run begins, but for the least number
STAGES = ("synthesis", "embed", "move", "select", "filter", "align", "encode", "write")


class DeviceTimer:
    """Times work that a GPU may still be doing when the call returns; on a CPU, an ordinary stopwatch."""

    def __init__(self, device: torch.device) -> None:
        self._events: list[Any] = []
        if device.type == "cuda":
            import torch

            event: Any = torch.cuda.Event
            self._events = [event(enable_timing=True) for _ in range(2)]

    def __enter__(self) -> Self:
        self._start = time.perf_counter()
        for event in self._events[:1]:
            event.record()
        return self

    def __exit__(self, *reason: Any) -> None:
        for event in self._events[1:]:
            event.record()
        self._stop = time.perf_counter()

    def seconds(self) -> float:
        """Wait for the end, and return how long it took."""
        if not self._events:
            return self._stop - self._start
        start, stop = self._events
        stop.synchronize()
        return float(start.elapsed_time(stop)) / 1000


@dataclass(frozen=True)
class ImageTime:
    """Milliseconds an image and how they were measured; None, and why they were not."""

    milliseconds: float | None
    how: str


def milliseconds_per_image(call: Callable[[], Any], *, images: int, device: torch.device) -> float:
    """Time `call`, which makes this many images on `device`: the median of its warm runs, divided by the images."""
    for _ in range(WARM_UPS):
        call()
    took: list[float] = []
    began = time.perf_counter()
    while len(took) < LEAST or (len(took) < MOST and time.perf_counter() - began < SECONDS):
        with DeviceTimer(device) as timer:
            call()
        took.append(timer.seconds())
    return 1000 * statistics.median(took) / images


class StageClock:
    """Seconds spent in each stage; a stage is entered by one thread at a time."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(STAGES, 0.0)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - start

    def add(self, seconds: Mapping[str, float]) -> None:
        """Add what another clock, perhaps another process's, has counted."""
        for name, value in seconds.items():
            self.seconds[name] += value

    def shares(self) -> dict[str, float]:
        """Each stage's share of all stages together, {} where nothing was timed."""
        total = sum(self.seconds.values())
        return {name: value / total for name, value in self.seconds.items()} if total else {}

    def line(self) -> str:
        """One line for a user, the bottleneck named last; "" where nothing was timed."""
        shares = self.shares()
        if not shares:
            return ""
        parts = ", ".join(f"{name} {share:.0%}" for name, share in shares.items() if share)
        return f"time went to: {parts}; {max(shares, key=shares.__getitem__)} is the bottleneck"


def clock(seconds: float) -> str:
    """Write a duration as 42 s, 7 min 05 s or 3 h 20 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
