"""Progress of long work: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TextIO

from tqdm import tqdm

from distill.text import clock

LINE_EVERY = 30.0  # seconds between plain lines


class Meter:
    """Shows counts where they can be seen: as a bar on a terminal, as lines elsewhere, or not at all (`quiet`).

    `options` go to tqdm.
    """

    def __init__(
        self, total: int, *, stream: TextIO | None = None, quiet: bool = False, **options: Any
    ) -> None:
        self.stream = stream or sys.stderr
        self.quiet = quiet
        self.on_terminal = self.stream.isatty() and not quiet
        self.started = self.last_line = time.monotonic()
        self.bar = tqdm(
            total=total, file=self.stream, disable=not self.on_terminal, dynamic_ncols=True, **options
        )

    def advance(self, count: int, line: Callable[[], str]) -> None:
        """Move on by `count`; without a terminal, print `line()` when it is time for one."""
        if self.on_terminal:
            self.bar.update(count)
        elif time.monotonic() - self.last_line >= LINE_EVERY:
            self.last_line = time.monotonic()
            self.note(line())

    def beside(self, text: str) -> None:
        """Keep a text beside the bar."""
        if self.on_terminal:
            self.bar.set_postfix_str(text, refresh=False)

    def note(self, message: str) -> None:
        """Print a line without breaking the bar."""
        if self.quiet:
            return
        if self.on_terminal:
            self.bar.write(message, file=self.stream)
        else:
            print(message, file=self.stream, flush=True)

    @property
    def seconds(self) -> float:
        return max(time.monotonic() - self.started, 1e-9)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.close()


class AcceptanceProgress:
    """Counts accepted rows towards a total, with rate, acceptance and time left.

    `done` rows count as finished before the start; they move the bar but not the rate.
    """

    def __init__(
        self, total: int, *, done: int = 0, noun: str = "triplet", stream: TextIO | None = None
    ) -> None:
        self.meter = Meter(total, stream=stream, initial=done, unit=noun, smoothing=0.1)
        self.noun = noun
        self.total, self.done = total, done
        self.accepted = self.tried = 0
        self.note = self.meter.note

    def update(self, accepted: int, tried: int) -> None:
        """Count more accepted and tried candidates."""
        self.accepted += accepted
        self.tried += tried
        self.meter.beside(f"accepted {self.acceptance:.0%}")
        self.meter.advance(accepted, self.line)

    @property
    def acceptance(self) -> float:
        return self.accepted / self.tried if self.tried else 1.0

    @property
    def rate(self) -> float:
        """Accepted rows a second since the start."""
        return self.accepted / self.meter.seconds

    def line(self) -> str:
        finished = self.done + self.accepted
        left = f"{clock((self.total - finished) / self.rate)} left" if self.accepted else "no estimate yet"
        return (
            f"{finished}/{self.total} {self.noun}s ({finished / self.total:.0%}),"
            f" {self.rate:.1f}/s, {self.acceptance:.0%} of candidates accepted, {left}"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *reason: Any) -> None:
        self.meter.__exit__(*reason)
