"""Progress of a pass over pictures: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self, TextIO

from tqdm import tqdm

LINE_EVERY = 30.0  # seconds between plain lines


class PictureProgress:
    """Counts pictures towards a total, with the rate and the time left."""

    def __init__(self, total: int, *, stream: TextIO | None = None) -> None:
        self.total, self.done = total, 0
        self.stream = stream or sys.stderr
        self.started = self.last_line = time.monotonic()
        on_terminal = self.stream.isatty()
        self.bar = tqdm(
            total=total,
            unit="picture",
            file=self.stream,
            disable=not on_terminal,
            leave=False,
            dynamic_ncols=True,
        )

    def __call__(self, pictures: int) -> None:
        """Count more pictures."""
        self.done += pictures
        self.bar.update(pictures)
        now = time.monotonic()
        if self.bar.disable and now - self.last_line >= LINE_EVERY:
            self.last_line = now
            left = (now - self.started) * (self.total - self.done) / max(self.done, 1)
            print(
                f"{self.done} of {self.total} pictures, {duration(left)} left", file=self.stream, flush=True
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.close()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started


def duration(seconds: float) -> str:
    """Write seconds as "42 s", "3.5 min" or "2.1 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
