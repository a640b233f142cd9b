"""Progress of work in stages whose steps take unlike times: one bar, one estimate for the whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self, TextIO

from numpy.typing import NDArray

from distill.progress import Meter
from distill.text import clock

BLOCK = 16  # rows that are worked on at once


class StagedProgress:
    """`work` maps each stage to its work in all, in seconds or any other unit that the stages share."""

    def __init__(
        self, work: Mapping[str, float], *, stream: TextIO | None = None, quiet: bool = False
    ) -> None:
        self.work, self.done, self.stage = dict(work), 0.0, ""
        form = "{desc} {percentage:3.0f}%|{bar}| {elapsed}, {remaining} left"
        self.meter = Meter(
            max(round(self.total), 1), stream=stream, quiet=quiet, bar_format=form, smoothing=0.1
        )

    @property
    def total(self) -> float:
        return sum(self.work.values())

    def blocks(self, stage: str, rows: NDArray[Any], /) -> Iterator[NDArray[Any]]:
        """Go through the rows of an array in blocks; each counts when the next is asked for."""
        for first in range(0, len(rows), BLOCK):
            self.begin(stage)
            block = rows[first : first + BLOCK]
            yield block
            self.advance(len(block) / len(rows))

    def begin(self, stage: str) -> None:
        self.stage = stage
        if self.meter.on_terminal:
            self.meter.bar.set_description_str(stage, refresh=False)

    def advance(self, share: float) -> None:
        """Count a share, 0 to 1, of the stage that was begun."""
        before, self.done = self.done, self.done + share * self.work.get(self.stage, 0.0)
        self.meter.advance(round(self.done) - round(before), self.line)

    def line(self) -> str:
        left = (self.total - self.done) / self.done * self.meter.seconds if self.done else 0.0
        return f"{self.stage}: {self.done / self.total:.0%} of all, {clock(left)} left"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.meter.__exit__(kind, error, trace)
