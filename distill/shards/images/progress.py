"""Progress of a pass over pictures."""

from __future__ import annotations

from typing import Any, Self, TextIO

from distill.progress import Meter
from distill.text import clock


class PictureProgress:
    """Counts pictures towards a total, with the time left."""

    def __init__(self, total: int, *, stream: TextIO | None = None) -> None:
        self.meter = Meter(total, stream=stream, unit="picture", leave=False)
        self.total, self.done = total, 0

    def __call__(self, pictures: int) -> None:
        """Count more pictures."""
        self.done += pictures
        self.meter.advance(pictures, self.line)

    def line(self) -> str:
        left = self.meter.seconds * (self.total - self.done) / max(self.done, 1)
        return f"{self.done} of {self.total} pictures, {clock(left)} left"

    @property
    def seconds(self) -> float:
        return self.meter.seconds

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *reason: Any) -> None:
        self.meter.__exit__(*reason)
