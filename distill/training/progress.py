"""Progress of a training run, in images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TextIO

from distill.progress import Meter
from distill.text import clock


class TrainingProgress:
    """Counts images towards `total`; `done` were seen before the start and do not count for the rate."""

    def __init__(
        self, total: int, *, done: int = 0, stream: TextIO | None = None, quiet: bool = False
    ) -> None:
        self.meter = Meter(total, stream=stream, quiet=quiet, initial=done, unit="img", unit_scale=True)
        self.total, self.done, self.seen = total, done, 0
        self.latest = ""
        self.note = self.meter.note

    def update(self, images: int) -> None:
        self.seen += images
        self.meter.advance(images, self.line)

    def show(self, values: Mapping[str, float]) -> None:
        """Keep the latest numbers beside the bar."""
        names = ("loss_g", "loss_d", "ada_p", "l1", *(name for name in values if name.startswith("frechet")))
        self.latest = " ".join(f"{name} {values[name]:.3g}" for name in names if name in values)
        self.meter.beside(self.latest)

    @property
    def rate(self) -> float:
        """Images a second since the start."""
        return self.seen / self.meter.seconds

    def line(self) -> str:
        at = self.done + self.seen
        left = f"{clock((self.total - at) / self.rate)} left" if self.seen else "no estimate yet"
        numbers = f", {self.latest}" if self.latest else ""
        return f"{at / 1000:.1f}/{self.total / 1000:.1f} kimg, {self.rate:.1f} images/s, {left}{numbers}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *reason: Any) -> None:
        self.meter.__exit__(*reason)
