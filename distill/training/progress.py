"""Progress of a training run: a bar with the time left on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self, TextIO

from tqdm import tqdm

from distill.progress import LINE_EVERY
from distill.text import clock


class TrainingProgress:
    """Counts images towards `total`; `done` were seen before the start and do not count for the rate."""

    def __init__(
        self, total: int, *, done: int = 0, stream: TextIO | None = None, quiet: bool = False
    ) -> None:
        self.total, self.done, self.seen, self.quiet = total, done, 0, quiet
        self.stream = stream or sys.stderr
        self.on_terminal = self.stream.isatty() and not quiet
        self.started = self.last_line = time.monotonic()
        self.latest = ""
        self.bar = tqdm(
            total=total,
            initial=done,
            unit="img",
            unit_scale=True,
            file=self.stream,
            disable=not self.on_terminal,
            dynamic_ncols=True,
        )

    def update(self, images: int) -> None:
        self.seen += images
        if self.on_terminal:
            self.bar.update(images)
        elif time.monotonic() - self.last_line >= LINE_EVERY:
            self.last_line = time.monotonic()
            self.note(self.line())

    def show(self, values: Mapping[str, float]) -> None:
        """Keep the latest numbers beside the bar."""
        names = ("loss_g", "loss_d", "ada_p", *(name for name in values if name.startswith("frechet")))
        self.latest = " ".join(f"{name} {values[name]:.3g}" for name in names if name in values)
        if self.on_terminal:
            self.bar.set_postfix_str(self.latest, refresh=False)

    def note(self, message: str) -> None:
        """Print a line without breaking the bar."""
        if self.quiet:
            return
        if self.on_terminal:
            self.bar.write(message, file=self.stream)
        else:
            print(message, file=self.stream, flush=True)

    @property
    def rate(self) -> float:
        """Images a second since the start."""
        return self.seen / max(time.monotonic() - self.started, 1e-9)

    def line(self) -> str:
        at = self.done + self.seen
        left = f"{clock((self.total - at) / self.rate)} left" if self.seen else "no estimate yet"
        numbers = f", {self.latest}" if self.latest else ""
        return f"{at / 1000:.1f}/{self.total / 1000:.1f} kimg, {self.rate:.1f} images/s, {left}{numbers}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.close()
